package resolver_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestAttackStaleOverBogusGoneOtherwise: that a zone's DS or keys are gone may be learnt by any Secure
// answer, not only while data of the zone is validated. Data of the old zone is not returned then,
// when the domain above is broken later, nor when the cache has lost that answer meanwhile.
func TestAttackStaleOverBogusGoneOtherwise(t *testing.T) {
	const records = "\n$TTL 60\nwww A 192.0.2.66\n"
	for _, c := range []struct {
		about, change string
		qname         string
		qtype         uint16
		outage        string
	}{
		{"a client asks for the DS, which is gone", "-- zone shop.test. no-ds --" + records, "shop.test.", dns.TypeDS, "corrupt:shop/NSEC"},
		{"a client asks for the DS, which is another", "-- zone shop.test. ksk=2 zsk=2 sign=2 ds=2 --" + records, "shop.test.", dns.TypeDS, "corrupt:shop/DS"},
		{"a client asks for the keys, of which one is gone", "-- zone shop.test. ksk=1 zsk=2 sign=2 --" + records, "shop.test.", dns.TypeDNSKEY, "corrupt:shop/DS"},
		{"the keys come with other data", "-- zone shop.test. ksk=1 zsk=2 sign=2 --" + records, "www.shop.test.", dns.TypeMX, "corrupt:shop/DS"},
	} {
		t.Run(c.about, func(t *testing.T) {
			inWorld(t, outageWorld, func(w *world) {
				w.learnt("www.shop.test.", "away.shop.test.")
				w.update(c.change)
				if o := w.ask(c.qname, c.qtype); o.err != nil || o.Status != dnssec.Secure {
					t.Fatalf("got %v, want it Secure", o)
				}
				time.Sleep(2 * time.Hour)
				w.outage("signed break=" + c.outage)
				w.wantBogus("www.shop.test.", dns.TypeA)
				w.wantBogus("away.shop.test.", dns.TypeA)
			}, staleOverBogus, ipv4Only)
		})
	}
	// The zone itself is gone, and its names are denied, or are names of the zone above now.
	for about, c := range map[string]struct{ zone, qname string }{
		"denied":         {"$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\nother A 192.0.2.1\n", "new.shop.test."},
		"taken over":     {"$TTL 60\nother A 192.0.2.1\nshop A 192.0.2.2\n", "shop.test."},
		"partly so":      {"$TTL 60\nother A 192.0.2.1\nnew.shop A 192.0.2.2\n", "new.shop.test."},
		"an alias there": {"$TTL 60\nother A 192.0.2.1\nshop CNAME other\n", "shop.test."},
	} {
		t.Run(about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := resolvertest.New(t, outageWorld)
				since := resolvertest.New(t, "-- zone test. at 198.51.100.2 signed --\n"+c.zone)
				var gone atomic.Bool
				kept := cache.New(cache.Options{KeepStale: 24 * time.Hour})
				r := before.Resolver(t, staleOverBogus, ipv4Only, func(o *resolver.Options) {
					o.Cache = kept
					o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
						if gone.Load() {
							return since.Dial(ctx, network, address)
						}
						return before.Dial(ctx, network, address)
					}
				})
				w := &world{t, since, r}
				w.learnt("www.shop.test.")
				gone.Store(true)
				if o := w.ask(c.qname, dns.TypeA); o.err != nil || o.Status != dnssec.Secure || o.Stale {
					t.Fatalf("got %v, want it Secure", o)
				}
				time.Sleep(2 * time.Hour)
				for _, name := range []string{"new.shop.test", "shop.test", "other.test"} { // as when the cache is full
					if _, err := kept.Purge(name); err != nil {
						t.Fatal(err)
					}
				}
				w.update("-- zone test. signed break=corrupt --\n$TTL 60\nwww.shop A 192.0.2.66\n")
				w.wantBogus("www.shop.test.", dns.TypeA)
			})
		})
	}
}

// TestAttackStaleOverBogusAliases: the worst part of a chain decides, and no part is what was never
// validated.
func TestAttackStaleOverBogusAliases(t *testing.T) {
	const text = outageWorld + "into    CNAME   www.shop.test.\n"
	zones := strings.Replace(text, "under   DNAME", "out     CNAME   www.plain.test.\nunder   DNAME", 1)
	const outOfOrder = "-- zone shop.test. signed break=corrupt --\n$TTL 60\nwww A 192.0.2.66\nout CNAME evil.test.\nunder DNAME evil.test.\n"
	stale := func(w *world, name string, status dnssec.Status, records ...string) {
		w.Helper()
		o := w.ask(name, dns.TypeA)
		if o.unsigned().check(w, name, dns.RcodeSuccess, records...); o.err == nil && (!o.Stale || o.Status != status) {
			w.Errorf("%s: got stale %t, %v; want stale, %v", name, o.Stale, o.Status, status)
		}
		query := ask(name, dns.TypeA, withDO)
		if reply := exchanged(w.T, w.r, query); reply.AuthenticatedData != (status == dnssec.Secure) {
			w.Errorf("%s: AD is %t for %v", name, reply.AuthenticatedData, status)
		}
	}
	inWorld(t, zones, func(w *world) {
		w.learnt("into.plain.test.", "out.shop.test.", "www.under.shop.test.", "www.plain.test.")
		w.update(outOfOrder)
		stale(w, "into.plain.test.", dnssec.Insecure, "into.plain.test. CNAME www.shop.test.", "www.shop.test. A 192.0.2.80")
		stale(w, "out.shop.test.", dnssec.Insecure, "out.shop.test. CNAME www.plain.test.", "www.plain.test. A 192.0.2.85")
		stale(w, "www.under.shop.test.", dnssec.Secure, "under.shop.test. DNAME host.test.", "www.under.shop.test. CNAME www.host.test.", "www.host.test. A 192.0.2.81")
		// The old alias leads to new data, of the unsigned zone too.
		w.update("-- zone plain.test. --\n$TTL 60\nwww A 192.0.2.99\n")
		time.Sleep(10 * time.Minute)
		stale(w, "out.shop.test.", dnssec.Insecure, "out.shop.test. CNAME www.plain.test.", "www.plain.test. A 192.0.2.99")
	}, staleOverBogus, ipv4Only)
	// The proof that the target's zone is unsigned is bogus: the target is not returned, so neither is
	// the alias, though it is Secure.
	for _, options := range []func(*resolver.Options){func(*resolver.Options) {}, serveStale} {
		inWorld(t, zones, func(w *world) {
			w.learnt("into.plain.test.", "out.shop.test.")
			w.outage("signed break=corrupt")
			w.wantBogus("out.shop.test.", dns.TypeA)
			w.wantBogus("into.plain.test.", dns.TypeA)
			w.wantBogus("www.plain.test.", dns.TypeA)
		}, staleOverBogus, ipv4Only, options)
	}
}

// TestAttackStaleOverBogusSynthesis: expired denials and wildcards answer for the names that they were
// received for, and for no others.
func TestAttackStaleOverBogusSynthesis(t *testing.T) {
	for _, how := range []string{"signed", "nsec3"} {
		inWorld(t, strings.Replace(outageWorld, "198.51.100.3 signed", "198.51.100.3 "+how, 1), func(w *world) {
			w.learnt("none.shop.test.", "one.w.shop.test.", "www.under.shop.test.")
			w.outage("signed break=corrupt:shop/DS")
			w.wantOverBogus("none.shop.test.", dns.RcodeNameError, dns.ExtendedErrorCodeDNSBogus)
			w.wantOverBogus("one.w.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus, "one.w.shop.test. A 192.0.2.82")
			for _, name := range []string{"nonf.shop.test.", "below.none.shop.test.", "two.w.shop.test.", "below.one.w.shop.test.", "w.shop.test."} {
				w.wantBogus(name, dns.TypeA)
			}
			for _, qtype := range []uint16{dns.TypeMX, dns.TypeNSEC, dns.TypeANY} {
				w.wantBogus("one.w.shop.test.", qtype)
			}
			if o := w.ask("one.w.shop.test.", dns.TypeRRSIG); o.err == nil && (o.Stale || o.Status == dnssec.Secure) { // cannot be validated
				t.Errorf("got stale %t, %v signatures", o.Stale, o.Status)
			}
			query := ask("none.shop.test.", dns.TypeA, withDO, withoutRD) // nothing is looked for
			if reply := exchanged(w.T, w.r, query); reply.Rcode == dns.RcodeNameError || len(reply.Answer) > 0 {
				t.Errorf("without RD: got %v", reply)
			}
		}, staleOverBogus, ipv4Only)
	}
}

// TestAttackStaleOverBogusNSEC3: the top-level domain's own proofs are broken. Signed zones below are
// answered as before, but no expired data of unsigned ones: it was not validated. What is known to
// be unsigned stays so until that has expired.
func TestAttackStaleOverBogusNSEC3(t *testing.T) {
	for _, how := range []string{"nsec3", "opt-out"} {
		for _, options := range []func(*resolver.Options){func(*resolver.Options) {}, serveStale} {
			inWorld(t, strings.Replace(outageWorld, "198.51.100.2 signed", "198.51.100.2 "+how, 1), func(w *world) {
				w.ask("www.plain.test.", dns.TypeA)
				w.ask("www.shop.test.", dns.TypeA)
				time.Sleep(2 * time.Minute)
				w.outage(how + " break=corrupt:/NSEC3")
				w.wantNew("www.plain.test.", dnssec.Insecure, "www.plain.test. A 192.0.2.85")
				w.wantNew("www.shop.test.", dnssec.Secure, "www.shop.test. A 192.0.2.80")
				time.Sleep(2 * time.Hour)
				w.wantBogus("www.plain.test.", dns.TypeA)
				w.wantNew("www.shop.test.", dnssec.Secure, "www.shop.test. A 192.0.2.80")
				time.Sleep(2 * time.Hour)
				w.outage(how + " break=corrupt:/NSEC3 break=corrupt:shop/DS")
				w.wantBogus("www.plain.test.", dns.TypeA)
				w.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus, "www.shop.test. A 192.0.2.80")
			}, staleOverBogus, ipv4Only, options)
		}
	}
}

// TestAttackStaleOverBogusLostLink: without one link of the chain, as when it was pushed out, there is
// no answer; keys and DS are not taken on trust.
func TestAttackStaleOverBogusLostLink(t *testing.T) {
	for _, lost := range []struct {
		zone  string
		types []uint16
	}{{"", nil}, {"shop.test.", []uint16{dns.TypeDNSKEY}}, {"shop.test.", []uint16{dns.TypeDS}}, {"test.", []uint16{dns.TypeDNSKEY}}, {"test.", []uint16{dns.TypeDS}}, {".", []uint16{dns.TypeDNSKEY}}} {
		inWorld(t, outageWorld, func(w *world) {
			w.learnt("www.shop.test.")
			w.outage("zsk=1 sign=2")
			w.in.ResetLog()
			w.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSKEYMissing, "www.shop.test. A 192.0.2.80")
			w.r.ForgetProof(lost.zone, lost.types...)
			if o := w.ask("www.shop.test.", dns.TypeA); (o.err == nil) != (lost.types == nil) {
				t.Errorf("without %v of %q: got %v", lost.types, lost.zone, o)
			}
		}, staleOverBogus, ipv4Only)
	}
}

// TestAttackStaleOverBogusViews: a change of routes or anchors brings up nothing that was learnt
// otherwise.
func TestAttackStaleOverBogusViews(t *testing.T) {
	inWorld(t, outageWorld, func(w *world) {
		route, err := resolver.ParseRoute("shop.test=198.51.100.3,stub,unsigned")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.r.SetRoutes([]resolver.Route{route}); err != nil {
			t.Fatal(err)
		}
		w.learnt("www.shop.test.") // of the route, where nothing is validated
		if err := w.r.SetRoutes(nil); err != nil {
			t.Fatal(err)
		}
		w.learnt("away.shop.test.")
		w.outage("signed break=corrupt:shop/DS")
		w.wantBogus("www.shop.test.", dns.TypeA)
		// With a route to the same zone that is validated, what iteration knew does not count.
		if route, err = resolver.ParseRoute("shop.test=198.51.100.3,stub"); err != nil {
			t.Fatal(err)
		}
		if err := w.r.SetRoutes([]resolver.Route{route}); err != nil {
			t.Fatal(err)
		}
		w.wantBogus("away.shop.test.", dns.TypeA)
		if err := w.r.SetRoutes(nil); err != nil {
			t.Fatal(err)
		}
		w.wantOverBogus("away.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus, "away.shop.test. CNAME www.host.test.", "www.host.test. A 192.0.2.81")
	}, staleOverBogus, ipv4Only)
}

// TestAttackStaleOverBogusSecondLevel: what a second level holds is as good as what servers send, when it
// comes: a resolver that had nothing itself returns nothing expired of it, and lies in it change
// nothing for one that had.
func TestAttackStaleOverBogusSecondLevel(t *testing.T) {
	fleet(t, outageWorld, func(w *world, s *store) {
		other := w.replica(secondLevelUse(s), ipv4Only, staleOverBogus)
		other.learnt("www.shop.test.")
		w.outage("signed break=corrupt:shop/DS")
		w.wantBogus("www.shop.test.", dns.TypeA)
		other.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus, "www.shop.test. A 192.0.2.80")
		if _, ok := w.r.AppendHit(nil, packed(t, ask("www.shop.test.", dns.TypeA)), 1232); ok {
			t.Error("what is expired was shared")
		}
		w.wantBogus("www.shop.test.", dns.TypeA) // nor did the other one write it
		s.change(func() {
			for k, v := range s.values {
				for i := range v.value {
					v.value[i] ^= 0x55
				}
				s.values[k] = v
			}
		})
		time.Sleep(10 * time.Minute)
		other.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus, "www.shop.test. A 192.0.2.80")
	}, staleOverBogus)
}

// TestAttackStaleOverBogusSignatures: each part of an answer has to be signed still, not only the longest
// signed one.
func TestAttackStaleOverBogusSignatures(t *testing.T) {
	for _, c := range []struct{ name, ending string }{
		{"one.w.shop.test.", "*.w/A"}, {"one.w.shop.test.", "/NSEC"},
		{"away.shop.test.", "away/CNAME"}, {"none.shop.test.", "/NSEC"}, {"none.shop.test.", "/SOA"},
		{"www.under.shop.test.", "under/DNAME"},
	} {
		for _, ends := range []bool{false, true} {
			text := outageWorld
			if ends {
				text = strings.Replace(text, "198.51.100.3 signed", "198.51.100.3 signed break=ending:"+c.ending, 1)
			}
			inWorld(t, text, func(w *world) {
				w.ask(c.name, dns.TypeA)
				time.Sleep(70 * time.Second) // the TTL of zones is longer than the signature's life
				w.outage("signed break=corrupt:shop/DS")
				w.update("-- zone shop.test. ksk=1 zsk=1 sign=2 --\n$TTL 60\nevil A 192.0.2.66\n")
				o := w.ask(c.name, dns.TypeA)
				if (o.err == nil) == ends || !ends && !o.Stale {
					t.Errorf("%s, %s ends: %t: got %v", c.name, c.ending, ends, o)
				}
			}, staleOverBogus, ipv4Only)
		}
	}
}

// TestAttackStaleOverBogusNetResolver: the methods of package net, and the resolver for code that takes a
// *net.Resolver, return what Resolve does, and an error where that is bogus.
func TestAttackStaleOverBogusNetResolver(t *testing.T) {
	inWorld(t, outageWorld, func(w *world) {
		w.learnt("www.shop.test.", "www.plain.test.")
		w.outage("signed break=corrupt")
		for name, want := range map[string][]string{"www.shop.test.": {"192.0.2.80"}, "www.plain.test.": nil, "new.shop.test.": nil} {
			addrs, err := w.r.NetResolver().LookupHost(w.Context(), name)
			if (err == nil) != (want != nil) || !slices.Equal(addrs, want) {
				t.Errorf("%s: got %v, %v, want %v", name, addrs, err, want)
			}
		}
	}, staleOverBogus, ipv4Only)
}
