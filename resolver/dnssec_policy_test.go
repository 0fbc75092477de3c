package resolver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// statusOf asks and returns the status; Bogus for a bogus answer.
func statusOf(t *testing.T, r *resolver.Resolver, name string) dnssec.Status {
	t.Helper()
	result, err := r.Resolve(t.Context(), name, dns.TypeA)
	var failure *resolver.Error
	switch {
	case errors.As(err, &failure) && failure.Status == dnssec.Bogus:
		return dnssec.Bogus
	case err != nil:
		t.Fatal(err)
	}
	return result.Status
}

// A negative trust anchor makes a broken zone Insecure until it ends, for names at and
// below it only (RFC 7646 §2).
func TestNegativeTrustAnchors(t *testing.T) {
	const hour = time.Hour
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone shop.example. at 198.51.100.3 signed break=expired:A --
www             A       192.0.2.80
-- zone child.shop.example. at 198.51.100.4 signed --
www             A       192.0.2.81
-- zone other.example. at 198.51.100.5 signed break=expired:A --
www             A       192.0.2.82
`)
		until := time.Now().Add(hour)
		r := in.Resolver(t, func(o *resolver.Options) {
			o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "Shop.Example", Until: until}}
		})
		for _, step := range []struct {
			name   string
			before dnssec.Status
			after  dnssec.Status
		}{
			{"www.shop.example.", dnssec.Insecure, dnssec.Bogus},
			{"www.child.shop.example.", dnssec.Insecure, dnssec.Secure},
			{"www.other.example.", dnssec.Bogus, dnssec.Bogus},
		} {
			if got := statusOf(t, r, step.name); got != step.before {
				t.Errorf("%s: got %v, want %v", step.name, got, step.before)
			}
			query := new(dns.Msg).SetQuestion(step.name, dns.TypeA).SetEdns0(1232, true)
			if reply := exchanged(t, r, query); reply.AuthenticatedData {
				t.Errorf("%s: AD is set below a negative anchor", step.name)
			}
		}
		time.Sleep(time.Until(until) + 2*hour) // what was cached has expired
		for _, step := range []struct {
			name  string
			after dnssec.Status
		}{{"www.shop.example.", dnssec.Bogus}, {"www.child.shop.example.", dnssec.Secure}, {"www.other.example.", dnssec.Bogus}} {
			if got := statusOf(t, r, step.name); got != step.after {
				t.Errorf("%s, after its end: got %v, want %v", step.name, got, step.after)
			}
		}
	})
}

// Answers below a negative trust anchor say so (extended DNS error 33), new ones, those of the
// cache, and denials; others do not, nor those that the client does not want validated, nor those
// of a route that is unsigned.
func TestNegativeTrustAnchorIsDisclosed(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 signed break=expired --
www             A       192.0.2.80
away            CNAME   www.other.example.
cd              A       192.0.2.84
inside          CNAME   www
-- zone other.example. at 198.51.100.5 --
www             A       192.0.2.82
into            CNAME   www.shop.example.
-- zone private.example. at 198.51.100.6 --
www             A       192.0.2.83
`, func(w *world) {
		for _, tt := range []struct {
			name  string
			qtype uint16
			cd    bool
			want  []uint16
		}{
			{"www.shop.example.", dns.TypeA, false, []uint16{33}},
			{"www.shop.example.", dns.TypeMX, false, []uint16{33}},
			{"none.shop.example.", dns.TypeA, false, []uint16{33}},
			{"away.shop.example.", dns.TypeA, false, []uint16{33}},
			{"into.other.example.", dns.TypeA, false, []uint16{33}},
			{"cd.shop.example.", dns.TypeA, true, nil},
			{"www.other.example.", dns.TypeA, false, nil},
			{"www.private.example.", dns.TypeA, false, nil},
		} {
			for _, when := range []string{"new", "cached", "cached"} {
				query := ask(tt.name, tt.qtype, withEDNS)
				query.CheckingDisabled = tt.cd
				if reply := exchanged(w.T, w.r, query); !slices.Equal(codes(reply), tt.want) {
					t.Errorf("%s %s, CD %t, %s: got %v, want %v", tt.name, dns.Type(tt.qtype), tt.cd, when, codes(reply), tt.want)
				}
				packed, err := query.Pack()
				if err != nil {
					t.Fatal(err)
				}
				if hit, ok := w.r.AppendHit(nil, packed, 0); ok && len(tt.want) > 0 {
					t.Errorf("%s: AppendHit: got %x, which lacks the reason", tt.name, hit)
				}
			}
		}
		// Of what others have brought into the cache, and as a message too.
		for _, name := range []string{"www.shop.example.", "none.shop.example.", "away.shop.example.", "into.other.example.", "inside.shop.example."} {
			for _, edns := range []func(*dns.Msg){withEDNS, withDO} {
				for _, cd := range []bool{false, true} {
					query := ask(name, dns.TypeA, edns)
					query.CheckingDisabled = cd
					var want []uint16
					if !cd {
						want = []uint16{33}
					}
					if reply := exchanged(w.T, w.r, query); !slices.Equal(codes(reply), want) || reply.AuthenticatedData {
						t.Errorf("%s, CD %t: got %v, AD %t, want %v", name, cd, codes(reply), reply.AuthenticatedData, want)
					}
					packed, err := query.Pack()
					if err != nil {
						t.Fatal(err)
					}
					reply := new(dns.Msg)
					wire, err := w.r.ExchangeWire(w.Context(), nil, packed, 1232)
					if err != nil || reply.Unpack(wire) != nil || !slices.Equal(codes(reply), want) {
						t.Errorf("%s, CD %t: ExchangeWire: got %v, %v, want %v", name, cd, codes(reply), err, want)
					}
					if hit, ok := w.r.AppendHit(nil, packed, 0); ok && !cd {
						t.Errorf("%s: AppendHit: got %x, which lacks the reason", name, hit)
					}
				}
			}
		}
		for _, name := range []string{"www.shop.example.", "inside.shop.example."} {
			o := w.ask(name, dns.TypeA)
			if want := "Negative Trust Anchor: negative trust anchor: shop.example."; o.err != nil || len(o.Extended) != 1 || o.Extended[0].String() != want {
				t.Errorf("%s: got %v, want %q once", name, o.Extended, want)
			}
		}
	}, ipv4Only, func(o *resolver.Options) {
		o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "shop.example."}}
		private, err := resolver.ParseRoute("private.example=198.51.100.6,stub,unsigned")
		if err != nil {
			t.Fatal(err)
		}
		o.Routes = []resolver.Route{private}
	})
}

// Data cached while a negative anchor was in force does not outlive it.
func TestNegativeTrustAnchorEndsInTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone shop.example. at 198.51.100.3 signed break=expired:A --
www     86400   A       192.0.2.80
`)
		until := time.Now().Add(time.Minute)
		r := in.Resolver(t, func(o *resolver.Options) {
			o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "shop.example.", Until: until}}
		})
		if got := statusOf(t, r, "www.shop.example."); got != dnssec.Insecure {
			t.Errorf("got %v, want insecure", got)
		}
		time.Sleep(2 * time.Minute)
		if got := statusOf(t, r, "www.shop.example."); got != dnssec.Bogus {
			t.Errorf("after its end: got %v, want bogus", got)
		}
	})
}

// Anchors may be at any zone, as DS or DNSKEY; names above them are Indeterminate.
func TestAnchorsAtAnyZone(t *testing.T) {
	const world = `
-- zone . at 198.18.0.1 --
-- zone example. at 198.18.0.2 --
www             A       192.0.2.79
-- zone shop.example. at 198.51.100.3 %s --
www             A       192.0.2.80
-- zone child.shop.example. at 198.51.100.4 signed --
www             A       192.0.2.81
-- zone plain.shop.example. at 198.51.100.5 --
www             A       192.0.2.82
`
	for _, words := range []string{"signed", "algorithm=8", "nsec3", "ksk=1,2 ds=1,2"} {
		t.Run(words, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(world, words))
				if len(in.Anchors()) == 0 {
					t.Fatal("no anchors")
				}
				r := in.Resolver(t)
				for name, want := range map[string]dnssec.Status{
					"www.shop.example.":           dnssec.Secure,
					"missing.shop.example.":       dnssec.Secure,
					"www.child.shop.example.":     dnssec.Secure,
					"www.plain.shop.example.":     dnssec.Insecure,
					"www.example.":                dnssec.Indeterminate,
					"missing.":                    dnssec.Indeterminate,
					"a.missing.shop.example.":     dnssec.Secure,
					"missing.plain.shop.example.": dnssec.Insecure,
				} {
					if got := statusOf(t, r, name); got != want {
						t.Errorf("%s: got %v, want %v", name, got, want)
					}
				}
				wrong := in.Resolver(t, func(o *resolver.Options) { o.TrustAnchors = wrongAnchors(t, "shop.example.") })
				if got := statusOf(t, wrong, "www.shop.example."); got != dnssec.Bogus {
					t.Errorf("with another anchor: got %v, want bogus", got)
				}
			})
		})
	}
}

// wrongAnchors returns the anchor of a key that nobody has.
func wrongAnchors(t *testing.T, zone string) []dnssec.Anchor {
	t.Helper()
	anchors, err := dnssec.ParseAnchors(strings.NewReader(zone + " IN DS 12345 13 2 " + strings.Repeat("ab", 32)))
	if err != nil {
		t.Fatal(err)
	}
	return anchors
}

// One bad server among good ones costs a bogus retry, not the answer: whatever is wrong
// with it, and wherever it stands.
func TestSecondOpinions(t *testing.T) {
	const world = `
-- zone example. at 198.18.0.2 198.18.0.3 signed --
-- zone shop.example. at 198.51.100.3 198.51.100.4 198.51.100.5 signed --
www             A       192.0.2.80
*.wild          A       192.0.2.81
-- zone child.shop.example. at 198.51.100.6 198.51.100.7 signed --
www             A       192.0.2.82
`
	for _, test := range []struct {
		name   string
		server string
		fault  resolvertest.Fault
	}{
		{"no signatures", "198.51.100.3", resolvertest.Remove(resolvertest.Answer, dns.TypeRRSIG)},
		{"no proofs", "198.51.100.3", resolvertest.Remove(resolvertest.Authority, dns.TypeNSEC)},
		{"old data", "198.51.100.3", resolvertest.Hook(func(_, reply *dns.Msg) { age(reply) })},
		{"data changed", "198.51.100.3", resolvertest.Hook(func(_, reply *dns.Msg) { forge(reply) })},
		{"keys taken away", "198.51.100.3", resolvertest.Remove(resolvertest.Answer, dns.TypeDNSKEY)},
		{"DS taken away by the parent", "198.18.0.2", resolvertest.Remove(resolvertest.Authority, dns.TypeDS)},
		{"DS taken away in the zone itself", "198.51.100.3", resolvertest.Remove(resolvertest.Authority, dns.TypeDS)},
		{"denies everything", "198.51.100.3", resolvertest.Replace(dns.RcodeNameError)},
		{"no DNSSEC", "198.51.100.3", resolvertest.Hook(func(_, reply *dns.Msg) { strip(reply) })},
		{"no DNSSEC at the parent", "198.18.0.2", resolvertest.Hook(func(_, reply *dns.Msg) { strip(reply) })},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, world)
				in.Fault(test.server, test.fault)
				for _, name := range []string{"www.shop.example.", "missing.shop.example.", "a.wild.shop.example.", "www.child.shop.example."} {
					for seed := range uint64(6) { // servers are chosen at random
						r := in.Resolver(t)
						r.Seed(seed)
						in.ResetLog()
						if got := statusOf(t, r, name); got != dnssec.Secure {
							t.Fatalf("%s: got %v, want secure\n%s", name, got, resolvertest.Table(in.Log()))
						}
						if n := in.Count(); n > 20 { // attacks.md, item 18: a typical cold lookup
							t.Errorf("%s: got %d queries, want at most 20:\n%s", name, n, resolvertest.Table(in.Log()))
						}
					}
				}
			})
		})
	}
}

// age puts the signatures of a reply into the past.
func age(m *dns.Msg) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			if sig, ok := rr.(*dns.RRSIG); ok {
				sig.Inception -= 365 * 86400
				sig.Expiration -= 365 * 86400
			}
		}
	}
}

// forge changes the addresses and proofs in a reply.
func forge(m *dns.Msg) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			switch rr := rr.(type) {
			case *dns.A:
				rr.A[3]++
			case *dns.NSEC:
				rr.TypeBitMap = []uint16{dns.TypeNSEC}
			}
		}
	}
}

// strip makes a reply that of a server which knows nothing of DNSSEC.
func strip(m *dns.Msg) {
	keep := func(rrs []dns.RR) (kept []dns.RR) {
		for _, rr := range rrs {
			switch rr.Header().Rrtype {
			case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeDS:
			default:
				kept = append(kept, rr)
			}
		}
		return kept
	}
	m.Answer, m.Ns = keep(m.Answer), keep(m.Ns)
}

// When all servers are bad the answer is bogus, after a bounded number of retries. Asking
// again at once sends no query (RFC 9520).
func TestAllServersBogus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone shop.example. at 198.51.100.3 198.51.100.4 198.51.100.5 198.51.100.6 198.51.100.7 198.51.100.8 198.51.100.9 198.51.100.10 break=expired:A --
www             A       192.0.2.80
`)
		r := in.Resolver(t)
		if got := statusOf(t, r, "www.shop.example."); got != dnssec.Bogus {
			t.Errorf("got %v, want bogus", got)
		}
		if n := in.Count(resolvertest.Name("www.shop.example.")); n > 4 {
			t.Errorf("got %d questions for the name, want at most 4:\n%s", n, resolvertest.Table(in.Log()))
		}
		// Asking again at once sends no query (RFC 9520).
		before := in.Count()
		for range 5 {
			statusOrError(t, r, "www.shop.example.")
		}
		if n := in.Count() - before; n != 0 {
			t.Errorf("asked again: got %d queries, want 0", n)
		}
	})
}

func statusOrError(t *testing.T, r *resolver.Resolver, name string) {
	t.Helper()
	if result, err := r.Resolve(t.Context(), name, dns.TypeA); err == nil {
		t.Errorf("got %v, want an error", result)
	}
}

// A removed algorithm makes zones that have no other Insecure, with the reason; resolvers
// with and without it do not share what they believe through a shared cache.
func TestAlgorithmsTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 algorithm=8 --\nwww A 192.0.2.80")
		shared := cache.New(cache.Options{})
		share := func(o *resolver.Options) { o.Cache = shared }
		without := func(o *resolver.Options) {
			o.Cache = shared
			o.Algorithms = map[uint8]dnssec.Algorithm{dns.RSASHA256: nil}
		}
		for _, test := range []struct {
			label  string
			change func(*resolver.Options)
			status dnssec.Status
			code   uint16
		}{
			{"with RSA", share, dnssec.Secure, 0},
			{"without RSA", without, dnssec.Insecure, dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm},
		} {
			result, err := in.Resolver(t, test.change).Resolve(t.Context(), "www.shop.example.", dns.TypeA)
			if err != nil {
				t.Fatalf("%s: %v", test.label, err)
			}
			if result.Status != test.status || result.FromCache {
				t.Errorf("%s: got %v, from the cache %t, want %v, asked for", test.label, result.Status, result.FromCache, test.status)
			}
			if got := len(result.Extended) > 0 && result.Extended[0].Code == test.code; got != (test.code != 0) {
				t.Errorf("%s: got extended errors %v, want the code %d", test.label, result.Extended, test.code)
			}
		}
	})
}
