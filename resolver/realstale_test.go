package resolver_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/resolver"
)

// signedBy returns a zone that BIND has signed with one key for a month.
func (p *privateRoot) signedBy(key, origin, text string) string {
	if err := os.WriteFile(filepath.Join(p.dir, "zone"), []byte(text+p.record(key)), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.run("dnssec-signzone", "-q", "-z", "-o", origin, "-f", "signed", "zone", key)
	signed, err := os.ReadFile(filepath.Join(p.dir, "signed"))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(signed)
}

// spoilt returns a zone in which the signature over one RRset is wrong.
func spoilt(t *testing.T, zone, origin, owner string, covered uint16) string {
	t.Helper()
	var b strings.Builder
	n := 0
	parser := dns.NewZoneParser(strings.NewReader(zone), origin, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if sig, ok := rr.(*dns.RRSIG); ok && sig.Hdr.Name == owner && sig.TypeCovered == covered {
			first := "A"
			if strings.HasPrefix(sig.Signature, first) {
				first = "B"
			}
			sig.Signature = first + sig.Signature[1:]
			n++
		}
		b.WriteString(rr.String() + "\n")
	}
	if err := parser.Err(); err != nil || n != 1 {
		t.Fatalf("%s/%s: found %d signatures, %v", owner, dns.Type(covered), n, err)
	}
	return b.String()
}

// A zone, or the one above, that BIND's tools have signed and that real servers serve has a wrong
// signature after an update: while it has, what was Secure is answered, and then what is new.
func TestRealStaleOverBogus(t *testing.T) {
	p := &privateRoot{t: t, dir: realserver.TempDir(t)}
	rootKey := p.key("ECDSAP256SHA256", "-f", "KSK")
	key := p.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "shop.")
	anchors, err := dnssec.ParseAnchors(strings.NewReader(p.run("dnssec-dsfromkey", "-2", rootKey+".key")))
	if err != nil {
		t.Fatal(err)
	}
	root := p.signedBy(rootKey, ".", "$TTL 3600\n@ SOA ns. admin. 1 3600 600 86400 60\n@ NS ns.\nns A 198.18.0.1\n"+
		"shop NS ns.shop.\nns.shop A 198.18.0.2\n"+p.run("dnssec-dsfromkey", "-2", key+".key")+"\n")
	shop := func(addr string) string {
		return p.signedBy(key, "shop.", "$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 198.18.0.2\nwww A "+addr+"\n")
	}
	before, after := shop("192.0.2.80"), shop("192.0.2.99")
	for _, c := range []struct {
		about      string
		product    realserver.Product
		root, shop string // while one signature is wrong
	}{
		{"the data", realserver.NSD, root, spoilt(t, after, "shop.", "www.shop.", dns.TypeA)},
		{"the keys", realserver.Knot, root, spoilt(t, after, "shop.", "shop.", dns.TypeDNSKEY)},
		{"the DS", realserver.BIND, spoilt(t, root, ".", "shop.", dns.TypeDS), after},
	} {
		t.Run(c.about, func(t *testing.T) {
			w := &realShop{T: t, product: c.product, router: realserver.NewRouter(netip.AddrPort{}), anchors: anchors, start: time.Now()}
			w.serve(root, before)
			r := w.resolver(true)
			w.want(r, "192.0.2.80", false)
			w.serve(c.root, c.shop)
			w.want(r, "192.0.2.80", false) // from the cache
			w.pass(2 * time.Hour)          // more than every TTL
			w.want(r, "192.0.2.80", true)
			w.wantBogus(w.resolver(false))
			w.pass(10 * time.Minute) // more than a failure is remembered
			w.want(r, "192.0.2.80", true)
			if s := r.Stats(); s.StaleOverBogus != 2 {
				t.Errorf("Stats counts %d stale answers over bogus ones, want 2", s.StaleOverBogus)
			}
			w.serve(root, after)
			w.pass(10 * time.Minute)
			w.want(r, "192.0.2.99", false)
		})
	}
}

// realShop is a root zone and one below it, each on a server of its own.
type realShop struct {
	*testing.T
	product realserver.Product
	router  *realserver.Router
	anchors []dnssec.Anchor
	start   time.Time
	passed  atomic.Int64 // since start on resolvers' clocks, a time.Duration: they move by pass only
}

// serve puts zones in the place of those that were served.
func (w *realShop) serve(root, shop string) {
	w.Helper()
	w.router.Route(realserver.Start(w, w.product, realserver.Zone{Origin: ".", Text: root}).Addr(), netip.MustParseAddr("198.18.0.1"))
	w.router.Route(realserver.Start(w, w.product, realserver.Zone{Origin: "shop.", Text: shop}).Addr(), netip.MustParseAddr("198.18.0.2"))
}

func (w *realShop) pass(d time.Duration) { w.passed.Add(int64(d)) }

func (w *realShop) resolver(stale bool) *resolver.Resolver {
	w.Helper()
	r, err := resolver.New(resolver.Options{
		RootHints: &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{{
			Name: dnsname.MustParse("ns."), Bailiwick: glue.InDomain, Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.1")},
		}}},
		TrustAnchors: w.anchors, ServeStaleOverBogus: stale,
		Now:         func() time.Time { return w.start.Add(time.Duration(w.passed.Load())) },
		AllowServer: func(netip.Addr) bool { return true }, Dial: w.router.Dial,
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := r.Close(); err != nil {
			w.Error(err)
		}
	})
	return r
}

// want wants a Secure answer with that address, and where it is stale the extended errors that say so
// and why.
func (w *realShop) want(r *resolver.Resolver, addr string, stale bool) {
	w.Helper()
	result, err := r.Resolve(w.Context(), "www.shop.", dns.TypeA)
	if err != nil {
		w.Fatal(err)
	}
	a, ok := result.Answer[0].(*dns.A)
	if !ok || a.A.String() != addr || result.Stale != stale || result.Status != dnssec.Secure || result.TTL > time.Minute {
		w.Errorf("got %v, stale %t, %v, want %s, stale %t, Secure", result.Answer, result.Stale, result.Status, addr, stale)
	}
	var codes []uint16
	for _, e := range result.Extended {
		codes = append(codes, e.Code)
	}
	slices.Sort(codes)
	var wantCodes []uint16
	if stale {
		wantCodes = []uint16{dns.ExtendedErrorCodeStaleAnswer, dns.ExtendedErrorCodeDNSBogus}
	}
	if !slices.Equal(codes, wantCodes) {
		w.Errorf("stale %t: got the extended errors %v, want %v", stale, result.Extended, wantCodes)
	}
}

// wantBogus wants that a resolver without the option refuses the new data.
func (w *realShop) wantBogus(r *resolver.Resolver) {
	w.Helper()
	result, err := r.Resolve(w.Context(), "www.shop.", dns.TypeA)
	var failed *resolver.Error
	if !errors.As(err, &failed) || failed.Status != dnssec.Bogus {
		w.Errorf("without the option: got %v, %v, want bogus", result, err)
	}
}
