package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestEqualQuestionsAreOne: 1,000 callers of one question cost one query a step, and
// each has an answer of its own.
func TestEqualQuestionsAreOne(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		results := make([]*resolver.Result, 1000)
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 19 * time.Microsecond) // within the first step
				result, err := w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA)
				if err != nil {
					w.Errorf("caller %d: %v", i, err)
				}
				results[i] = result
			})
		}
		all.Wait()
		w.count(3, notPriming)
		results[0].Answer[0].Header().Ttl = 12345
		results[0].Answer[0].(*dns.A).A[3] = 99
		for i, r := range results[1:] {
			if got := brief(r.Answer); len(got) != 1 || got[0] != "www.shop.example. A 192.0.2.80" || r.Answer[0].Header().Ttl == 12345 {
				w.Fatalf("caller %d: got %q with TTL %d after another caller changed its own", i+1, got, r.Answer[0].Header().Ttl)
			}
		}
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
	})
}

// TestStepsAreShared: different questions to one zone share the way there.
func TestStepsAreShared(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				if _, err := w.r.Resolve(w.Context(), fmt.Sprintf("n%d.shop.example.", i), dns.TypeA); err != nil {
					w.Errorf("question %d: %v", i, err)
				}
			})
		}
		all.Wait()
		w.count(2+50, notPriming)
	})
}

// TestLeaderLeaves: the caller that began may leave; the others get their answer, and
// nothing is asked twice.
func TestLeaderLeaves(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		ctx, cancel := context.WithCancel(w.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := w.r.Resolve(ctx, "www.shop.example.", dns.TypeA); !errors.Is(err, context.Canceled) {
				w.Errorf("leader: got error %v, want %v", err, context.Canceled)
			}
		})
		time.Sleep(time.Millisecond)
		for i := range 10 {
			all.Go(func() {
				if _, err := w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA); err != nil {
					w.Errorf("caller %d: %v", i, err)
				}
			})
		}
		time.Sleep(24 * time.Millisecond)
		cancel()
		all.Wait()
		w.count(3, notPriming)
	})
}

// TestCauseOfCancellation is what the caller gets, at once.
func TestCauseOfCancellation(t *testing.T) {
	cause := errors.New("the caller's own reason")
	inWorld(t, plainWorld, func(w *world) {
		ctx, cancel := context.WithCancelCause(w.Context())
		time.AfterFunc(10*time.Millisecond, func() { cancel(cause) })
		o := w.askWith(ctx, "www.shop.example.", dns.TypeA)
		if !errors.Is(o.err, cause) || o.took != 10*time.Millisecond {
			w.Errorf("got %v after %v, want the cause after 10 ms", o, o.took)
		}
		if o = w.askWith(ctx, "www.shop.example.", dns.TypeAAAA); !errors.Is(o.err, cause) || o.sends != 0 {
			w.Errorf("with a context that had ended: got %v and %d sends", o, o.sends)
		}
	})
}

// TestCancelFrees: goroutines of a question that nobody waits for end at once.
func TestCancelFrees(t *testing.T) {
	inWorld(t, plainWorld+"-- fault 198.51.100.3 --\ndrop\n-- fault 2001:db8::3 --\ndrop\n", func(w *world) {
		w.ask("mail.shop.example.", dns.TypeA)
		w.settle()
		ctx, cancel := context.WithCancel(w.Context())
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { w.r.Resolve(ctx, fmt.Sprintf("n%d.shop.example.", i%7), dns.TypeTXT) })
		}
		time.Sleep(50 * time.Millisecond)
		cancel()
		all.Wait()
		w.wantNobodyWorking()
		w.in.Fault("*", resolvertest.Mend())
		w.settle()
		w.want("n1.shop.example.", dns.TypeTXT, dns.RcodeNameError)
	})
}

// TestLimitsAreNotShared: a caller that joins a question that ends by the leader's limits
// leads once itself.
func TestLimitsAreNotShared(t *testing.T) {
	inWorld(t, plainWorld+"-- fault shop.example. --\ndrop\n", func(w *world) {
		var all sync.WaitGroup
		start := time.Now()
		all.Go(func() {
			_, err := w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA)
			if took := time.Since(start); err == nil || took != time.Second {
				w.Errorf("leader: got error %v after %v, want one after 1 s", err, took)
			}
		})
		time.Sleep(900 * time.Millisecond)
		w.in.Fault("*", resolvertest.Mend())
		result, err := w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA)
		if err != nil || len(result.Answer) != 1 {
			w.Errorf("joiner: got %v, want an answer on its own time", err)
		}
		all.Wait()
	}, ipv4Only, func(o *resolver.Options) { o.Limits.Time = time.Second })
}

// TestJoinersPay: joining costs a unit of Sends, so that it cannot be used to wait for
// others for nothing.
func TestJoinersPay(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		var failed atomic.Int32
		var all sync.WaitGroup
		for i := range 2 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				_, err := w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA)
				var limit *resolver.LimitError
				if errors.As(err, &limit) && limit.Limit == "Sends" {
					failed.Add(1)
				}
			})
		}
		all.Wait()
		if failed.Load() != 2 {
			w.Errorf("%d of 2 callers reached their limit, want both: the first after one send, the second too", failed.Load())
		}
	}, func(o *resolver.Options) { o.Limits.Sends = 1 })
}

// TestCloseEndsEverything: questions under way fail with ErrClosed, and nothing is
// left when Close returns.
func TestCloseEndsEverything(t *testing.T) {
	inWorld(t, plainWorld+"-- fault shop.example. --\ndrop\n", func(w *world) {
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				_, err := w.r.Resolve(w.Context(), fmt.Sprintf("n%d.shop.example.", i), dns.TypeA)
				if !errors.Is(err, resolver.ErrClosed) {
					w.Errorf("got error %v, want ErrClosed", err)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		if err := w.r.Close(); err != nil {
			w.Errorf("Close: %v", err)
		}
		all.Wait()
		w.wantNobodyWorking()
		if err := w.r.Close(); err != nil {
			w.Errorf("second Close: %v", err)
		}
	})
}

// TestConcurrencyLimits: no more questions at once than Limits allow; all others wait and are answered.
func TestConcurrencyLimits(t *testing.T) {
	for _, test := range []struct {
		set  func(*resolver.Limits)
		took time.Duration
	}{
		{func(l *resolver.Limits) { l.Questions = 2 }, 100 * time.Millisecond},
		{func(l *resolver.Limits) { l.QueriesPerZone = 2 }, 100 * time.Millisecond},
		{func(l *resolver.Limits) { l.QueriesPerServer = 2 }, 100 * time.Millisecond},
		{func(l *resolver.Limits) { l.Sockets = 2 }, 100 * time.Millisecond},
	} {
		inWorld(t, plainWorld, func(w *world) {
			w.ask("www.shop.example.", dns.TypeA)
			start := time.Now()
			var all sync.WaitGroup
			for i := range 10 {
				all.Go(func() {
					if _, err := w.r.Resolve(w.Context(), fmt.Sprintf("n%d.shop.example.", i), dns.TypeA); err != nil {
						w.Errorf("question %d: %v", i, err)
					}
				})
			}
			all.Wait()
			if took := time.Since(start); took != test.took {
				w.Errorf("ten questions of 20 ms, two at a time, took %v, want %v", took, test.took)
			}
		}, ipv4Only, func(o *resolver.Options) { test.set(&o.Limits) })
	}
}

// wantNobodyWorking wants no goroutine of the library to be left.
func (w *world) wantNobodyWorking() {
	w.Helper()
	synctest.Wait()
	for i, stack := range bubbleStacks() {
		if i > 0 && strings.Contains(stack, "github.com/iterdns/iterdns/resolver.") { // the first is this one
			w.Errorf("a goroutine is left:\n%s", stack)
		}
	}
}
