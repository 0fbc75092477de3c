package resolver_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// mostAtOnce is how many of these queries, each of which takes rtt, were under way to one
// server at the same time.
func mostAtOnce(log []resolvertest.Query, rtt time.Duration) map[netip.Addr]int {
	most := make(map[netip.Addr]int)
	sent := make(map[netip.Addr][]time.Time)
	for _, q := range log {
		times := append(sent[q.Server], q.Time)
		for q.Time.Sub(times[0]) >= rtt {
			times = times[1:]
		}
		sent[q.Server] = times
		most[q.Server] = max(most[q.Server], len(times))
	}
	return most
}

// TestAttackWakeUp: a host that has slept wakes up with everything expired at once, and all its
// programs ask: each name is asked for once, delegations and keys are fetched once for all of
// them, and no server gets more at a time than it may (attacks.md 23).
func TestAttackWakeUp(t *testing.T) {
	const names, callers, atOnce, rtt = 300, 3, 25, 20 * time.Millisecond
	for _, signed := range []string{"", "signed"} {
		t.Run("zone "+signed, func(t *testing.T) {
			var slept atomic.Int64
			// The wall clock goes on during sleep, the monotonic one does not.
			now := func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
			inWorld(t, fmt.Sprintf(`
-- zone . at 198.18.0.1 %[1]s --
-- zone example. at 198.18.0.2 %[1]s --
-- zone shop.example. at 198.51.100.3 %[1]s --
*     300   A   192.0.2.80
-- fault * --
latency 20ms
`, signed), func(w *world) {
				wake := func(sleep time.Duration) {
					slept.Add(int64(sleep))
					w.in.ResetLog()
					var all sync.WaitGroup
					for i := range names * callers {
						all.Go(func() {
							name := fmt.Sprintf("n%d.shop.example.", i%names)
							if result, err := w.r.Resolve(w.Context(), name, dns.TypeA); err != nil || len(result.Answer) == 0 {
								w.Errorf("%s: got %v, %v, want an answer", name, result, err)
							}
						})
					}
					all.Wait()
					w.settle()
				}
				wake(0)
				w.settle()
				wake(30 * time.Second) // nothing has expired
				w.count(0)
				wake(48 * time.Hour)
				log := w.in.Log()
				w.count(names, resolvertest.To("198.51.100.3"), resolvertest.Type(dns.TypeA), resolvertest.Not(resolvertest.Name("shop.example.")))
				// A referral and the keys of the zone, each as often as may be lost or late.
				for _, server := range []string{"198.18.0.1", "198.18.0.2"} {
					if got := w.in.Count(resolvertest.To(server)); got > 4 {
						w.Errorf("%s: got %d queries, want at most 4", server, got)
					}
				}
				if got := len(log); got > names+10 {
					w.Errorf("got %d queries for %d names, want few more", got, names)
				}
				for server, got := range mostAtOnce(log, rtt) {
					if got > atOnce {
						w.Errorf("%s: %d queries under way at once, want at most %d", server, got, atOnce)
					}
				}
				if w.Failed() {
					w.Logf("queries other than for the names:\n%s", resolvertest.Table(w.in.Log(resolvertest.Not(resolvertest.Below("shop.example.")))))
				}
			}, ipv4Only, func(o *resolver.Options) {
				o.Now, o.SignatureTime = now, time.Now
				o.Limits.QueriesPerServer = atOnce
			})
		})
	}
}
