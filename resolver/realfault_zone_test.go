package resolver_test

import (
	"crypto"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// faultTTL is how long what these zones say lives, in seconds: short, so that the tests
	// see it end.
	faultTTL = 2
	// faultNames is how many names a zone has.
	faultNames = 100
)

// zoneKey is a key of a zone, for all its records: what is rolled is not told apart.
type zoneKey struct {
	*dns.DNSKEY
	private crypto.Signer
}

func newZoneKey(t *testing.T, origin string) zoneKey {
	t.Helper()
	k := zoneKey{DNSKEY: &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: origin, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: faultTTL},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: dns.ED25519,
	}}
	private, err := k.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	k.private = private.(crypto.Signer)
	return k
}

// ds is the key's DS record, as text.
func (k zoneKey) ds() string { return k.ToDS(dns.SHA256).String() + "\n" }

// faultZone is one version of the zone that the tests of faults ask about: all its names
// have the version as their address.
func faultZone(t *testing.T, origin string, version int, addrs []string, keys ...zoneKey) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "@ %d SOA ns0 hostmaster %d 7200 3600 86400 %d\n", faultTTL, version, faultTTL)
	for i, addr := range addrs {
		fmt.Fprintf(&b, "@ 300 NS ns%d\nns%d 300 A %s\n", i, i, addr)
	}
	for i := range faultNames {
		fmt.Fprintf(&b, "n%d %d A %s\n", i, faultTTL, versionAddr(version))
	}
	// Its name is there in odd versions only.
	if version%2 == 1 {
		fmt.Fprintf(&b, "odd %d A %s\n", faultTTL, versionAddr(version))
	}
	return signedZone(t, origin, b.String(), keys)
}

func versionAddr(version int) string { return fmt.Sprintf("192.0.2.%d", version) }

// faultRoot is a root zone that delegates one zone.
func faultRoot(t *testing.T, key zoneKey, origin string, addrs []string, children ...zoneKey) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(". 300 SOA ns. hostmaster. 1 3600 600 604800 2\n. 300 NS ns.\nns. 300 A 198.18.0.1\n")
	for i, addr := range addrs {
		fmt.Fprintf(&b, "%[1]s 300 NS ns%[2]d.%[1]s\nns%[2]d.%[1]s 300 A %[3]s\n", origin, i, addr)
	}
	for _, child := range children {
		b.WriteString(child.ds())
	}
	return signedZone(t, ".", b.String(), []zoneKey{key})
}

// signedZone signs a zone with all keys, and a chain of NSEC records.
func signedZone(t *testing.T, origin, text string, keys []zoneKey) string {
	t.Helper()
	z := recordSets{}
	parser := dns.NewZoneParser(strings.NewReader(text), origin, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		z.add(rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		z.add(key.DNSKEY)
	}
	owners := z.owners(origin)
	for i, name := range owners {
		types := append(slices.Collect(maps.Keys(z[name])), dns.TypeRRSIG, dns.TypeNSEC)
		slices.Sort(types)
		z.add(&dns.NSEC{
			Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: faultTTL},
			NextDomain: owners[(i+1)%len(owners)], TypeBitMap: types,
		})
	}
	for _, name := range owners {
		for _, rrtype := range slices.Collect(maps.Keys(z[name])) {
			// At a delegation the rest is the child's (RFC 4035 §2.2).
			if z.isCut(name, origin) && rrtype != dns.TypeDS && rrtype != dns.TypeNSEC {
				continue
			}
			for _, key := range keys {
				z.add(signature(t, origin, key, z[name][rrtype]))
			}
		}
	}
	return z.String()
}

// recordSets are the RRsets of a zone by owner and type.
type recordSets map[string]map[uint16][]dns.RR

func (z recordSets) add(rr dns.RR) {
	h := rr.Header()
	if z[h.Name] == nil {
		z[h.Name] = make(map[uint16][]dns.RR)
	}
	z[h.Name][h.Rrtype] = append(z[h.Name][h.Rrtype], rr)
}

func (z recordSets) isCut(name, origin string) bool {
	return name != origin && len(z[name][dns.TypeNS]) > 0
}

// owners are the names that are the zone's own, not those below a delegation, in canonical
// order.
func (z recordSets) owners(origin string) []string {
	var owners []string
	for name := range z {
		n, isGlue := dnsname.MustParse(name), false
		for n = n.Parent(); !isGlue && !n.IsRoot(); n = n.Parent() {
			isGlue = z.isCut(n.String(), origin)
		}
		if !isGlue {
			owners = append(owners, name)
		}
	}
	slices.SortFunc(owners, func(a, b string) int {
		return dnsname.Compare(dnsname.MustParse(a), dnsname.MustParse(b))
	})
	return owners
}

// String is the zone file.
func (z recordSets) String() string {
	var b strings.Builder
	for _, types := range z {
		for _, set := range types {
			for _, rr := range set {
				fmt.Fprintln(&b, rr)
			}
		}
	}
	return b.String()
}

// signature signs an RRset.
func signature(t *testing.T, origin string, key zoneKey, set []dns.RR) *dns.RRSIG {
	t.Helper()
	now := time.Now()
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Name: set[0].Header().Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: set[0].Header().Ttl},
		Algorithm: key.Algorithm, KeyTag: key.KeyTag(), SignerName: origin,
		Inception: uint32(now.Add(-time.Hour).Unix()), Expiration: uint32(now.Add(24 * time.Hour).Unix()),
	}
	if err := sig.Sign(key.private, set); err != nil {
		t.Fatal(err)
	}
	return sig
}

// versionOf reads the version out of an answer's address.
func versionOf(a *dns.A) (int, bool) {
	if v := a.A.To4(); v != nil && net.IP(v[:3]).Equal(net.IP{192, 0, 2}) {
		return int(v[3]), true
	}
	return 0, false
}
