package resolver_test

import (
	"net/netip"
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

// launderers differ from their victim in one thing that decides which data is believed.
var launderers = map[string]func(*resolver.Options){
	"other anchors": func(o *resolver.Options) {
		other, err := resolvertest.NewInternet("-- zone . at 198.51.100.1 algorithm=13 --\n")
		if err != nil {
			panic(err)
		}
		o.TrustAnchors = other.Anchors()
	},
	"anchors of another time": func(o *resolver.Options) {
		o.TrustAnchors = append([]dnssec.Anchor(nil), o.TrustAnchors...)
		o.TrustAnchors[0].ValidUntil = time.Now().Add(time.Hour)
	},
	"no validation": func(o *resolver.Options) { o.Validation = resolver.ValidateOff },
	"negative anchor": func(o *resolver.Options) {
		o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "test."}, {Zone: "shop.example."}}
	},
	"other hints": func(o *resolver.Options) {
		hints := *o.RootHints
		hints.Servers = append(hints.Servers[:0:0], hints.Servers...)
		hints.Servers[0].Addrs = hints.Servers[0].Addrs[:1]
		o.RootHints = &hints
	},
	"both families":      func(o *resolver.Options) { o.Family = resolver.FamilyAuto },
	"NSEC3 iterations":   func(o *resolver.Options) { o.Limits.NSEC3Iterations = 500 },
	"time of signatures": func(o *resolver.Options) { o.SignatureTime = time.Now },
	"algorithms":         func(o *resolver.Options) { o.Algorithms = map[uint8]dnssec.Algorithm{13: nil} },
	"local zones":        func(o *resolver.Options) { o.DisableLocalZones = true },
	"name of the view":   func(o *resolver.Options) { o.ViewName = "other" },
	"a route": func(o *resolver.Options) {
		o.Routes = []resolver.Route{
			{Zone: "plain.test.", Kind: resolver.RouteStub, Servers: []resolver.RouteServer{{Addr: netip.MustParseAddrPort("198.51.100.5:53")}}},
			{Zone: "shop.example.", Kind: resolver.RouteStub, Servers: []resolver.RouteServer{{Addr: netip.MustParseAddrPort("198.51.100.3:53")}}},
		}
	},
}

// shares are the ways in which resolvers exchange data.
var shares = map[string]func() func(*resolver.Options){
	"cache": func() func(*resolver.Options) {
		c := cache.New(cache.Options{})
		return func(o *resolver.Options) { o.Cache, o.ViewName = c, "test" }
	},
	"second level": func() func(*resolver.Options) { return secondLevelUse(newStore()) },
}

// evilWorld is the world with other addresses, and without signatures.
var evilWorld = strings.NewReplacer("192.0.2.80", evil, "192.0.2.90", evil, " signed nsec3", " no-ds", " signed", " no-ds").Replace(sharedWorld)

// launder has the launderer learn anything in an Internet of its own, and returns what the
// victim then answers, and whether it has sent queries of its own.
func launder(t *testing.T, share, change func(*resolver.Options), learn func(t *testing.T, r *resolver.Resolver)) (answers []string, sends int) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, sharedWorld)
		bad := resolvertest.New(t, evilWorld)
		launderer := in.Resolver(t, ipv4Only, share, func(o *resolver.Options) { o.Dial = bad.Dial }, change)
		learn(t, launderer)
		synctest.Wait()
		victim := in.Resolver(t, ipv4Only, share)
		for _, name := range []string{"www.plain.test.", "www.shop.example."} {
			result, err := victim.Resolve(t.Context(), name, dns.TypeA)
			if err != nil {
				answers = append(answers, err.Error())
				continue
			}
			answers = append(answers, brief(noSignatures(result.Answer))...)
		}
		sends = in.Count(resolvertest.To("198.51.100.5"))
	})
	return answers, sends
}

// learnAll asks for both names.
func learnAll(t *testing.T, r *resolver.Resolver) {
	for _, name := range []string{"www.plain.test.", "www.shop.example."} {
		r.Resolve(t.Context(), name, dns.TypeA)
	}
}

const (
	truePlain = "www.plain.test. A 192.0.2.90"
	trueShop  = "www.shop.example. A 192.0.2.80"
)

// Data that a resolver of another policy believes is not found by others, whatever they
// share.
func TestNothingIsLaundered(t *testing.T) {
	for way, share := range shares {
		for about, change := range launderers {
			t.Run(way+"/"+about, func(t *testing.T) {
				answers, sends := launder(t, share(), change, learnAll)
				if len(answers) != 2 || answers[0] != truePlain || answers[1] != trueShop || sends == 0 {
					t.Errorf("got %q, %d queries to the unsigned zone; want the truth, asked for", answers, sends)
				}
			})
		}
		t.Run(way+"/the same policy", func(t *testing.T) {
			answers, _ := launder(t, share(), func(*resolver.Options) {}, learnAll)
			if len(answers) != 2 || answers[0] != "www.plain.test. A "+evil {
				t.Errorf("got %q; want what the other has learnt, or this test shows nothing", answers)
			}
		})
		t.Run(way+"/questions with CD", func(t *testing.T) {
			answers, sends := launder(t, share(), func(*resolver.Options) {}, func(t *testing.T, r *resolver.Resolver) {
				for _, name := range []string{"www.plain.test.", "www.shop.example."} {
					query := new(dns.Msg).SetQuestion(name, dns.TypeA)
					query.CheckingDisabled = true
					if m, err := r.Exchange(t.Context(), query); err != nil || len(m.Answer) == 0 {
						t.Errorf("%s with CD: %v, %v", name, m, err)
					}
				}
			})
			if len(answers) != 2 || answers[1] != trueShop {
				t.Errorf("got %q, %d queries; want what is signed as it is", answers, sends)
			}
			if way == "second level" && answers[0] != truePlain {
				t.Errorf("got %q; want nothing out of the store", answers)
			}
		})
	}
	t.Run("second level/another key", func(t *testing.T) {
		answers, sends := launder(t, secondLevelUse(newStore()), func(o *resolver.Options) { o.SecondLevelKey = []byte("a key of the fleet") }, learnAll)
		if len(answers) != 2 || answers[0] != truePlain || answers[1] != trueShop || sends == 0 {
			t.Errorf("got %q, %d queries; want the truth, asked for", answers, sends)
		}
	})
}
