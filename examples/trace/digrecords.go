package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
)

// cut prints the servers of a delegation. Hints have no TTL, so that there is none in
// the records.
func (d *digPrinter) cut(cut *glue.Delegation) {
	owner := pad(cut.Zone.String()) + "IN\tNS\t"
	for _, s := range cut.Servers {
		fmt.Fprintf(d.w, "%s%s\n", owner, s.Name)
	}
	if !d.additional {
		return
	}
	for _, s := range cut.Servers {
		for _, a := range s.Addrs {
			fmt.Fprintf(d.w, "%sIN\t%s\t%s\n", pad(s.Name.String()), addressType(a), a)
		}
	}
}

func addressType(a netip.Addr) string {
	if a.Is4() {
		return "A"
	}
	return "AAAA"
}

// records prints the sections of a reply. Of a referral, cut is what the resolver made
// of it.
func (d *digPrinter) records(message []byte, cut *glue.Delegation) {
	m, err := unpack(message)
	if err != nil {
		fmt.Fprintf(d.w, ";; the reply cannot be shown: %v\n", err)
		return
	}
	for _, rr := range slices.Concat(m.answer, m.authority) {
		fmt.Fprintln(d.w, recordText(rr))
	}
	if !d.additional {
		return
	}
	for _, rr := range m.additional {
		switch {
		case rr.Header().Rrtype == dns.TypeOPT:
		case cut != nil && !isGlue(cut, rr):
			fmt.Fprintf(d.w, "%s ; not used\n", recordText(rr))
		default:
			fmt.Fprintln(d.w, recordText(rr))
		}
	}
}

// isGlue reports whether a record of a referral's additional section has become an
// address of a name server.
func isGlue(cut *glue.Delegation, rr dns.RR) bool {
	for _, s := range cut.Servers {
		if !strings.EqualFold(s.Name.String(), rr.Header().Name) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.A:
			a, ok := netip.AddrFromSlice(rr.A.To4())
			return ok && slices.Contains(s.Addrs, a)
		case *dns.AAAA:
			a, ok := netip.AddrFromSlice(rr.AAAA)
			return ok && slices.Contains(s.Addrs, a)
		}
	}
	return false
}
