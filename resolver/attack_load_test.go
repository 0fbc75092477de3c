package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// tortureWorld has a zone in which random names are asked for, and others that are in use.
const tortureWorld = `
-- zone attacker.example. at 198.51.100.66 198.51.100.67 %s --
www             A       192.0.2.66
-- zone shop.example. at 198.51.100.3 --
*.hot           3600 A  192.0.2.80
*               A       192.0.2.81
-- fault * --
latency 20ms
`

// flood asks for n names that nobody has asked for before, at once or, with a pause, one
// after the other; the questions end before it returns.
func (w *world) flood(n int, pause time.Duration, zone string) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { w.r.Resolve(w.Context(), fmt.Sprintf("x%d.%s", i, zone), dns.TypeA) })
		time.Sleep(pause)
	}
	all.Wait()
}

// TestAttackWaterTorture: random names below a zone whose servers are down, or answer, or
// are slow. The zone's servers are spared, memory stays within its bound, and what others
// ask for is answered as quickly as before (attacks.md 24).
func TestAttackWaterTorture(t *testing.T) {
	const questions, hot = 5000, 100
	// A little more than a round trip: a question that begins in the very instant in which the
	// reply to another arrives may ask again for the same delegation.
	const pause = 20*time.Millisecond + time.Microsecond
	for _, test := range []struct {
		name, words, fault string
		sends              int // to the attacker's zone, goal
	}{
		// A server that is marked down is probed by one query at a time, however many
		// questions need it.
		{"servers down", "", "dead", 1200},
		{"servers that answer", "", "latency 20ms", questions + 2},
		{"a signed zone", "signed", "latency 20ms", 20},
		{"servers that fail", "", "rcode SERVFAIL", 2*questions + 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := cache.New(cache.Options{MaxBytes: 1 << 20})
			inWorld(t, fmt.Sprintf(tortureWorld, test.words), func(w *world) {
				for i := range hot {
					w.ask(fmt.Sprintf("n%d.hot.shop.example.", i), dns.TypeA)
				}
				w.ask("warm.shop.example.", dns.TypeA)
				if err := w.in.Update("-- fault attacker.example. --\n" + test.fault + "\n"); err != nil {
					t.Fatal(err)
				}
				w.in.ResetLog()
				done := make(chan bool)
				go func() {
					w.flood(questions, pause, "attacker.example.")
					close(done)
				}()
				// Beside it others ask, for new names and for hot ones.
				slowest := time.Duration(0)
				for i := range 40 {
					time.Sleep(questions * pause / 50)
					begin := time.Now()
					if result, err := w.r.Resolve(w.Context(), fmt.Sprintf("m%d.shop.example.", i), dns.TypeA); err != nil || len(result.Answer) != 1 {
						t.Errorf("beside the flood: %v, %v", result, err)
					}
					slowest = max(slowest, time.Since(begin))
					for j := range hot {
						w.r.Resolve(w.Context(), fmt.Sprintf("n%d.hot.shop.example.", j), dns.TypeA)
					}
				}
				<-done
				w.settle()
				toAttacker := w.in.Count(resolvertest.Below("attacker.example."))
				hits := 0
				for i := range hot {
					if result, err := w.r.Resolve(w.Context(), fmt.Sprintf("n%d.hot.shop.example.", i), dns.TypeA); err == nil && result.FromCache {
						hits++
					}
				}
				s := w.r.Stats()
				t.Logf("%-20s %6d questions, %5d sends <= %5d; others within %v <= 20ms; %d of %d hot names kept; cache %d of %d bytes",
					test.name, questions, toAttacker, test.sends, slowest, hits, hot, s.Cache.Bytes, s.Cache.MaxBytes)
				if toAttacker > test.sends || slowest > 20*time.Millisecond || hits < hot*95/100 || s.Cache.Bytes > s.Cache.MaxBytes || s.InFlight != 0 {
					t.Errorf("want fewer sends, others not to wait, 95 of 100 hot names, the cache within its bound, and nothing under way; got %d", s.InFlight)
				}
			}, ipv4Only, func(o *resolver.Options) { o.Cache = c; o.DisablePrefetch = true })
		})
	}
}

// TestAttackManyUnderWay: the queries under way to one zone are bounded, so that a slow
// zone takes no other zone's slots, and is not flooded when it recovers; all are answered
// (attacks.md 22, 23).
func TestAttackManyUnderWay(t *testing.T) {
	inWorld(t, fmt.Sprintf(tortureWorld, "")+"-- fault attacker.example. --\nlatency 300ms\n", func(w *world) {
		w.ask("www.attacker.example.", dns.TypeA)
		w.ask("a.shop.example.", dns.TypeA)
		w.in.ResetLog()
		// The first ones are later than those before, so that some are asked for twice.
		const questions, atOnce = 1000, 50
		var all sync.WaitGroup
		for i := range questions {
			all.Go(func() {
				if result, err := w.r.Resolve(w.Context(), fmt.Sprintf("x%d.attacker.example.", i), dns.TypeA); err != nil || result.Rcode != dns.RcodeNameError {
					t.Errorf("question %d: %v, %v", i, result, err)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		if got := w.in.Count(resolvertest.Below("attacker.example.")); got != atOnce {
			t.Errorf("%d queries under way to the zone, want %d", got, atOnce)
		}
		begin := time.Now()
		if result, err := w.r.Resolve(w.Context(), "b.shop.example.", dns.TypeA); err != nil || len(result.Answer) != 1 || time.Since(begin) > 20*time.Millisecond {
			t.Errorf("beside them: %v, %v after %v", result, err, time.Since(begin))
		}
		all.Wait()
		if got := w.in.Count(resolvertest.Below("attacker.example.")); got > questions+questions/10 {
			t.Errorf("got %d queries for %d questions", got, questions)
		}
	}, ipv4Only, func(o *resolver.Options) { o.Limits.QueriesPerZone = 50; o.Limits.Time = 20 * time.Second })
}

// TestAttackCancelledAtOnce: 1,000 questions that servers are slow to answer hold nothing
// once their callers have gone: no goroutine, no slot, no query; the callers themselves
// return at once (attacks.md 23, DNSBomb).
func TestAttackCancelledAtOnce(t *testing.T) {
	for _, fault := range []string{"latency 1900ms", "drop", "truncate\nwhen tcp: drip 1s", "truncate\nwhen tcp: drop"} {
		inWorld(t, fmt.Sprintf(tortureWorld, "")+"-- fault attacker.example. --\n"+fault+"\n", func(w *world) {
			w.ask("none.example.", dns.TypeA)
			ctx, cancel := context.WithCancel(w.Context())
			late := make(chan time.Duration, 1000)
			var left time.Time
			for i := range cap(late) {
				go func() {
					_, err := w.r.Resolve(ctx, fmt.Sprintf("x%d.attacker.example.", i), dns.TypeA)
					if !errors.Is(err, context.Canceled) && ctx.Err() != nil && time.Since(left) > 0 {
						t.Errorf("question %d: %v", i, err)
					}
					late <- time.Since(left)
				}()
			}
			time.Sleep(250 * time.Millisecond)
			left = time.Now()
			cancel()
			for range cap(late) {
				if d := <-late; d > 0 {
					t.Errorf("%s: a caller returned %v after the cancellation", fault, d)
				}
			}
			synctest.Wait()
			if s := w.r.Stats(); s.InFlight != 0 || s.Queued != 0 {
				t.Errorf("%s: %d questions under way, %d queued; want none", fault, s.InFlight, s.Queued)
			}
			w.wantNobodyWorking()
			w.in.ResetLog()
			w.settle()
			w.count(0)
			w.in.Fault("attacker.example.", resolvertest.Mend())
			w.settle()
			w.want("www.attacker.example.", dns.TypeA, 0, "www.attacker.example. A 192.0.2.66")
		}, ipv4Only)
	}
}

// TestAttackSlowDrip: servers that send a byte a second over TCP hold their slots until the
// deadline of the question and no longer (attacks.md 22).
func TestAttackSlowDrip(t *testing.T) {
	inWorld(t, fmt.Sprintf(tortureWorld, "")+"-- fault attacker.example. --\ntruncate\nwhen tcp: drip 1s\n", func(w *world) {
		begin := time.Now()
		w.flood(200, 0, "attacker.example.")
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("the questions took %v, want 10 s at most", took)
		}
		synctest.Wait()
		if s := w.r.Stats(); s.InFlight != 0 {
			t.Errorf("%d questions are still under way", s.InFlight)
		}
		w.wantNobodyWorking()
		w.in.Fault("attacker.example.", resolvertest.Mend())
		w.want("www.attacker.example.", dns.TypeA, 0, "www.attacker.example. A 192.0.2.66").within(w, time.Second)
	}, ipv4Only, func(o *resolver.Options) { o.Limits.QueriesPerServer = 10 })
}
