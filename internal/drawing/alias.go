package drawing

import (
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// KindText returns the kind of a response; of an alias also where that leads, as far as the message
// says, which nobody has validated.
func KindText(i resolver.ResponseInfo, asked dns.Question) string {
	var m dns.Msg
	if i.Kind != "alias" || m.Unpack(i.Message) != nil {
		return i.Kind
	}
	if path := AliasPath(asked.Name, i.Zone, m.Answer); path != "" {
		return "alias to " + path
	}
	return i.Kind
}

// AliasPath names where the aliases among records lead from a name, one after the other; "" if there is
// none. It ends where they come back to a name that they have left, and where they leave a zone, whose
// servers have no say in what follows.
func AliasPath(from, zone string, rrs []dns.RR) string {
	var names []string
	seen := map[string]bool{dns.CanonicalName(from): true}
	for at := from; len(names) < maxShown && dns.IsSubDomain(zone, at); {
		to, ok := aliasOf(at, rrs)
		if !ok {
			break
		}
		key := dns.CanonicalName(to)
		if seen[key] {
			names = append(names, "back to "+HostText(to))
			break
		}
		seen[key], at = true, to
		names = append(names, HostText(to))
	}
	return strings.Join(names, ", then ")
}

// aliasOf returns what a name is an alias of: by its CNAME, or else by a DNAME above it.
func aliasOf(name string, rrs []dns.RR) (to string, ok bool) {
	for _, rr := range rrs {
		if rr, ok := rr.(*dns.CNAME); ok && strings.EqualFold(rr.Hdr.Name, name) {
			return rr.Target, true
		}
	}
	for _, rr := range rrs {
		rr, ok := rr.(*dns.DNAME)
		if !ok || !dns.IsSubDomain(rr.Hdr.Name, name) || strings.EqualFold(rr.Hdr.Name, name) {
			continue
		}
		labels := dns.SplitDomainName(name)
		above := labels[:len(labels)-dns.CountLabel(rr.Hdr.Name)]
		return strings.Join(append(above[:len(above):len(above)], strings.TrimPrefix(rr.Target, ".")), "."), true
	}
	return "", false
}
