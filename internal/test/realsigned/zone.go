package realsigned

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/realserver"
)

// zone is a zone that a product has signed.
type zone struct {
	origin    string
	algorithm uint8
	denial    string // "nsec", "nsec3" or "optout"
	product   realserver.Product
	text      string          // signed
	anchors   []dnssec.Anchor // of its key signing keys
}

// serverAddr is where a product answers for signed zones, as far as the zones say.
func serverAddr(p realserver.Product) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 51, 100, 10 + byte(p)})
}

// unsignedText is the zone before it is signed. The address of "bad" is changed after.
func (z *zone) unsignedText() string {
	return fmt.Sprintf(`$ORIGIN %s
$TTL 300
@        SOA   ns hostmaster 1 3600 600 604800 300
@        NS    ns
ns       A     %s
www      A     192.0.2.80
bad      A     %s
*.wild   A     192.0.2.81
leaf.ent A     192.0.2.82
alias    CNAME www
old      DNAME new
www.new  A     192.0.2.83
plain    NS    ns
plain2   NS    ns
`, z.origin, serverAddr(z.product), goodAddress)
}

const goodAddress, badAddress = "192.0.2.66", "192.0.2.67"

// isWork reports whether the algorithm can go with the denial: the first that signed did
// not know NSEC3 (RFC 5155 §2).
func (z *zone) isWork() bool { return z.algorithm != 5 || z.denial == "nsec" }

// signAll signs zones in all ways that the products have, and serves them in turns by
// those that serve zones.
func signAll(t *testing.T, algorithms []uint8) []*zone {
	t.Helper()
	if algorithms == nil {
		algorithms = []uint8{5, 7, 8, 10, 13, 14, 15, 16}
	}
	var zones []*zone
	products := realserver.Products()
	for _, s := range signers() {
		for _, program := range s.programs {
			realserver.Program(t, program)
		}
		for _, algorithm := range algorithms {
			for _, denial := range []string{"nsec", "nsec3", "optout"} {
				z := &zone{
					origin:    fmt.Sprintf("%s-%d-%s.example.", s.name, algorithm, denial),
					algorithm: algorithm, denial: denial, product: products[len(zones)%len(products)],
				}
				if !z.isWork() || denial == "optout" && algorithm != 8 && algorithm != 13 {
					continue
				}
				dir := t.TempDir()
				writeFile(t, dir, zoneFile, z.unsignedText())
				z.text = strings.ReplaceAll(s.sign(t, dir, z, s.algorithms[algorithm]), goodAddress, badAddress)
				z.readAnchors(t)
				zones = append(zones, z)
			}
		}
	}
	return zones
}

// readAnchors finds the zone's key signing keys.
func (z *zone) readAnchors(t *testing.T) {
	t.Helper()
	parser := dns.NewZoneParser(strings.NewReader(z.text), z.origin, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if key, isKey := rr.(*dns.DNSKEY); isKey && key.Flags == dns.ZONE|dns.SEP {
			anchor, err := dnssec.NewAnchor(key.ToDS(dns.SHA256))
			if err != nil {
				t.Fatalf("%s: %v", z.origin, err)
			}
			z.anchors = append(z.anchors, anchor)
		}
	}
	if err := parser.Err(); err != nil || len(z.anchors) == 0 {
		t.Fatalf("%s: %d key signing keys, %v", z.origin, len(z.anchors), err)
	}
}

// question is a question about each zone, $, and what validation has to say.
type question struct {
	kind, name string
	qtype      uint16
	rcode      int
	ad         bool
}

func (z *zone) questions() []question {
	full := z.denial != "optout" // else nonexistence is not certain, RFC 5155 §9.2
	// ldns sets the flag, but leaves no delegation out.
	noDS := full || strings.HasPrefix(z.origin, "ldns")
	return []question{
		{"positive", "www.$", dns.TypeA, dns.RcodeSuccess, true},
		{"changed", "bad.$", dns.TypeA, dns.RcodeServerFailure, false},
		{"NODATA", "www.$", dns.TypeMX, dns.RcodeSuccess, true},
		{"NODATA at the apex", "$", dns.TypeMX, dns.RcodeSuccess, true},
		{"NXDOMAIN", "missing.$", dns.TypeA, dns.RcodeNameError, full},
		{"NXDOMAIN, deep", "a.b.missing.$", dns.TypeA, dns.RcodeNameError, full},
		{"empty non-terminal", "ent.$", dns.TypeA, dns.RcodeSuccess, true},
		{"below it", "leaf.ent.$", dns.TypeA, dns.RcodeSuccess, true},
		{"wildcard", "a.wild.$", dns.TypeA, dns.RcodeSuccess, full},
		{"wildcard, deep", "a.b.wild.$", dns.TypeA, dns.RcodeSuccess, full},
		{"wildcard NODATA", "a.wild.$", dns.TypeMX, dns.RcodeSuccess, full},
		{"CNAME", "alias.$", dns.TypeA, dns.RcodeSuccess, true},
		{"DNAME", "www.old.$", dns.TypeA, dns.RcodeSuccess, true},
		{"no DS", "plain.$", dns.TypeDS, dns.RcodeSuccess, noDS},
		{"unsigned child", "www.plain.$", dns.TypeA, dns.RcodeSuccess, false},
		{"keys", "$", dns.TypeDNSKEY, dns.RcodeSuccess, true},
		{"SOA", "$", dns.TypeSOA, dns.RcodeSuccess, true},
	}
}
