package resolver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newTestFlights returns flights and a function that makes waiters without a caller.
func newTestFlights(t *testing.T) (*flights, func() waiter) {
	t.Helper()
	base, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { end(); running.Wait() })
	filled := limits{}.fill()
	return newFlights(base, &running), func() waiter {
		return waiter{events: untold{}, budget: newBudget(&filled, nil)}
	}
}

// TestFlightsRunOnce for callers at the same time, and again afterwards.
func TestFlightsRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		runs := 0
		lead := func(*flight) (any, error) {
			runs++
			time.Sleep(time.Second)
			return runs, nil
		}
		for round := range 2 {
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if v, err := f.do(t.Context(), "key", by(), lead); err != nil || v != round+1 {
						t.Errorf("round %d: got %v, %v", round, v, err)
					}
				})
			}
			all.Wait()
		}
		if len(f.byKey) != 0 {
			t.Errorf("%d flights are still on the board", len(f.byKey))
		}
	})
}

// TestFlightLoopIsSeen: only the edge that would close it fails, whatever its length.
func TestFlightLoopIsSeen(t *testing.T) {
	for _, length := range []int{1, 2, 3, 10} {
		synctest.Test(t, func(t *testing.T) {
			f, by := newTestFlights(t)
			var lead func(i int) func(fl *flight) (any, error)
			lead = func(i int) func(fl *flight) (any, error) {
				return func(fl *flight) (any, error) {
					next := by()
					next.parent = fl
					to := (i + 1) % length
					v, err := f.do(fl.ctx, fmt.Sprint(to), next, lead(to))
					if i == length-1 {
						if !errors.Is(err, errCircular) {
							t.Errorf("loop of %d: got %v, %v where it closes", length, v, err)
						}
						return "out", nil
					}
					return v, err
				}
			}
			if v, err := f.do(t.Context(), "0", by(), lead(0)); err != nil || v != "out" {
				t.Errorf("loop of %d: got %v, %v", length, v, err)
			}
		})
	}
}

// TestLimitIsNotShared: joiners of a flight that ended by its leader's limit lead once
// themselves; other errors are shared.
func TestLimitIsNotShared(t *testing.T) {
	other := errors.New("of the question itself")
	for _, tt := range []struct {
		err  error
		runs int
	}{
		{&limitError{Limit: "Sends", Value: 1}, 3}, {context.Canceled, 3}, {context.DeadlineExceeded, 3}, {other, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, by := newTestFlights(t)
			runs := 0
			lead := func(*flight) (any, error) {
				runs++
				time.Sleep(time.Second)
				return nil, tt.err
			}
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if _, err := f.do(t.Context(), "key", by(), lead); !errors.Is(err, tt.err) {
						t.Errorf("got %v, want %v", err, tt.err)
					}
				})
			}
			all.Wait()
			if runs != tt.runs {
				t.Errorf("%v: led %d times by 3 callers, want %d", tt.err, runs, tt.runs)
			}
		})
	}
}

// TestFlightEndsWithItsLastWaiter, and not before.
func TestFlightEndsWithItsLastWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		var ended time.Duration
		start := time.Now()
		lead := func(fl *flight) (any, error) {
			<-fl.ctx.Done()
			ended = time.Since(start)
			return nil, context.Cause(fl.ctx)
		}
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
				defer cancel()
				if _, err := f.do(ctx, "key", by(), lead); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if ended != 3*time.Second {
			t.Errorf("the flight ended after %v, want 3 s", ended)
		}
	})
}

// TestFlightHasItsLeadersTime, and says which limit it was.
func TestFlightHasItsLeadersTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		_, err := f.do(t.Context(), "key", by(), func(fl *flight) (any, error) {
			<-fl.ctx.Done()
			return nil, context.Cause(fl.ctx)
		})
		var limit *limitError
		if !errors.As(err, &limit) || limit.limit() != limitTime {
			t.Errorf("got %v, want the limit %s", err, limitTime)
		}
	})
}

// TestNoFlightsAfterStop.
func TestNoFlightsAfterStop(t *testing.T) {
	f, by := newTestFlights(t)
	base, end := context.WithCancel(context.Background())
	f.base = base
	f.stop(end)
	if _, err := f.do(t.Context(), "key", by(), func(*flight) (any, error) { return nil, nil }); !errors.Is(err, errClosed) {
		t.Errorf("got %v, want %v", err, errClosed)
	}
}

// TestConcurrencyLimitsAreForgotten: a key of the concurrency limits is dropped when nothing is inside
// or waiting.
func TestConcurrencyLimitsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newConcurrencyLimits[string](2)
		var inside atomic.Int32
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				leave, err := g.enter(t.Context(), "key")
				if err != nil {
					t.Errorf("enter: %v", err)
					return
				}
				if n := inside.Add(1); n > 2 {
					t.Errorf("%d are inside at once, want 2 at most", n)
				}
				time.Sleep(time.Second)
				inside.Add(-1)
				leave()
			})
		}
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := g.enter(ctx, "key"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a full gate: got %v", err)
		}
		all.Wait()
		if len(g.byKey) != 0 {
			t.Errorf("%d gates are left, want none", len(g.byKey))
		}
	})
}

// TestJoiningCosts: joining costs a unit, so that waiting for others is not free without
// end; a question that has no unit left does not wait.
func TestJoiningCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		lead := func(*flight) (any, error) {
			time.Sleep(time.Second)
			return nil, nil
		}
		leader, joiner, poor := by(), by(), by()
		poor.budget.sends.Store(int64(poor.budget.limits.Sends))
		var all sync.WaitGroup
		all.Go(func() { f.do(t.Context(), "key", leader, lead) })
		synctest.Wait()
		all.Go(func() { f.do(t.Context(), "key", joiner, lead) })
		start := time.Now()
		var limit *limitError
		if _, err := f.do(t.Context(), "key", poor, lead); !errors.As(err, &limit) || time.Since(start) > 0 {
			t.Errorf("with nothing left: got %v after %v, want the limit at once", err, time.Since(start))
		}
		all.Wait()
		if got := leader.budget.sends.Load(); got != 0 {
			t.Errorf("leading cost %d, want 0", got)
		}
		if got := joiner.budget.sends.Load(); got != 1 {
			t.Errorf("joining cost %d, want 1", got)
		}
	})
}

// untold tells nobody what happens.
type untold struct{ events }

func (untold) Flight() events { return untold{} }
func (untold) Join(events)    {}
func (untold) Leave(events)   {}
