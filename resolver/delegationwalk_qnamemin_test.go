package resolver_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestMinimisedNames: each zone on the way sees one label more than its own name,
// and type A (RFC 9156 §2.1).
func TestMinimisedNames(t *testing.T) {
	inWorld(t, `
-- zone example. at 198.51.100.2 --
-- zone shop.example. at 198.51.100.3 --
secret.name     TXT   "hidden"
`, func(w *world) {
		w.want("secret.name.shop.example.", dns.TypeTXT, 0, `secret.name.shop.example. TXT "hidden"`)
		want := []string{"example. A", "shop.example. A", "name.shop.example. A", "secret.name.shop.example. TXT"}
		var got []string
		for _, q := range w.in.Log(notPriming) {
			got = append(got, strings.ToLower(q.Name)+" "+dns.TypeToString[q.Type])
		}
		if !slices.Equal(got, want) {
			w.Errorf("got questions %q, want %q", got, want)
		}
	}, ipv4Only)
}

// manyLabels has a name of 90 labels deep in one zone.
func manyLabels() string { return strings.Repeat("a.", 88) + "shop.example." }

// TestMinimisedQueriesAreFew: a name of 90 labels takes at most 10 minimised queries
// (RFC 9156 §2.3), whatever the zones look like.
func TestMinimisedQueriesAreFew(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 --
`+strings.TrimSuffix(manyLabels(), ".shop.example.")+` A 192.0.2.80
`, func(w *world) {
		w.want(manyLabels(), dns.TypeA, 0, manyLabels()+" A 192.0.2.80")
		minimised := resolvertest.Not(resolvertest.Name(manyLabels()))
		if got := w.in.Count(notPriming, minimised); got > 10 {
			w.Errorf("got %d minimised queries, want at most 10:\n%s", got, resolvertest.Table(w.in.Log()))
		}
	}, ipv4Only)
}

// TestMinimiseLimit: the number is a limit that can be set.
func TestMinimiseLimit(t *testing.T) {
	for _, limit := range []int{1, 3, 20} {
		inWorld(t, `
-- zone shop.example. at 198.51.100.3 --
`+strings.TrimSuffix(manyLabels(), ".shop.example.")+` A 192.0.2.80
`, func(w *world) {
			w.want(manyLabels(), dns.TypeA, 0, manyLabels()+" A 192.0.2.80")
			minimised := resolvertest.Not(resolvertest.Name(manyLabels()))
			if got := w.in.Count(notPriming, minimised); got > limit {
				w.Errorf("got %d minimised queries, want at most %d", got, limit)
			}
		}, ipv4Only, func(o *resolver.Options) { o.Limits.Minimised = limit })
	}
}

// wrongServers is a zone below which an empty non-terminal is, on a server that can
// be made to get it wrong.
const wrongServers = `
-- zone shop.example. at 198.51.100.3 --
www.ent         A   192.0.2.80
`

// TestRelaxedFallback: servers that get a minimised question wrong are asked the full
// one (RFC 9156 §2.3).
func TestRelaxedFallback(t *testing.T) {
	for _, fault := range []string{
		"replace NXDOMAIN", "rcode REFUSED", "rcode SERVFAIL", "rcode FORMERR", "rcode NOTIMP", "rcode YXDOMAIN",
	} {
		t.Run(fault, func(t *testing.T) {
			inWorld(t, wrongServers+"-- fault 198.51.100.3 --\nwhen name ent.shop.example.: "+fault+"\n", func(w *world) {
				w.want("www.ent.shop.example.", dns.TypeA, 0, "www.ent.shop.example. A 192.0.2.80")
			})
		})
	}
}

// TestFallbackForSilence: servers that do not answer the minimised question are asked the
// full one once, all of them together, and as plainly as can be. A zone that is down costs
// no more than that.
func TestFallbackForSilence(t *testing.T) {
	full := resolvertest.Name("www.ent.shop.example.")
	plain := func(q resolvertest.Query) bool { return q.EDNS && q.Cookie == nil && q.Name == strings.ToLower(q.Name) }
	inWorld(t, wrongServers+"-- fault 198.51.100.3 --\nwhen name ent.shop.example.: drop\n", func(w *world) {
		w.want("www.ent.shop.example.", dns.TypeA, 0, "www.ent.shop.example. A 192.0.2.80")
		w.count(1, full)
		w.count(1, full, plain)
		w.want("fine.shop.example.", dns.TypeA, dns.RcodeNameError).atMost(w, 1) // it is not down
	}, ipv4Only)
	for _, servers := range []string{"198.51.100.3", "198.51.100.3 198.51.100.4 198.51.100.5"} {
		zone := strings.Replace(wrongServers, "198.51.100.3", servers, 1)
		inWorld(t, zone+"-- fault shop.example. --\ndrop\n", func(w *world) {
			w.wantError("www.ent.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
			w.count(1, full)
		}, ipv4Only)
		inWorld(t, zone+"-- fault shop.example. --\nwhen name ent.shop.example.: drop\n", func(w *world) {
			w.wantError("www.ent.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
			w.count(0, full)
		}, ipv4Only, func(o *resolver.Options) { o.Minimise = resolver.MinimiseStrict })
	}
}

// TestStrictMinimisation: a name error of an ancestor is final (RFC 8020), an error
// stays one, and the full name is not revealed.
func TestStrictMinimisation(t *testing.T) {
	strict := func(o *resolver.Options) { o.Minimise = resolver.MinimiseStrict }
	inWorld(t, wrongServers+"-- fault 198.51.100.3 --\nwhen name ent.shop.example.: replace NXDOMAIN\n", func(w *world) {
		w.want("www.ent.shop.example.", dns.TypeA, dns.RcodeNameError)
		w.count(0, resolvertest.Name("www.ent.shop.example."))
	}, strict)
	inWorld(t, wrongServers+"-- fault 198.51.100.3 --\nwhen name ent.shop.example.: rcode REFUSED\n", func(w *world) {
		w.wantError("www.ent.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
		w.count(0, resolvertest.Name("www.ent.shop.example."))
	}, strict)
	inWorld(t, wrongServers, func(w *world) {
		w.want("www.ent.shop.example.", dns.TypeA, 0, "www.ent.shop.example. A 192.0.2.80")
	}, strict)
}

// TestMinimiseOff: every server sees the full question.
func TestMinimiseOff(t *testing.T) {
	inWorld(t, wrongServers, func(w *world) {
		w.want("www.ent.shop.example.", dns.TypeA, 0, "www.ent.shop.example. A 192.0.2.80")
		w.count(3, notPriming)
		w.count(3, resolvertest.Name("www.ent.shop.example."), resolvertest.Type(dns.TypeA))
	}, minimiseOff)
}

// TestMinimisedAlias: a CNAME at an ancestor says nothing about the names below it, a
// DNAME redirects them.
func TestMinimisedAlias(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 --
alias           CNAME other
www.alias       A     192.0.2.80
old             DNAME new
a.b.new         A     192.0.2.81
`, func(w *world) {
		w.want("www.alias.shop.example.", dns.TypeA, 0, "www.alias.shop.example. A 192.0.2.80")
		w.want("a.b.old.shop.example.", dns.TypeA, 0, "old.shop.example. DNAME new.shop.example.",
			"a.b.old.shop.example. CNAME a.b.new.shop.example.", "a.b.new.shop.example. A 192.0.2.81")
	})
}

// TestNameErrorAbove: servers that do not know empty non-terminals deny that they exist.
// Such a denial hides none of the names below it (RFC 8020 §4), known or not, unless it is
// proven, or MinimiseStrict believes it.
func TestNameErrorAbove(t *testing.T) {
	const text = `
-- zone shop.example. at 198.51.100.3 --
known.ent       A   192.0.2.80
other.ent       A   192.0.2.81
-- fault 198.51.100.3 --
when name ent.shop.example.: replace NXDOMAIN
when name ent.shop.example.: add authority shop.example. 900 IN SOA ns. host. 1 1 1 1 900
`
	strict := func(o *resolver.Options) { o.Minimise = resolver.MinimiseStrict }
	for about, change := range map[string]func(*resolver.Options){
		"relaxed":        func(*resolver.Options) {},
		"minimised not":  minimiseOff,
		"validated not":  func(o *resolver.Options) { o.Validation = resolver.ValidateOff },
		"stale answered": func(o *resolver.Options) { o.ServeStale = true },
	} {
		t.Run(about, func(t *testing.T) {
			inWorld(t, text, func(w *world) {
				w.want("known.ent.shop.example.", dns.TypeA, 0, "known.ent.shop.example. A 192.0.2.80")
				w.want("ent.shop.example.", dns.TypeTXT, dns.RcodeNameError)
				w.want("ent.shop.example.", dns.TypeMX, dns.RcodeNameError)
				w.count(0) // of the name itself it is believed
				w.want("known.ent.shop.example.", dns.TypeA, 0, "known.ent.shop.example. A 192.0.2.80")
				w.want("other.ent.shop.example.", dns.TypeA, 0, "other.ent.shop.example. A 192.0.2.81").atMost(w, 1)
				w.want("none.ent.shop.example.", dns.TypeA, dns.RcodeNameError).atMost(w, 1)
			}, ipv4Only, change)
		})
	}
	inWorld(t, text, func(w *world) {
		w.want("ent.shop.example.", dns.TypeTXT, dns.RcodeNameError)
		w.want("other.ent.shop.example.", dns.TypeA, dns.RcodeNameError).atMost(w, 0)
	}, ipv4Only, strict)
	inWorld(t, strings.Replace(text, "198.51.100.3 --", "198.51.100.3 signed --", 1), func(w *world) {
		w.want("nothing.shop.example.", dns.TypeTXT, dns.RcodeNameError)
		w.want("below.nothing.shop.example.", dns.TypeA, dns.RcodeNameError).atMost(w, 0)
	}, ipv4Only)
}
