package dnssec

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// family is a root, a top-level zone and zones below it, the same in most tests:
// child and sibling are signed, unsigned is not; grandchild is below child.
func family(t testing.TB, o zoneOptions) *world {
	t.Helper()
	secure := func(zone string) string { return dsText(t, zone, o) + "\n" }
	root := newTestZone(t, ".", "example. NS ns.example.\n"+secure("example.")+
		"ns.example. A 192.0.2.1\nplain. NS ns.plain.\n", zoneOptions{})
	parent := newTestZone(t, "example.", ""+
		"child NS ns.child\n"+secure("child.example.")+
		"sibling NS ns.sibling\n"+secure("sibling.example.")+
		"unsigned NS ns.unsigned\n"+
		"ns A 192.0.2.2\nwww A 192.0.2.3\n", o)
	child := newTestZone(t, "child.example.", childText+
		"grand NS ns.grand\n"+secure("grand.child.example."), o)
	return newWorld(t, root, parent, child,
		newTestZone(t, "sibling.example.", childText, o),
		newTestZone(t, "grand.child.example.", childText, o),
		newTestZone(t, "unsigned.example.", childText, zoneOptions{unsigned: true}),
		newTestZone(t, "plain.", childText, zoneOptions{unsigned: true}))
}

const childText = `
ns A 192.0.2.4
www A 192.0.2.5
www A 192.0.2.6
www AAAA 2001:db8::1
alias CNAME www
out CNAME www.elsewhere.example.
a.b.ent TXT "deep"
*.wild A 192.0.2.7
*.wild MX 10 www
x.y.wild A 192.0.2.8
*.alias CNAME www
old DNAME new
under._tcp SRV 1 2 3 www
mail MX 10 WWW
`

// flavours are the ways to deny existence.
var flavours = map[string]zoneOptions{
	"nsec":           {},
	"nsec3":          {nsec3: true, salt: "aabbccdd", iterate: 3},
	"nsec3 no salt":  {nsec3: true},
	"nsec3 opt-out":  {nsec3: true, optOut: true},
	"split, P-256":   {algorithm: dns.ECDSAP256SHA256, split: true},
	"compact denial": {compact: true},
}

func TestValidate(t *testing.T) {
	for label, o := range flavours {
		t.Run(label, func(t *testing.T) {
			w := family(t, o)
			uncertain, why := Secure, ReasonNone // what rests on a covering record
			if o.optOut {
				uncertain, why = Insecure, ReasonOptOut
			}
			for _, c := range []struct {
				qname  string
				qtype  uint16
				status Status
				reason ReasonCode
			}{
				{".", dns.TypeNS, Secure, 0},
				{".", dns.TypeDNSKEY, Secure, 0},
				{"example.", dns.TypeSOA, Secure, 0},
				{"example.", dns.TypeDS, Secure, 0},
				{"www.example.", dns.TypeA, Secure, 0},
				{"www.child.example.", dns.TypeA, Secure, 0},
				{"www.child.example.", dns.TypeANY, Secure, 0},
				{"www.child.example.", dns.TypeTXT, Secure, 0},
				{"mail.child.example.", dns.TypeMX, Secure, 0},
				{"alias.child.example.", dns.TypeA, Secure, 0},
				{"alias.child.example.", dns.TypeCNAME, Secure, 0},
				{"x.old.child.example.", dns.TypeA, Secure, 0},
				{"b.ent.child.example.", dns.TypeA, Secure, 0},
				{"ent.child.example.", dns.TypeTXT, Secure, 0},
				{"www.grand.child.example.", dns.TypeA, Secure, 0},
				{"child.example.", dns.TypeDS, Secure, 0},
				{"child.example.", dns.TypeDNSKEY, Secure, 0},
				{"child.example.", dns.TypeTXT, Secure, 0},
				{"www.child.example.", dns.TypeDS, Secure, 0},
				{"nope.child.example.", dns.TypeA, uncertain, why},
				{"a.b.c.nope.child.example.", dns.TypeA, uncertain, why},
				{"nope.example.", dns.TypeA, uncertain, why},
				{"unsigned.example.", dns.TypeDS, uncertain, why},
				{"www.unsigned.example.", dns.TypeA, Insecure, ReasonUnsigned},
				{"www.unsigned.example.", dns.TypeTXT, Insecure, ReasonUnsigned},
				{"nope.unsigned.example.", dns.TypeA, Insecure, ReasonUnsigned},
				{"www.plain.", dns.TypeA, Insecure, ReasonUnsigned},
				{"nope.", dns.TypeA, Secure, 0},
			} {
				if c.reason == ReasonUnsigned && o.optOut && strings.HasSuffix(c.qname, "example.") {
					c.reason = ReasonOptOut
				}
				w.expect(c.qname, c.qtype, c.status, c.reason)
			}
			if o.compact {
				return
			}
			for _, c := range []struct {
				qname string
				qtype uint16
			}{
				{"a.wild.child.example.", dns.TypeA},
				{"a.b.c.wild.child.example.", dns.TypeMX},
				{"a.b.c.wild.child.example.", dns.TypeTXT},
				{"foo.alias.child.example.", dns.TypeA},
				{"b.wild.child.example.", dns.TypeTXT},
			} {
				w.expect(c.qname, c.qtype, uncertain, why)
			}
			w.expect("*.wild.child.example.", dns.TypeA, Secure, 0)
			w.expect("y.wild.child.example.", dns.TypeA, Secure, 0)
		})
	}
}
