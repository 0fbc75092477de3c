package scenario

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// ZoneHeader is what the header of a zone section says:
//
//	-- zone shop.example. at 198.51.100.3 2001:db8::3 signed undelegated --
type ZoneHeader struct {
	Origin dnsname.Name
	Addrs  []netip.Addr // after "at": who serves the zone; may be empty
	// Undelegated: the zone is served, but nothing is derived for its parent.
	Undelegated bool
	Signing     Signing
}

// Signing says how a zone is signed. The zero value is an unsigned zone.
type Signing struct {
	Signed    bool  // word "signed", and all words below
	Algorithm uint8 // "algorithm=13"; 0 means that nothing is said
	NSEC3     bool  // "nsec3", and the words below
	OptOut    bool  // "opt-out": unsigned delegations have no NSEC3 record (RFC 5155 §6)
	// Iterations is "iterations=N", Salt "salt=HEX" (RFC 5155 §3.1).
	Iterations uint16
	Salt       string
	// NoDS is "no-ds": the parent does not vouch for the zone.
	NoDS bool
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
	for _, word := range s.Args[1:] {
		switch {
		case word == "at":
			inAddrs = true
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
			return h, s.Errorf(s.Line, "unknown word %q; addresses follow the word at", word)
		}
		addr, err := netip.ParseAddr(word)
		if err != nil || addr.Zone() != "" {
			return h, s.Errorf(s.Line, "%q is no address and no word of a zone header", word)
		}
		h.Addrs = append(h.Addrs, addr.Unmap())
	}
	return h, nil
}

// word takes a word of the header that concerns signing.
func (s *Signing) word(word string) (known bool, err error) {
	name, value, hasValue := strings.Cut(word, "=")
	var n uint64
	switch {
	case !hasValue:
		return s.flag(word), nil
	case name == "algorithm":
		n, err = strconv.ParseUint(value, 10, 8)
		s.Algorithm = uint8(n)
	case name == "iterations":
		n, err = strconv.ParseUint(value, 10, 16)
		s.NSEC3, s.Iterations = true, uint16(n)
	case name == "salt":
		_, err = hex.DecodeString(value)
		s.NSEC3, s.Salt = true, value
	default:
		return false, nil
	}
	s.Signed = true
	return true, err
}

// flag takes a word that has no value.
func (s *Signing) flag(word string) (known bool) {
	switch word {
	case "signed":
	case "nsec3":
		s.NSEC3 = true
	case "opt-out":
		s.NSEC3, s.OptOut = true, true
	case "no-ds":
		s.NoDS = true
	default:
		return false
	}
	s.Signed = true
	return true
}

// Keep gives the text of the file with every section blanked that keep does not
// want, so that what is left can be handed on with its line numbers intact.
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
