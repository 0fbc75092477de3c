package resolver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// zonesWorld has zones of every kind that a name may be in. sub, deep.ent and unsigned.sub have the
// servers of the zone above them, so that nobody refers to them.
const zonesWorld = `
-- zone example. at 198.51.100.1 signed --
-- zone shop.example. at 198.51.100.3 signed --
www                       A      192.0.2.80
leaf.ent                  A      192.0.2.81
*.wild                    A      192.0.2.82
*.wildalias               CNAME  www
alias                     CNAME  www.acme.example.
chain                     CNAME  alias
old                       DNAME  acme.example.
_acme-challenge           CNAME  www.acme.example.
round1                    CNAME  round2
round2                    CNAME  round1
-- zone sub.shop.example. at 198.51.100.3 signed --
www                       A      192.0.2.83
alias                     CNAME  www.acme.example.
-- zone deep.ent2.shop.example. at 198.51.100.3 --
www                       A      192.0.2.83
alias                     CNAME  www.acme.example.
-- zone acme.example. at 198.51.100.5 --
www                       TXT    "token"
-- zone _acme-challenge.other.example. at 198.51.100.5 --
@                         TXT    "token"
-- zone other.example. at 198.51.100.6 --
-- zone dname.example. at 198.51.100.7 --
@                         DNAME  acme.example.
`

// TestFindZone: names in zones of every kind, with and without cache, and asked again: which zone,
// what is above it, and what was learnt of both.
func TestFindZone(t *testing.T) {
	const signed, plain = " NS 1 DS 1 DNSKEY 2 secure", " NS 1 DS 0 DNSKEY 0 insecure"
	for name, want := range map[string]string{
		"www.shop.example":                  "shop.example. below example." + signed,
		"shop.example":                      "shop.example. below example." + signed,
		"ent.shop.example":                  "shop.example. below example." + signed,
		"nobody.shop.example":               "shop.example. below example. missing" + signed,
		"a.b.c.nobody.shop.example":         "shop.example. below example. missing" + signed,
		"a.b.wild.shop.example":             "shop.example. below example." + signed,
		"alias.shop.example":                "shop.example. below example." + signed + " 1 alias",
		"a.b.wildalias.shop.example":        "shop.example. below example." + signed + " 1 alias",
		"x.y.old.shop.example":              "shop.example. below example." + signed + " 1 alias",
		"old.shop.example":                  "shop.example. below example." + signed,
		"round1.shop.example":               "shop.example. below example." + signed + " 1 alias",
		"www.sub.shop.example":              "sub.shop.example. below shop.example. unseen" + signed,
		"sub.shop.example":                  "sub.shop.example. below shop.example. unseen" + signed,
		"alias.sub.shop.example":            "sub.shop.example. below shop.example. unseen" + signed + " 1 alias",
		"www.deep.ent2.shop.example":        "deep.ent2.shop.example. below shop.example. unseen" + plain,
		"alias.deep.ent2.shop.example":      "deep.ent2.shop.example. below shop.example. unseen" + plain + " 1 alias",
		"ent2.shop.example":                 "shop.example. below example." + signed,
		"www.acme.example":                  "acme.example. below example." + plain,
		"_acme-challenge.other.example":     "_acme-challenge.other.example. below other.example." + plain,
		"_acme-challenge.www.other.example": "other.example. below example. missing" + plain,
		"a.b.dname.example":                 "dname.example. below example." + plain + " 1 alias",
		"example":                           "example. below ." + signed,
		".":                                 ". below nothing unseen NS 1 DS 0 DNSKEY 2 secure",
		"nowhere":                           ". below nothing missing unseen NS 1 DS 0 DNSKEY 2 secure",
		`with\.dot.shop.example`:            "shop.example. below example. missing" + signed,
		"WWW.Shop.Example.":                 "shop.example. below example." + signed,
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, zonesWorld, func(w *world) {
				for _, o := range []resolver.FindZoneOptions{{}, {}, {WithoutCache: true}} {
					z, err := w.r.FindZone(w.Context(), name, o)
					if err != nil {
						w.Fatal(err)
					}
					if got := zoneText(z); got != want {
						w.Errorf("%+v: got  %s\nwant %s", o, got, want)
					}
					if n, err := dns.NewRR(name + " A 192.0.2.1"); err == nil && z.Name != dns.CanonicalName(n.Header().Name) {
						w.Errorf("got the name %s", z.Name)
					}
				}
			})
		})
	}
}

// zoneText returns what a zone is in a line.
func zoneText(z *resolver.Zone) string {
	above := z.Parent
	if above == "" {
		above = "nothing"
	}
	text := z.Apex + " below " + above
	if z.Missing {
		text += " missing"
	}
	switch {
	case z.Delegation == nil && !z.Local:
		text += " unseen"
	case z.Delegation != nil && (z.Delegation.Zone.String() != z.Apex || len(z.Delegation.Servers) == 0):
		text += " with the delegation of " + z.Delegation.Zone.String()
	}
	text += fmt.Sprintf(" NS %d DS %d DNSKEY %d %s", len(z.NS), len(z.DS), len(z.DNSKEY), z.Status)
	if len(z.Aliases) > 0 {
		text += fmt.Sprintf(" %d alias", len(z.Aliases))
	}
	if z.SOA == nil || z.SOA.Hdr.Name != z.Apex {
		text += " without SOA"
	}
	if z.Problem != nil {
		text += " problem " + z.Problem.Error()
	}
	return text
}

// TestFindZoneFollows: where aliases lead counts when that is asked for, as for the TXT record of an
// ACME challenge (RFC 8555 §8.4).
func TestFindZoneFollows(t *testing.T) {
	inWorld(t, zonesWorld, func(w *world) {
		for name, want := range map[string]string{
			"_acme-challenge.shop.example": "www.acme.example. in acme.example. by _acme-challenge.shop.example.",
			"chain.shop.example":           "www.acme.example. in acme.example. by chain.shop.example. alias.shop.example.",
			"www.old.shop.example":         "www.acme.example. in acme.example. by www.old.shop.example.",
			"www.shop.example":             "www.shop.example. in shop.example. by",
		} {
			z, err := w.r.FindZone(w.Context(), name, resolver.FindZoneOptions{FollowAliases: true})
			if err != nil {
				w.Error(name, err)
				continue
			}
			var got strings.Builder
			got.WriteString(z.Name + " in " + z.Apex + " by")
			for _, a := range z.Aliases {
				got.WriteString(" " + a.From)
			}
			if got.String() != want {
				w.Errorf("%s: got %s, want %s", name, got.String(), want)
			}
		}
		_, err := w.r.FindZone(w.Context(), "round1.shop.example", resolver.FindZoneOptions{FollowAliases: true})
		if !errors.Is(err, resolver.ErrAliasLoop) {
			w.Errorf("aliases in a circle: %v", err)
		}
	})
}

// TestFindZoneLocal: names that the resolver answers itself cost no query (RFC 6761, RFC 6303), and
// nobody is asked for what they have.
func TestFindZoneLocal(t *testing.T) {
	for name, apex := range map[string]string{
		"localhost": "localhost.", "a.localhost": "localhost.", "x.onion": "onion.", "printer.local": "local.",
		"1.0.0.10.in-addr.arpa": "10.in-addr.arpa.", "home.arpa": "home.arpa.", "www.corp": "corp.", "corp": "corp.",
	} {
		inWorld(t, zonesWorld, func(w *world) {
			for _, fresh := range []bool{false, true} {
				z, err := w.r.FindZone(w.Context(), name, resolver.FindZoneOptions{WithoutCache: fresh})
				if err != nil {
					w.Fatal(name, err)
				}
				if !z.Local || z.Apex != apex || z.Parent != "" || z.SOA == nil || z.Problem != nil {
					w.Errorf("%s: got %s, local %t", name, zoneText(z), z.Local)
				}
				if _, err := w.r.AskServers(w.Context(), z, name, dns.TypeA); !errors.Is(err, resolver.ErrNoZone) {
					w.Errorf("%s: its servers are asked: %v", name, err)
				}
			}
			w.count(0, notPriming)
		}, func(o *resolver.Options) {
			o.DisableLocalZones = false
			zone, err := resolver.ParseLocalZone("corp", strings.NewReader("www A 192.0.2.1"))
			if err != nil {
				t.Fatal(err)
			}
			o.LocalZones = []resolver.LocalZone{zone}
		})
	}
}

// TestFindZoneErrors: what cannot be asked is an error.
func TestFindZoneErrors(t *testing.T) {
	inWorld(t, zonesWorld, func(w *world) {
		find := func(name string) error {
			_, err := w.r.FindZone(w.Context(), name, resolver.FindZoneOptions{})
			return err
		}
		if err := find("a..b"); !errors.Is(err, resolver.ErrName) {
			w.Errorf("no name: %v", err)
		}
		z, err := w.r.FindZone(w.Context(), "www.shop.example", resolver.FindZoneOptions{})
		if err != nil {
			w.Fatal(err)
		}
		ask := func(z *resolver.Zone, name string, qtype uint16) error {
			_, err := w.r.AskServers(w.Context(), z, name, qtype)
			return err
		}
		for what, got := range map[string]error{
			"no name": ask(z, "a..b", dns.TypeA), "name outside": ask(z, "www.example", dns.TypeA),
			"no type": ask(z, "www.shop.example", dns.TypeAXFR), "no zone": ask(nil, "www.shop.example", dns.TypeA),
			"made up": ask(&resolver.Zone{Apex: "shop.example."}, "www.shop.example", dns.TypeA),
		} {
			want := map[string]error{
				"no name": resolver.ErrName, "name outside": resolver.ErrOutsideZone, "no type": resolver.ErrMetaType,
				"no zone": resolver.ErrNoZone, "made up": resolver.ErrNoZone,
			}[what]
			var told *resolver.Error
			if !errors.Is(got, want) || !errors.As(got, &told) || told.Temporary() || resolver.Explain(got) == "" {
				w.Errorf("%s: %v", what, got)
			}
		}
		w.r.Close()
		if err := find("www.shop.example"); !errors.Is(err, resolver.ErrClosed) {
			w.Errorf("closed: %v", err)
		}
		if err := ask(z, "www.shop.example", dns.TypeA); !errors.Is(err, resolver.ErrClosed) {
			w.Errorf("closed: %v", err)
		}
	})
}

// TestFindZoneBogus: that a zone is bogus is its state, with the reason, and what parent and zone say
// is there all the same. So is it a moment later, when the failure is remembered.
func TestFindZoneBogus(t *testing.T) {
	for _, break_ := range []string{"ds-digest", "expired", "unsigned:/SOA"} {
		inWorld(t, `
-- zone example. at 198.51.100.1 signed --
-- zone broken.example. at 198.51.100.3 signed break=`+break_+` --
www A 192.0.2.80
`, func(w *world) {
			for _, fresh := range []bool{false, false, true} {
				z, err := w.r.FindZone(w.Context(), "www.broken.example", resolver.FindZoneOptions{WithoutCache: fresh})
				if err != nil {
					w.Fatal(break_, err)
				}
				if z.Status != dnssec.Bogus || z.Apex != "broken.example." || z.Parent != "example." || z.Delegation == nil || len(z.DS) == 0 || len(z.NS) == 0 || len(z.DNSKEY) == 0 {
					w.Errorf("%s: got %s", break_, zoneText(z))
				}
				var told *resolver.Error
				if !errors.As(z.Problem, &told) || told.Status != dnssec.Bogus || z.Extended.Code == 0 {
					w.Errorf("%s: problem %v, %v", break_, z.Problem, z.Extended)
				}
			}
			if z, err := w.r.FindZone(w.Context(), "example", resolver.FindZoneOptions{}); err != nil || z.Status != dnssec.Secure || z.Problem != nil {
				w.Errorf("the zone above: %v, %v", z, err)
			}
		})
	}
}

// TestFindZoneOfSilentServers: the delegation of a zone whose servers do not answer, do not know it,
// or cannot be found is there to be judged, and the problem is named.
func TestFindZoneOfSilentServers(t *testing.T) {
	for fault, want := range map[string]error{
		"drop": resolver.ErrNoReachableServer, "lame refused": resolver.ErrNoReachableServer, "rcode SERVFAIL": resolver.ErrNoReachableServer,
		"when name down.example.: replace NXDOMAIN":          resolver.ErrZoneDenied,
		"when name down.example.: replace NOERROR":           resolver.ErrZoneDenied,
		"when name down.example. type SOA: replace NXDOMAIN": resolver.ErrZoneDenied,
		"when name down.example. type NS: replace NOERROR":   resolver.ErrZoneDenied,
	} {
		inWorld(t, `
-- zone example. at 198.51.100.1 --
-- zone down.example. at 198.51.100.3 --
www A 192.0.2.80
-- fault 198.51.100.3 --
`+fault+"\n", func(w *world) {
			for _, name := range []string{"down.example", "www.down.example"} {
				z, err := w.r.FindZone(w.Context(), name, resolver.FindZoneOptions{})
				if err != nil {
					w.Fatal(fault, err)
				}
				if z.Apex != "down.example." || z.Parent != "example." || z.Delegation == nil || !errors.Is(z.Problem, want) || z.Extended.Code == 0 || z.Missing {
					w.Errorf("%s, %s: got %s", fault, name, zoneText(z))
				}
			}
		})
	}
}

// TestFindZoneFresh: WithoutCache finds what ordinary questions do not see yet: a zone cut where there
// was none, other servers and keys, and a name that was missing. It then is what the cache has.
func TestFindZoneFresh(t *testing.T) {
	const before = `
-- zone example. at 198.51.100.1 signed --
-- zone shop.example. at 198.51.100.3 signed --
www A 192.0.2.80
`
	const after = `
-- zone example. at 198.51.100.1 signed --
-- zone shop.example. at 198.51.100.4 198.51.100.5 signed ksk=2 ds=2 --
-- zone www.shop.example. at 198.51.100.6 signed --
-- zone _acme-challenge.shop.example. at 198.51.100.6 --
`
	inWorld(t, before, func(w *world) {
		find := func(name string, fresh bool) string {
			z, err := w.r.FindZone(w.Context(), name, resolver.FindZoneOptions{WithoutCache: fresh})
			if err != nil {
				return err.Error()
			}
			return zoneText(z)
		}
		old := find("_acme-challenge.shop.example", false)
		if want := "shop.example. below example. missing NS 1 DS 1 DNSKEY 2 secure"; old != want {
			w.Errorf("before: got %s, want %s", old, want)
		}
		find("a.www.shop.example", false)
		w.update(after)
		if got := find("_acme-challenge.shop.example", false); got != old {
			w.Errorf("from the cache: got %s, want %s", got, old)
		}
		for name, want := range map[string]string{
			"_acme-challenge.shop.example": "_acme-challenge.shop.example. below shop.example. NS 1 DS 0 DNSKEY 0 insecure",
			"a.www.shop.example":           "www.shop.example. below shop.example. missing NS 1 DS 1 DNSKEY 2 secure",
			"x.shop.example":               "shop.example. below example. missing NS 2 DS 1 DNSKEY 2 secure",
		} {
			if got := find(name, true); got != want {
				w.Errorf("%s without cache: got %s, want %s", name, got, want)
			}
		}
		if got, want := find("x.shop.example", false), "shop.example. below example. missing NS 2 DS 1 DNSKEY 2 secure"; got != want {
			w.Errorf("afterwards: got %s, want %s", got, want)
		}
	})
}

// TestFindZoneCost: what is known costs no query, and equal calls at the same time are one.
func TestFindZoneCost(t *testing.T) {
	inWorld(t, zonesWorld, func(w *world) {
		errs := make(chan error)
		for range 20 {
			go func() {
				_, err := w.r.FindZone(w.Context(), "www.shop.example", resolver.FindZoneOptions{})
				errs <- err
			}()
		}
		for range 20 {
			if err := <-errs; err != nil {
				w.Error(err)
			}
		}
		if n := w.in.Count(notPriming); n > 12 {
			w.Errorf("%d queries for a cold zone asked for by 20 callers", n)
		}
		w.in.ResetLog()
		if _, err := w.r.FindZone(w.Context(), "www.shop.example", resolver.FindZoneOptions{}); err != nil {
			w.Error(err)
		}
		w.count(0)
		if s := w.r.Stats(); s.Questions != 21 || s.FromCache == 0 {
			w.Errorf("%d questions, %d from the cache", s.Questions, s.FromCache)
		}
	})
}

// TestFindZoneTrace: the hooks of a trace see the queries, and the end.
func TestFindZoneTrace(t *testing.T) {
	inWorld(t, zonesWorld, func(w *world) {
		queries, sends := 0, -1
		trace := &resolver.Trace{
			Query: func(resolver.QueryInfo) { queries++ },
			Done:  func(d resolver.DoneInfo) { sends = d.Sends },
		}
		ctx := resolver.WithTrace(w.Context(), trace)
		z, err := w.r.FindZone(ctx, "www.shop.example", resolver.FindZoneOptions{})
		if err != nil {
			w.Fatal(err)
		}
		if n := w.in.Count(notPriming); queries != n || sends != n {
			w.Errorf("find: the trace has %d queries, says %d at the end, and %d were sent", queries, sends, n)
		}
		w.in.ResetLog()
		queries = 0
		if _, err := w.r.AskServers(ctx, z, "www.shop.example", dns.TypeA); err != nil {
			w.Fatal(err)
		}
		if n := w.in.Count(notPriming); queries != n || sends != n || n < 2 {
			w.Errorf("ask: the trace has %d queries, says %d at the end, and %d were sent", queries, sends, n)
		}
	}, ipv4Only)
}

// TestFindZoneAfterFailure: that servers failed a moment ago is remembered (RFC 9520), unless all is
// asked anew: a zone whose servers have just been set up works at once.
func TestFindZoneAfterFailure(t *testing.T) {
	inWorld(t, zonesWorld, func(w *world) {
		w.in.Fault("198.51.100.5", resolvertest.Rcode(dns.RcodeServerFailure))
		for _, step := range []struct {
			mended, fresh bool
			want          error
		}{{false, false, resolver.ErrNoReachableServer}, {true, false, resolver.ErrCached}, {true, true, nil}, {true, false, nil}} {
			if step.mended {
				w.in.Fault("198.51.100.5", resolvertest.Mend())
			}
			z := w.zoneOf("www.acme.example", resolver.FindZoneOptions{WithoutCache: step.fresh})
			if z.Apex != "acme.example." || z.Delegation == nil || !errors.Is(z.Problem, step.want) {
				w.Errorf("%+v: got %s", step, zoneText(z))
			}
		}
	})
}
