package scenario

import (
	"net/netip"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// ZoneHeader is what the header of a zone section says:
//
//	-- zone shop.example. at 198.51.100.3 2001:db8::3 signed undelegated --
type ZoneHeader struct {
	Origin dnsname.Name
	Addrs  []netip.Addr // after "at": the zone's servers; may be empty
	// Undelegated: the zone is served, but nothing is derived for its parent.
	Undelegated bool
	Signing     Signing
}

// ParseZoneHeader reads the header of a section of kind "zone".
func ParseZoneHeader(s Section) (ZoneHeader, error) {
	var h ZoneHeader
	if len(s.Args) == 0 {
		return h, s.Errorf(s.Line, "a zone needs a name")
	}
	origin, err := dnsname.Parse(s.Args[0])
	if err != nil {
		return h, s.Errorf(s.Line, "zone name %q: %w", s.Args[0], err)
	}
	h.Origin = origin
	inAddrs := false
	for i, word := range s.Args[1:] {
		switch {
		case word == "at":
			if inAddrs = true; i+2 == len(s.Args) {
				return h, s.Errorf(s.Line, "%q has no address behind it: want such as at 192.0.2.53", word)
			}
			if _, err := netip.ParseAddr(s.Args[i+2]); err != nil {
				return h, s.Errorf(s.Line, "%q behind at is no address: want such as 192.0.2.53 or 2001:db8::53", s.Args[i+2])
			}
			continue
		case word == "undelegated":
			h.Undelegated = true
			continue
		}
		known, err := h.Signing.word(word)
		if err != nil {
			return h, s.Errorf(s.Line, "%q: %w", word, err)
		}
		if known {
			continue
		}
		if !inAddrs {
			return h, s.Errorf(s.Line, "%q is no word of a zone header; addresses follow the word at", word)
		}
		addr, err := netip.ParseAddr(word)
		if err != nil || addr.Zone() != "" {
			return h, s.Errorf(s.Line, "%q is no address and no word of a zone header", word)
		}
		h.Addrs = append(h.Addrs, addr.Unmap())
	}
	return h, nil
}

// Keep returns the text of the file with every section blanked for which keep returns
// false, so that line numbers stay.
func Keep(text string, keep func(Section) bool) (string, error) {
	_, sections, err := Split(text)
	if err != nil {
		return "", err
	}
	lines := strings.Split(text, "\n")
	kept := make([]bool, len(lines))
	for i, s := range sections {
		end := len(lines)
		if i+1 < len(sections) {
			end = sections[i+1].Line - 1
		}
		wanted := keep(s)
		for n := s.Line - 1; n < end; n++ {
			kept[n] = wanted
		}
	}
	for i := range lines {
		if !kept[i] {
			lines[i] = ""
		}
	}
	return strings.Join(lines, "\n"), nil
}
