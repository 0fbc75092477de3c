package resolvertest

import (
	"errors"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scenario"
)

// Compact denial (RFC 9824): there is no chain of NSEC records, but one is made and
// signed for each name asked for. It says that the name exists without the type asked
// for; with the type NXNAME, that the name does not exist.

// denyCompactly adds the NSEC record for a name. types are those that are there.
func (a *answer) denyCompactly(z *zone, name dnsname.Name, types []uint16) {
	nsec := &dns.NSEC{
		Hdr:        header(name, dns.TypeNSEC),
		NextDomain: `\000.` + name.String(), // the next name there could be
		TypeBitMap: bitmap(types, dns.TypeNSEC, dns.TypeRRSIG),
	}
	nsec.Hdr.Ttl = z.denialTTL()
	a.authority = append(a.authority, nsec)
	broken := z.breaksOf(name, dns.TypeNSEC)
	if broken[scenario.BreakUnsigned] {
		return
	}
	for _, key := range z.keys.zone {
		sig, err := z.signature(z.origin, key, []dns.RR{nsec}, broken)
		if err == nil { // otherwise the proof lacks its signature
			a.authority = append(a.authority, sig)
		}
	}
}

// denyNameCompactly answers for a name that does not exist: with NOERROR (RFC 9824 §3.1).
func (a *answer) denyNameCompactly(z *zone, name dnsname.Name) {
	a.rcode = dns.RcodeSuccess
	a.denyCompactly(z, name, []uint16{dns.TypeNXNAME})
}

// isCompact reports whether the zone makes a denial for each question.
func (z *zone) isCompact() bool { return z.isSigned() && z.signing.Compact }

var errCompactWildcard = errors.New("a zone with compact denial cannot have wildcards here: their answers would have to be signed one by one")

// checkCompact returns an error for zones that compact denial cannot serve.
func (z *zone) checkCompact() error {
	for name := range z.nodes {
		if name.IsWildcard() {
			return errCompactWildcard
		}
	}
	return nil
}
