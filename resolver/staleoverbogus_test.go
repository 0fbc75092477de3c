package resolver_test

import (
	"errors"
	"fmt"
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

func staleOverBogus(o *resolver.Options) { o.ServeStaleOverBogus = true }

// outageWorld has a top-level domain, in which zones are signed or not.
const outageWorld = `
-- zone test. at 198.51.100.2 signed --
-- zone shop.test. at 198.51.100.3 signed --
$TTL 60
@       SOA     ns hostmaster 1 3600 600 86400 60
www     A       192.0.2.80
away    CNAME   www.host.test.
under   DNAME   host.test.
*.w     A       192.0.2.82
-- zone host.test. at 198.51.100.4 signed --
$TTL 60
www     A       192.0.2.81
-- zone plain.test. at 198.51.100.5 --
$TTL 60
www     A       192.0.2.85
`

// outages are what the top-level domain may publish in error: a header of its zone, what Resolve
// says of it, and whether delegations to unsigned zones fail too.
var outages = map[string]struct {
	header   string
	why      uint16
	unsigned bool
}{
	"wrong signatures of the DS records":  {"signed break=corrupt:shop/DS break=corrupt:host/DS", dns.ExtendedErrorCodeDNSBogus, false},
	"signed with a key that is not there": {"zsk=1 sign=2", dns.ExtendedErrorCodeDNSKEYMissing, true},
	"keys that no DS has":                 {"ksk=2 ds=1", dns.ExtendedErrorCodeDNSKEYMissing, true},
	"keys with a wrong signature":         {"signed break=corrupt:/DNSKEY", dns.ExtendedErrorCodeDNSBogus, true},
	"no signatures":                       {"signed break=unsigned", dns.ExtendedErrorCodeRRSIGsMissing, true},
	"signatures from last month":          {"signed break=expired", dns.ExtendedErrorCodeSignatureExpired, true},
}

// outage makes the top-level domain publish something else.
func (w *world) outage(header string) {
	w.Helper()
	w.update("-- zone test. " + header + " --\n")
}

// learnt asks for all that the tests later want, and lets it expire, the keys and DS records with
// it.
func (w *world) learnt(names ...string) {
	w.Helper()
	for _, name := range names {
		if o := w.ask(name, dns.TypeA); o.err != nil {
			w.Fatalf("%s: %v", name, o.err)
		}
	}
	time.Sleep(2 * time.Hour)
}

// wantOverBogus wants expired data that is Secure, with both extended errors, and asks for it by
// all methods.
func (w *world) wantOverBogus(name string, rcode int, why uint16, records ...string) {
	w.Helper()
	o := w.ask(name, dns.TypeA)
	if o.unsigned().check(w, name, rcode, records...); o.err != nil {
		return
	}
	code := uint16(staleAnswer)
	if rcode == dns.RcodeNameError {
		code = staleNXDOMAIN
	}
	has := func(code uint16) bool {
		return slices.ContainsFunc(o.Extended, func(e resolver.ExtendedError) bool { return e.Code == code && e.Text != "" })
	}
	if !o.Stale || o.Status != dnssec.Secure || o.TTL > 30*time.Second || !has(code) || !has(why) {
		w.Errorf("%s: got stale %t, %v, TTL %v, %v; want stale, Secure, 30 s at most, codes %d and %d", name, o.Stale, o.Status, o.TTL, o.Extended, code, why)
	}
	query := new(dns.Msg).SetQuestion(name, dns.TypeA)
	query.SetEdns0(1232, true)
	reply, err := w.r.Exchange(w.Context(), query)
	if err != nil || reply.Rcode != rcode || !reply.AuthenticatedData || len(reply.Answer) < len(records) {
		w.Errorf("%s: Exchange: got %v, %v; want the same with AD", name, reply, err)
		return
	}
	if got := codes(reply); !slices.Contains(got, code) || !slices.Contains(got, why) {
		w.Errorf("%s: Exchange: got extended errors %v, want %d and %d", name, got, code, why)
	}
	plain := new(dns.Msg).SetQuestion(name, dns.TypeA) // of a client without EDNS
	reply, err = w.r.Exchange(w.Context(), plain)
	if err != nil || reply.Rcode != rcode || reply.IsEdns0() != nil || len(reply.Answer) != len(records) {
		w.Errorf("%s: without EDNS: got %v, %v", name, reply, err)
	}
	packed, err := query.Pack()
	if err != nil {
		w.Fatal(err)
	}
	if _, ok := w.r.AppendHit(nil, packed, 1232); ok {
		w.Errorf("%s: AppendHit answers with what has expired", name)
	}
	wire, err := w.r.ExchangeWire(w.Context(), nil, packed, 1232)
	if err != nil || reply.Unpack(wire) != nil || reply.Rcode != rcode || !slices.Contains(codes(reply), why) || !slices.Contains(codes(reply), code) {
		w.Errorf("%s: ExchangeWire: got %v, %v", name, reply, err)
	}
	addrs, err := w.r.LookupNetIP(w.Context(), "ip4", name)
	if (err == nil) != (rcode == dns.RcodeSuccess) || (len(addrs) > 0) != (err == nil) {
		w.Errorf("%s: LookupNetIP: got %v, %v", name, addrs, err)
	}
}

// unsigned returns the outcome without signatures.
func (o asked) unsigned() asked {
	if o.err == nil {
		bare := *o.Result
		bare.Answer = slices.DeleteFunc(slices.Clone(bare.Answer), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
		o.Result = &bare
	}
	return o
}

// wantNew wants an answer that is no expired one.
func (w *world) wantNew(name string, status dnssec.Status, records ...string) {
	w.Helper()
	o := w.ask(name, dns.TypeA)
	if o.unsigned().check(w, name, dns.RcodeSuccess, records...); o.err == nil && (o.Stale || o.Status != status) {
		w.Errorf("%s: got stale %t, %v; want a new answer that is %v", name, o.Stale, o.Status, status)
	}
}

// wantBogus wants a bogus answer, or that one was bogus a moment ago.
func (w *world) wantBogus(name string, qtype uint16) {
	w.Helper()
	o := w.ask(name, qtype)
	var failed *resolver.Error
	if !errors.As(o.err, &failed) || failed.Status != dnssec.Bogus {
		w.Errorf("%s: got %v, want bogus", name, o)
	}
}

// A top-level domain publishes wrong signatures, keys or proofs: all that was Secure is answered
// until that is mended, and then what is new, by all methods.
func TestStaleOverBogus(t *testing.T) {
	for about, outage := range outages {
		t.Run(about, func(t *testing.T) {
			inWorld(t, outageWorld, func(w *world) {
				w.learnt("www.shop.test.", "none.shop.test.", "away.shop.test.", "one.w.shop.test.", "www.under.shop.test.", "www.plain.test.")
				w.outage(outage.header)
				check := func() {
					t.Helper()
					w.wantOverBogus("www.shop.test.", dns.RcodeSuccess, outage.why, "www.shop.test. A 192.0.2.80")
					w.wantOverBogus("none.shop.test.", dns.RcodeNameError, outage.why)
					w.wantOverBogus("one.w.shop.test.", dns.RcodeSuccess, outage.why, "one.w.shop.test. A 192.0.2.82")
					w.wantOverBogus("away.shop.test.", dns.RcodeSuccess, outage.why, "away.shop.test. CNAME www.host.test.", "www.host.test. A 192.0.2.81")
					w.wantBogus("new.shop.test.", dns.TypeA) // was never known
					w.wantBogus("www.shop.test.", dns.TypeMX)
					if outage.unsigned { // what was not validated is not returned
						w.wantBogus("www.plain.test.", dns.TypeA)
					}
				}
				check()
				check() // remembered to be bogus
				time.Sleep(time.Hour)
				check()
				s := w.r.Stats()
				if s.StaleOverBogus < 4 || s.StaleOverBogus > s.Stale {
					t.Errorf("Stats count %d of %d stale answers", s.StaleOverBogus, s.Stale)
				}
				w.update("-- zone test. signed --\n-- zone shop.test. signed --\n$TTL 60\nwww A 192.0.2.99\n")
				time.Sleep(5 * time.Minute) // the longest that a failure is remembered
				w.wantNew("www.shop.test.", dnssec.Secure, "www.shop.test. A 192.0.2.99")
			}, staleOverBogus, ipv4Only)
		})
	}
}

// It is off by default, and no part of ServeStale.
func TestStaleOverBogusIsOffByDefault(t *testing.T) {
	for _, options := range []func(*resolver.Options){func(*resolver.Options) {}, serveStale} {
		inWorld(t, outageWorld, func(w *world) {
			w.learnt("www.shop.test.")
			w.outage("signed break=corrupt:shop/DS")
			w.wantBogus("www.shop.test.", dns.TypeA)
		}, options, ipv4Only)
	}
}

// Together with ServeStale each has its own reason.
func TestStaleOverBogusBesideServeStale(t *testing.T) {
	inWorld(t, outageWorld, func(w *world) {
		w.learnt("www.shop.test.")
		w.outage("signed break=corrupt:shop/DS")
		w.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus, "www.shop.test. A 192.0.2.80")
		time.Sleep(time.Hour)
		w.update("-- fault 198.51.100.3 --\nrcode SERVFAIL\n")
		w.wantStale("www.shop.test.", dns.TypeA, staleAnswer, 0)
	}, serveStale, staleOverBogus, ipv4Only)
	inWorld(t, outageWorld, func(w *world) { // and that servers are silent is none of this one's
		w.learnt("www.shop.test.")
		w.update("-- fault 198.51.100.3 --\nrcode SERVFAIL\n")
		w.wantError("www.shop.test.", dns.TypeA, resolver.ErrNoReachableServer)
		time.Sleep(time.Minute)
		w.update("-- fault 198.51.100.3 --\nmend\n-- fault 198.51.100.2 --\nrcode SERVFAIL\n")
		if o := w.ask("www.shop.test.", dns.TypeA); o.err == nil {
			t.Errorf("the keys could not be fetched: got %v", o)
		}
	}, staleOverBogus, ipv4Only)
}

// What is proven about the zone's keys now decides: expired data is not returned by a key that is
// gone, whatever hides the new data. Each case is what changes and spoils the zone; www of it is
// bogus then, and so is the question.
func TestStaleOverBogusKeysThatAreGone(t *testing.T) {
	const zone = "-- zone shop.test. %s --\n$TTL 60\nwww A 192.0.2.66\nnew A 192.0.2.67\n"
	for about, change := range map[string]string{
		"DS of other keys, and wrong signatures":        "ksk=2 zsk=2 sign=2 ds=2 break=corrupt:www/A",
		"DS of other keys, and no signatures":           "ksk=2 zsk=2 sign=2 ds=2 break=unsigned:www/A",
		"DS of other keys, and signed by the old ones":  "ksk=2 zsk=2 sign=1 ds=2",
		"DS of other keys, and the old zone":            "ksk=1 zsk=1 sign=1 ds=2 break=corrupt:www/A",
		"DNSKEY without the old key":                    "ksk=1 zsk=2 sign=2 break=corrupt:www/A",
		"DNSKEY without the old key, which still signs": "ksk=1 zsk=2 sign=1 break=corrupt:www/A",
	} {
		t.Run(about, func(t *testing.T) {
			inWorld(t, outageWorld, func(w *world) {
				w.learnt("www.shop.test.")
				w.update(fmt.Sprintf(zone, change))
				w.wantBogus("www.shop.test.", dns.TypeA)
				w.wantBogus("www.shop.test.", dns.TypeA)
				time.Sleep(10 * time.Minute)
				w.wantBogus("www.shop.test.", dns.TypeA)
			}, staleOverBogus, ipv4Only)
		})
	}
	// With the keys as they were, it is returned.
	inWorld(t, outageWorld, func(w *world) {
		w.learnt("www.shop.test.")
		w.update(fmt.Sprintf(zone, "signed break=corrupt:www/A"))
		w.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus, "www.shop.test. A 192.0.2.80")
		w.wantNew("new.shop.test.", dnssec.Secure, "new.shop.test. A 192.0.2.67")
	}, staleOverBogus, ipv4Only)
	// A key that is gone stays so when the domain above is broken later, for other names too,
	// though they were not asked for meanwhile.
	for change, outage := range map[string]string{"ksk=2 zsk=2 sign=2 ds=2": "corrupt:shop/DS", "no-ds": "corrupt:shop/NSEC"} {
		inWorld(t, outageWorld, func(w *world) {
			w.learnt("www.shop.test.", "away.shop.test.")
			w.update(fmt.Sprintf(zone, change))
			w.ask("new.shop.test.", dns.TypeA)
			time.Sleep(2 * time.Hour)
			w.outage("signed break=" + outage)
			w.wantBogus("www.shop.test.", dns.TypeA)
			w.wantBogus("away.shop.test.", dns.TypeA)
		}, staleOverBogus, ipv4Only)
	}
}

// A zone that is proven to be unsigned now is answered with its new data.
func TestStaleOverBogusUnsignedNow(t *testing.T) {
	inWorld(t, outageWorld, func(w *world) {
		w.learnt("www.shop.test.")
		w.update("-- zone shop.test. no-ds break=corrupt:www/A --\n$TTL 60\nwww A 192.0.2.99\n")
		w.wantNew("www.shop.test.", dnssec.Insecure, "www.shop.test. A 192.0.2.99")
	}, staleOverBogus, ipv4Only)
}

// Data that was not validated is not returned, though it has signatures, which would be good now.
func TestStaleOverBogusNeverWhatWasNotSecure(t *testing.T) {
	inWorld(t, strings.Replace(outageWorld, "198.51.100.3 signed", "198.51.100.3 no-ds", 1), func(w *world) {
		w.learnt("www.shop.test.", "none.shop.test.")
		w.update("-- zone shop.test. signed --\n$TTL 60\nwww A 192.0.2.66\nnew A 192.0.2.67\n")
		w.wantNew("new.shop.test.", dnssec.Secure, "new.shop.test. A 192.0.2.67")
		w.update("-- zone shop.test. signed break=corrupt:www/A --\n$TTL 60\nwww A 192.0.2.66\n")
		w.wantBogus("www.shop.test.", dns.TypeA)
	}, staleOverBogus, ipv4Only)
	// Nor is what a client with CD has brought.
	inWorld(t, outageWorld, func(w *world) {
		query := ask("www.shop.test.", dns.TypeA, withEDNS)
		query.CheckingDisabled = true
		exchanged(w.T, w.r, query)
		w.learnt("away.shop.test.")
		w.update("-- zone shop.test. signed break=corrupt:www/A --\n$TTL 60\nwww A 192.0.2.66\n")
		w.wantBogus("www.shop.test.", dns.TypeA)
	}, staleOverBogus, ipv4Only)
}

// No link of the chain is used past its signature, and nothing past MaxStale.
func TestStaleOverBogusEnds(t *testing.T) {
	const spoilt = "-- zone shop.test. signed break=corrupt:www/A --\n$TTL 60\nwww A 192.0.2.66\n"
	const outage = "-- zone test. signed break=corrupt:shop/DS break=corrupt:/DNSKEY --\n"
	for _, tt := range []struct {
		about, zone, with string // a header of the world, and another in its place
		change            string
	}{
		{"signature of the data", "shop.test. at 198.51.100.3 signed", "shop.test. at 198.51.100.3 signed break=ending:www/A", spoilt},
		{"signature of the keys", "shop.test. at 198.51.100.3 signed", "shop.test. at 198.51.100.3 signed break=ending:/DNSKEY", outage},
		{"signature of the DS", "test. at 198.51.100.2 signed", "test. at 198.51.100.2 signed break=ending:shop/DS", outage},
		{"signature of the keys above", "test. at 198.51.100.2 signed", "test. at 198.51.100.2 signed break=ending:/DNSKEY", outage},
	} {
		t.Run(tt.about, func(t *testing.T) {
			text := strings.Replace(outageWorld, "-- zone "+tt.zone, "-- zone "+tt.with, 1)
			if text == outageWorld {
				t.Fatal("the world has no such header")
			}
			for _, in := range []struct {
				text string
				ends bool
			}{{outageWorld, false}, {text, true}} {
				inWorld(t, in.text, func(w *world) {
					w.learnt("www.shop.test.")
					w.update(tt.change)
					if in.ends {
						w.wantBogus("www.shop.test.", dns.TypeA)
					} else if o := w.ask("www.shop.test.", dns.TypeA); o.err != nil || !o.Stale {
						t.Errorf("with valid signatures: got %v, want a stale answer", o)
					}
				}, staleOverBogus, ipv4Only)
			}
		})
	}
	t.Run("MaxStale", func(t *testing.T) {
		for wait, stale := range map[time.Duration]bool{50 * time.Minute: true, 70 * time.Minute: false} {
			inWorld(t, outageWorld, func(w *world) {
				w.ask("www.shop.test.", dns.TypeA)
				time.Sleep(time.Minute + wait)
				w.update(spoilt)
				if o := w.ask("www.shop.test.", dns.TypeA); (o.err == nil) != stale {
					t.Errorf("after %v: got %v, want stale %t", wait, o, stale)
				}
			}, staleOverBogus, ipv4Only, func(o *resolver.Options) { o.MaxStale = time.Hour })
		}
	})
	t.Run("TTL", func(t *testing.T) { // is no longer than the signature
		inWorld(t, strings.Replace(outageWorld, "198.51.100.3 signed", "198.51.100.3 signed break=ending:www/A", 1), func(w *world) {
			w.ask("www.shop.test.", dns.TypeA)
			time.Sleep(50 * time.Second) // of 60, and the TTL is 30 s
			w.update(spoilt)
			o := w.ask("www.shop.test.", dns.TypeA)
			if o.err != nil || !o.Stale || o.TTL > 10*time.Second || o.Answer[0].Header().Ttl > 10 {
				t.Errorf("got %v, want a stale answer for 10 s at most", o)
			}
		}, staleOverBogus, ipv4Only, func(o *resolver.Options) {
			o.Cache = cache.New(cache.Options{KeepStale: time.Hour, MaxTTL: 30 * time.Second})
		})
	})
}

// A negative trust anchor lets the new data pass, and when it is gone the expired data is what it
// was. What was learnt meanwhile is not: it was not validated.
func TestStaleOverBogusNegativeTrustAnchor(t *testing.T) {
	inWorld(t, outageWorld, func(w *world) {
		w.learnt("www.shop.test.")
		w.outage("zsk=1 sign=2")
		w.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSKEYMissing, "www.shop.test. A 192.0.2.80")
		w.update("-- zone shop.test. signed --\n$TTL 60\nwww A 192.0.2.99\nnew A 192.0.2.98\n")
		if err := w.r.SetNegativeTrustAnchors([]resolver.NegativeTrustAnchor{{Zone: "test."}}); err != nil {
			t.Fatal(err)
		}
		w.wantNew("www.shop.test.", dnssec.Insecure, "www.shop.test. A 192.0.2.99")
		w.wantNew("new.shop.test.", dnssec.Insecure, "new.shop.test. A 192.0.2.98")
		if err := w.r.SetNegativeTrustAnchors(nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		w.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSKEYMissing, "www.shop.test. A 192.0.2.80")
		w.wantBogus("new.shop.test.", dns.TypeA)
	}, staleOverBogus, ipv4Only)
}

// A client with CD gets the new data as it is, and spoils the old for nobody.
func TestStaleOverBogusCheckingDisabled(t *testing.T) {
	inWorld(t, outageWorld, func(w *world) {
		w.learnt("www.shop.test.")
		w.update("-- zone shop.test. signed break=corrupt:www/A --\n$TTL 60\nwww A 192.0.2.66\n")
		for range 2 {
			query := new(dns.Msg).SetQuestion("www.shop.test.", dns.TypeA)
			query.SetEdns0(1232, true)
			query.CheckingDisabled = true
			reply, err := w.r.Exchange(w.Context(), query)
			if err != nil || reply.Rcode != dns.RcodeSuccess || reply.AuthenticatedData || len(reply.Answer) == 0 || len(codes(reply)) > 0 ||
				reply.Answer[0].(*dns.A).A.String() != "192.0.2.66" {
				t.Errorf("with CD: got %v, %v; want the new data", reply, err)
			}
			w.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus, "www.shop.test. A 192.0.2.80")
		}
	}, staleOverBogus, ipv4Only)
}

// One link of a chain of aliases is bogus: that one is replaced, the others are new.
func TestStaleOverBogusAliases(t *testing.T) {
	inWorld(t, outageWorld, func(w *world) {
		w.learnt("away.shop.test.")
		w.update("-- zone shop.test. signed break=corrupt:away/CNAME --\n$TTL 60\naway CNAME evil.test.\n" +
			"-- zone host.test. signed --\n$TTL 60\nwww A 192.0.2.99\n")
		w.wantOverBogus("away.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus,
			"away.shop.test. CNAME www.host.test.", "www.host.test. A 192.0.2.99")
		w.update("-- zone shop.test. signed --\n$TTL 60\naway CNAME www.host.test.\n" +
			"-- zone host.test. signed break=corrupt:www/A --\n$TTL 60\nwww A 192.0.2.66\n")
		time.Sleep(10 * time.Minute)
		w.wantOverBogus("away.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus,
			"away.shop.test. CNAME www.host.test.", "www.host.test. A 192.0.2.99")
	}, staleOverBogus, ipv4Only)
	// Where another link fails for want of servers, so does the question.
	inWorld(t, outageWorld, func(w *world) {
		w.learnt("away.shop.test.")
		w.update("-- zone shop.test. signed break=corrupt:away/CNAME --\n$TTL 60\naway CNAME evil.test.\n-- fault 198.51.100.4 --\nrcode SERVFAIL\n")
		w.wantError("away.shop.test.", dns.TypeA, resolver.ErrNoReachableServer)
	}, staleOverBogus, ipv4Only)
}

// Denials are as good as records.
func TestStaleOverBogusDenials(t *testing.T) {
	for _, how := range []string{"signed", "nsec3"} {
		inWorld(t, "-- zone test. at 198.51.100.2 signed --\n-- zone shop.test. at 198.51.100.3 "+how+" --\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\nwww A 192.0.2.80\n", func(w *world) {
			w.ask("www.shop.test.", dns.TypeMX)
			w.learnt("none.shop.test.")
			w.outage("signed break=corrupt:shop/DS")
			w.wantOverBogus("none.shop.test.", dns.RcodeNameError, dns.ExtendedErrorCodeDNSBogus)
			if o := w.ask("www.shop.test.", dns.TypeMX); o.err != nil || !o.Stale || o.Status != dnssec.Secure || o.Rcode != dns.RcodeSuccess || len(o.Answer) > 0 {
				t.Errorf("%s: got %v, want NODATA that is stale and Secure", how, o)
			}
		}, staleOverBogus, ipv4Only)
	}
}

// For ten minutes a name is asked for every second. All clients are answered, the servers are asked
// seldom, and the answer is new as soon as they have one and are asked.
func TestStaleOverBogusRefreshes(t *testing.T) {
	inWorld(t, outageWorld, func(w *world) {
		w.learnt("www.shop.test.")
		w.outage("signed break=corrupt:shop/DS")
		w.in.ResetLog()
		const outage = 600
		start := time.Now()
		for i := range outage {
			if result, err := w.r.Resolve(w.Context(), "www.shop.test.", dns.TypeA); err != nil || !result.Stale {
				t.Fatalf("second %d: got %v, %v; want a stale answer", i, result, err)
			}
			time.Sleep(time.Second)
		}
		var attempts []time.Duration // by RFC 9520 §3.2
		for _, q := range w.in.Log(resolvertest.Name("www.shop.test."), resolvertest.Type(dns.TypeA)) {
			attempts = append(attempts, q.Time.Sub(start).Round(time.Second))
		}
		attempts = slices.Compact(attempts)
		if want := []time.Duration{0, 5e9, 15e9, 35e9, 75e9, 155e9, 315e9}; !slices.Equal(attempts, want) {
			t.Errorf("the servers were asked after %v, want %v", attempts, want)
		}
		w.outage("signed")
		start = time.Now()
		for w.ask("www.shop.test.", dns.TypeA).Stale {
			if time.Sleep(time.Second); time.Since(start) > 5*time.Minute {
				t.Fatal("still stale five minutes after it was mended")
			}
		}
		w.wantNew("www.shop.test.", dnssec.Secure, "www.shop.test. A 192.0.2.80")
	}, staleOverBogus, ipv4Only)
}

// A prefetch that brings bogus data leaves the entry as it is, also when that expires meanwhile.
func TestStaleOverBogusPrefetch(t *testing.T) {
	for _, slow := range []string{"", "-- fault 198.51.100.3 --\nlatency 1s\n"} {
		inWorld(t, outageWorld, func(w *world) {
			w.ask("www.shop.test.", dns.TypeA)
			time.Sleep(20 * time.Second)
			w.ask("www.shop.test.", dns.TypeA)
			w.update("-- zone shop.test. signed break=corrupt:www/A --\n$TTL 60\nwww A 192.0.2.66\n" + slow)
			time.Sleep(38 * time.Second)
			if o := w.ask("www.shop.test.", dns.TypeA); o.err != nil || o.Stale {
				t.Errorf("got %v, want what is alive", o)
			}
			w.settle()
			w.update("-- fault 198.51.100.3 --\nmend\n")
			time.Sleep(10 * time.Minute)
			w.wantOverBogus("www.shop.test.", dns.RcodeSuccess, dns.ExtendedErrorCodeDNSBogus, "www.shop.test. A 192.0.2.80")
			if s := w.r.Stats(); s.PrefetchFailed != 1 || s.Prefetched != 0 {
				t.Errorf("prefetched %d, failed %d; want one failure", s.Prefetched, s.PrefetchFailed)
			}
		}, staleOverBogus, ipv4Only)
	}
}

// A clock that is set back or forward makes no key or signature good that is not.
func TestStaleOverBogusClockSteps(t *testing.T) {
	for step, stale := range map[time.Duration]bool{
		0: true, -30 * 24 * time.Hour: false, 31 * 24 * time.Hour: false,
	} {
		for _, ages := range []bool{true, false} { // the time that the cache ages by steps too
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, outageWorld)
				var ahead atomic.Int64 // what ends late in the background looks at the clock too
				now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
				r := in.Resolver(t, ipv4Only, staleOverBogus, func(o *resolver.Options) {
					if o.SignatureTime = now; ages {
						o.Now = now
					}
				})
				w := &world{t, in, r}
				w.learnt("www.shop.test.")
				w.outage("signed break=corrupt:shop/DS")
				ahead.Store(int64(step))
				if o := w.ask("www.shop.test.", dns.TypeA); (o.err == nil) != stale {
					t.Errorf("step %v, of the cache too %t: got %v, want stale %t", step, ages, o, stale)
				}
			})
		}
	}
}

// What comes from a file has the chain of trust of the resolver that loads it, and none before that
// has proven one.
func TestStaleOverBogusSnapshot(t *testing.T) {
	for change, stale := range map[string]bool{
		"-- zone shop.test. signed break=corrupt:www/A --\n$TTL 60\nwww A 192.0.2.66\n": true, // the keys can be proven anew
		"-- zone test. signed break=corrupt:shop/DS --\n":                               false,
	} {
		inWorld(t, outageWorld, func(w *world) {
			old := cache.New(cache.Options{KeepStale: 24 * time.Hour})
			first := w.in.Resolver(w.T, staleOverBogus, ipv4Only, func(o *resolver.Options) { o.Cache = old })
			if _, err := first.Resolve(w.Context(), "www.shop.test.", dns.TypeA); err != nil {
				t.Fatal(err)
			}
			var file strings.Builder
			if _, err := old.WriteTo(&file); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Hour)
			w.update(change)
			loaded := cache.New(cache.Options{KeepStale: 24 * time.Hour})
			if _, err := loaded.ReadFrom(strings.NewReader(file.String())); err != nil {
				t.Fatal(err)
			}
			w.r = w.in.Resolver(w.T, staleOverBogus, ipv4Only, func(o *resolver.Options) { o.Cache = loaded })
			if o := w.ask("www.shop.test.", dns.TypeA); (o.err == nil) != stale || stale && !o.Stale {
				t.Errorf("%q: got %v, want stale %t", change, o, stale)
			}
		}, ipv4Only)
	}
}
