package resolver_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// held lists what a cache holds, except the root's own records, which priming may add at
// any time.
func (w *world) held(c *cache.Cache) map[string]cache.Entry {
	entries := make(map[string]cache.Entry)
	c.Walk(time.Now(), func(e cache.Entry) bool {
		if e.Name.String() != "." && e.Name.String() != "ns1." {
			entries[fmt.Sprintf("%v %s %s", e.Kind, e.Name, dns.Type(e.Type))] = e
		}
		return true
	})
	return entries
}

// news counts what came into the cache, and fails if any of it is the attacker's data about
// another zone.
func (w *world) news(before, after map[string]cache.Entry) (kept int) {
	w.Helper()
	for line, e := range after {
		if _, old := before[line]; old {
			continue
		}
		if kept++; !harmless(e) {
			w.Errorf("the cache now holds: %s", line)
		}
	}
	return kept
}

// harmless reports whether an attack may have caused an entry: anything about the
// attacker's own zones; about others, that a name does not exist or could not be found, and
// delegations that do not lead to the attacker.
func harmless(e cache.Entry) bool {
	name := e.Name.String()
	for _, own := range []string{"attacker.example.", "helper.test.", "a.example.", "b.example."} {
		if name == own || strings.HasSuffix(name, "."+own) {
			return true
		}
	}
	switch e.Kind {
	case cache.KindNameError, cache.KindFailure, cache.KindGlue:
		return true // no answer ever, and no more than what a cut says
	case cache.KindCut:
		return !slices.ContainsFunc(e.Delegation.Servers, func(s glue.Server) bool {
			return slices.Contains(s.Addrs, netip.MustParseAddr(attackerAt))
		})
	case cache.KindRRset, cache.KindNoData, cache.KindWildcard, cache.KindChain, cache.KindClaim, cache.KindRange, cache.KindTypes:
	}
	return false
}

// TestAttackSendsToOneAddress: whatever is wrong, one question goes to one address over
// one transport three times at most.
func TestAttackSendsToOneAddress(t *testing.T) {
	worst, took := 0, time.Duration(0)
	for _, a := range attacks {
		inWorld(t, a.text, func(w *world) {
			a.play(w)
			o := w.ask(a.ask, dns.TypeA)
			w.settle()
			took = max(took, o.took)
			counts := make(map[string]int)
			for _, q := range w.in.Log() {
				counts[fmt.Sprintf("%s %s %s %d", q.Server, q.Network, strings.ToLower(q.Name), q.Type)]++
			}
			for what, n := range counts {
				worst = max(worst, n)
				if n > 3 {
					w.Errorf("%s: %d queries %s, want 3 at most", a.name, n, what)
				}
			}
		}, ipv4Only)
	}
	wantCost(t, "most sends of one question to one address, of all above", cost{sends: worst, took: took}, cost{sends: 3, took: 5 * time.Second})
}

// TestAttackManyClients: 200 clients ask for one slow name at a fresh start, and each is
// answered with two queries in all, one of them minimised.
func TestAttackManyClients(t *testing.T) {
	const clients = 200
	held := cache.New(cache.Options{})
	inWorld(t, `
-- zone slow.example. at 198.51.100.3 --
www.name        A   192.0.2.80
-- fault 198.51.100.3 --
latency 700ms
`, func(w *world) {
		start := time.Now()
		results := make(chan asked, clients)
		for range clients {
			go func() {
				result, err := w.r.Resolve(w.Context(), "www.name.slow.example.", dns.TypeA)
				results <- asked{Result: result, err: err}
			}()
		}
		for range clients {
			o := <-results
			o.check(w, "www.name.slow.example.", 0, "www.name.slow.example. A 192.0.2.80")
		}
		took := time.Since(start)
		w.settle()
		got := cost{w.in.Count(notPriming), w.in.Count(resolvertest.To("198.51.100.3")), len(w.held(held)), took}
		// Beside the two, one to the root and one to example.; kept: three delegations with
		// their glue, the answer.
		wantCost(w.T, "200 clients, one slow name, fresh start", got, cost{4, 2, 5, 3 * time.Second})
	}, ipv4Only, func(o *resolver.Options) { o.Cache = held })
}

// TestAttackPoisoning: the six ways in which a hostile server can try to plant data about
// others, each against an empty cache: nothing of it is believed, nothing goes to the
// attacker, and it costs no send more than the honest zone does (TestUnsolicitedRecords,
// TestCNAMETail and TestGlueOfAReferral have more of them).
func TestAttackPoisoning(t *testing.T) {
	toAttacker := resolvertest.To("203.0.113.66")
	round := func(w *world) (spent cost) {
		start := time.Now()
		count := func() {
			spent.sends += w.in.Count(notPriming)
			spent.share += w.in.Count(toAttacker)
		}
		for range 2 {
			for _, want := range [][]string{
				{"www.shop.example. A 192.0.2.80"},
				{"alias.shop.example. CNAME www.victim.example.", "www.victim.example. A 192.0.2.90"},
				{"www.sub.shop.example. A 192.0.2.92"},
				{"www.victim.example. A 192.0.2.90"},
				{"ns.victim.example. A 198.51.100.4"},
			} {
				w.want(strings.Fields(want[0])[0], dns.TypeA, 0, want...)
				count()
			}
			w.want("victim.example.", dns.TypeNS, 0, "victim.example. NS ns.victim.example.")
			count()
			w.want("none.example.", dns.TypeA, dns.RcodeNameError)
			count()
		}
		spent.took = time.Since(start)
		return spent
	}
	var honest cost
	for _, attack := range []struct{ name, faults string }{
		{"none, for comparison", ""},
		{"one more answer record", "add answer www.victim.example. 9999 IN A 203.0.113.66"},
		{"the victim's NS in the authority section", "add authority victim.example. 9999 IN NS ns.evil.example.\nadd additional ns.evil.example. 9999 IN A 203.0.113.66"},
		{"the victim's address in the additional section", "add additional www.victim.example. 9999 IN A 203.0.113.66\nadd additional ns.victim.example. 9999 IN A 203.0.113.66"},
		{"CNAME with the target's false address", "when name alias.shop.example.: add answer www.victim.example. 9999 IN A 203.0.113.66"},
		{"the parent's NS in the authority section", "add authority example. 9999 IN NS ns.shop.example.\nadd additional ns.shop.example. 9999 IN A 203.0.113.66"},
		{"out-of-bailiwick glue in a referral", "when below sub.shop.example.: add additional ns.victim.example. 9999 IN A 203.0.113.66"},
	} {
		held := cache.New(cache.Options{})
		inWorld(t, poisonWorld+"-- fault 198.51.100.3 --\n"+attack.faults+"\n", func(w *world) {
			got := round(w)
			w.wantNoTrace(held, "203.0.113.66")
			got.kept = len(w.held(held))
			if attack.faults == "" {
				honest = got
			}
			wantCost(w.T, "poisoning: "+attack.name, got, honest)
		}, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Cache = held })
	}
}

// wantNoTrace: the text is in nothing that the cache holds.
func (w *world) wantNoTrace(c *cache.Cache, text string) {
	w.Helper()
	for line, e := range w.held(c) {
		rrs, err := e.Set.AppendRRs(nil, e.TTL, true)
		if err != nil {
			w.Error(err)
		}
		if all := fmt.Sprint(rrs, e.Delegation); strings.Contains(all, text) {
			w.Errorf("the cache holds: %s: %s", line, all)
		}
	}
}

// TestAttackLetterCase: letters are mixed without being asked for, and a server that does
// not keep them is asked once more and then over TCP, and answers (TestCaseMismatch has what
// is remembered).
func TestAttackLetterCase(t *testing.T) {
	name := strings.Repeat("a", 60) + ".shop.example."
	for _, server := range []struct {
		name, fault string
		share       int
		took        time.Duration
	}{
		{"0x20 by default", "", 1, 40 * time.Millisecond},
		{"0x20, server that folds case", "fold-case", 3, 120 * time.Millisecond},
	} {
		held := cache.New(cache.Options{})
		inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\n"+server.fault+"\n", func(w *world) {
			w.ask("none.example.", dns.TypeA)
			before := w.held(held)
			o := w.want(name, dns.TypeA, dns.RcodeNameError)
			for _, q := range w.in.Log(notPriming) {
				if q.Name == strings.ToLower(q.Name) { // by chance in one of 2^60
					w.Errorf("asked for %s, want mixed letters", q.Name)
				}
			}
			// One send more, to example.; kept: the delegation, its glue and the denial.
			got := cost{o.sends, w.in.Count(target), len(w.held(held)) - len(before), o.took}
			wantCost(w.T, server.name, got, cost{1 + server.share, server.share, 3, server.took})
		}, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Cache = held })
	}
}
