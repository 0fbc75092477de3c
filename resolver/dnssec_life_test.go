package resolver_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// A denial is Secure for no longer than the signatures that it rests on are valid (RFC 4035
// §5.3.3), whatever its TTLs say: not for the name that it came for, nor for others that it
// denies too (RFC 8198 §5.4), nor as the proof of a wildcard's answer.
func TestDenialsEndWithTheirSignatures(t *testing.T) {
	const soa = "$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 3000\n"
	for _, c := range []struct {
		about, header, records string
		first, again, other    string
		rcode                  int
	}{
		{"name error, NSEC", "break=ending:NSEC", "b A 192.0.2.80\n", "c", "c", "d", dns.RcodeNameError},
		{"name error, NSEC3", "nsec3 break=ending:NSEC3", "b A 192.0.2.80\n", "c", "c", "d", dns.RcodeNameError},
		{"name error, SOA", "break=ending:SOA", "b A 192.0.2.80\n", "c", "c", "d", dns.RcodeNameError},
		{"no data", "break=ending:b/NSEC", "b TXT x\n", "b", "b", "b", dns.RcodeSuccess},
		{"wildcard", "break=ending:NSEC", "*.w A 192.0.2.80\n", "one.w", "one.w", "two.w", dns.RcodeSuccess},
	} {
		text := "-- zone shop.example. at 198.51.100.3 signed " + c.header + " --\n" + soa + c.records
		inWorld(t, text, func(w *world) {
			o := w.ask(c.first+".shop.example.", dns.TypeA)
			if o.err != nil || o.Rcode != c.rcode || o.Status != dnssec.Secure || o.TTL > time.Minute {
				w.Fatalf("%s: got %v for %v, %v; want %s, Secure, for a minute at most", c.about, o, o.TTL, o.err, dns.RcodeToString[c.rcode])
			}
			if o := w.ask(c.again+".shop.example.", dns.TypeA); o.err != nil || o.TTL > time.Minute || o.sends != 0 {
				w.Errorf("%s: out of the cache got %v for %v, %v; want it for a minute at most", c.about, o, o.TTL, o.err)
			}
			time.Sleep(70 * time.Second)
			for _, name := range []string{c.again, c.other} {
				if o := w.ask(name+".shop.example.", dns.TypeA); o.err == nil {
					w.Errorf("%s: %s after the signature's end: got %v %v for %v, want an error", c.about, name, o, o.Status, o.TTL)
				}
			}
		}, ipv4Only)
	}
}

// A DS in a referral is the parent's data, and is kept for no longer than the parent itself
// is leased from the zone above it.
func TestDSEndsWithTheLeaseOfItsZone(t *testing.T) {
	const text = `-- zone . at 198.51.100.1 signed --
$TTL 60
example NS ns.example.
ns.example A 198.51.100.2
-- zone example. at 198.51.100.2 signed --
$TTL 3600
-- zone shop.example. at 198.51.100.3 signed --
$TTL 3600
www A 192.0.2.80
`
	c := cache.New(cache.Options{})
	inWorld(t, text, func(w *world) {
		if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil || o.Status != dnssec.Secure {
			w.Fatalf("got %v, %v; want it Secure", o, o.err)
		}
		kept := false
		c.Walk(time.Now(), func(e cache.Entry) bool {
			if e.Type == dns.TypeDS && e.Name.String() == "shop.example." && e.Kind == cache.KindRRset {
				kept = true
				if e.TTL > 60 {
					w.Errorf("the DS of %s is kept for %d s, though example. is leased for 60", e.Name, e.TTL)
				}
			}
			return true
		})
		if !kept {
			w.Error("the DS was not kept")
		}
	}, ipv4Only, func(o *resolver.Options) { o.Cache = c })
}
