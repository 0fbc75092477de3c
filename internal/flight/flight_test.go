package flight

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
)

// newTestFlights returns flights and a function that makes waiters without a caller.
func newTestFlights(t *testing.T) (*Group, func() Waiter) {
	t.Helper()
	base, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	filled := limits.Limits{}.Fill()
	f := NewGroup(base, &running, limits.Time.Reached(1))
	t.Cleanup(func() { f.Stop(end); running.Wait() })
	return f, func() Waiter {
		return Waiter{Events: untold{}, Budget: budget.New(&filled, nil)}
	}
}

// underWay returns how many flights callers can join.
func (f *Group) underWay() (n int) {
	for i := range f.shards {
		f.shards[i].mu.Lock()
		n += len(f.shards[i].byKey)
		f.shards[i].mu.Unlock()
	}
	return n
}

// TestFlightsRunOnce for callers at the same time, and again afterwards.
func TestFlightsRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		runs := 0
		var lead Func = func(*Flight) (any, error) {
			runs++
			time.Sleep(time.Second)
			return runs, nil
		}
		for round := range 2 {
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if v, err := f.Do(t.Context(), "key", by(), lead); err != nil || v != round+1 {
						t.Errorf("round %d: got %v, %v", round, v, err)
					}
				})
			}
			all.Wait()
		}
		if n := f.underWay(); n != 0 {
			t.Errorf("%d flights are still on the board", n)
		}
	})
}

// TestFlightLoopIsSeen: only the edge that would close it fails, whatever its length.
func TestFlightLoopIsSeen(t *testing.T) {
	for _, length := range []int{1, 2, 3, 10} {
		synctest.Test(t, func(t *testing.T) {
			f, by := newTestFlights(t)
			var lead func(i int) Func
			lead = func(i int) Func {
				return func(fl *Flight) (any, error) {
					next := by()
					next.Parent = fl
					to := (i + 1) % length
					v, err := f.Do(fl.Ctx, fmt.Sprint(to), next, lead(to))
					if i == length-1 {
						if !errors.Is(err, failure.ErrCircular) {
							t.Errorf("loop of %d: got %v, %v where it closes", length, v, err)
						}
						return "out", nil
					}
					return v, err
				}
			}
			if v, err := f.Do(t.Context(), "0", by(), lead(0)); err != nil || v != "out" {
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
		{&limits.Error{Limit: "Sends", Value: 1}, 3}, {context.Canceled, 3}, {context.DeadlineExceeded, 3}, {other, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, by := newTestFlights(t)
			runs := 0
			var lead Func = func(*Flight) (any, error) {
				runs++
				time.Sleep(time.Second)
				return nil, tt.err
			}
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					if _, err := f.Do(t.Context(), "key", by(), lead); !errors.Is(err, tt.err) {
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
		var lead Func = func(fl *Flight) (any, error) {
			<-fl.Ctx.Done()
			ended = time.Since(start)
			return nil, context.Cause(fl.Ctx)
		}
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
				defer cancel()
				if _, err := f.Do(ctx, "key", by(), lead); !errors.Is(err, context.DeadlineExceeded) {
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
		_, err := f.Do(t.Context(), "key", by(), Func(func(fl *Flight) (any, error) {
			<-fl.Ctx.Done()
			return nil, context.Cause(fl.Ctx)
		}))
		var limit *limits.Error
		if !errors.As(err, &limit) || limit.Which() != limits.Time {
			t.Errorf("got %v, want the limit %s", err, limits.Time)
		}
	})
}

// TestNoFlightsAfterStop.
func TestNoFlightsAfterStop(t *testing.T) {
	f, by := newTestFlights(t)
	base, end := context.WithCancel(context.Background())
	f.base = base
	f.Stop(end)
	if _, err := f.Do(t.Context(), "key", by(), Func(func(*Flight) (any, error) { return nil, nil })); !errors.Is(err, failure.ErrClosed) {
		t.Errorf("got %v, want %v", err, failure.ErrClosed)
	}
}

// TestConcurrencyLimitsAreForgotten: a key of the concurrency limits is dropped
// when nothing is inside or waiting.
func TestConcurrencyLimitsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := budget.NewConcurrencyLimits[string](2)
		var inside atomic.Int32
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				slot, err := g.Enter(t.Context(), "key")
				if err != nil {
					t.Errorf("enter: %v", err)
					return
				}
				if n := inside.Add(1); n > 2 {
					t.Errorf("%d are inside at once, want 2 at most", n)
				}
				time.Sleep(time.Second)
				inside.Add(-1)
				slot.Leave()
			})
		}
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := g.Enter(ctx, "key"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a full gate: got %v", err)
		}
		all.Wait()
		if len(g.ByKey) != 0 {
			t.Errorf("%d gates are left, want none", len(g.ByKey))
		}
	})
}

// TestJoiningCosts: joining costs a unit, so that waiting for others is not free without
// end; a question that has no unit left does not wait.
func TestJoiningCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		var lead Func = func(*Flight) (any, error) {
			time.Sleep(time.Second)
			return nil, nil
		}
		leader, joiner, poor := by(), by(), by()
		poor.Budget.Sends.Store(int64(poor.Budget.Limits.Sends))
		var all sync.WaitGroup
		all.Go(func() { f.Do(t.Context(), "key", leader, lead) })
		synctest.Wait()
		all.Go(func() { f.Do(t.Context(), "key", joiner, lead) })
		start := time.Now()
		var limit *limits.Error
		if _, err := f.Do(t.Context(), "key", poor, lead); !errors.As(err, &limit) || time.Since(start) > 0 {
			t.Errorf("with nothing left: got %v after %v, want the limit at once", err, time.Since(start))
		}
		all.Wait()
		if got := leader.Budget.Sends.Load(); got != 0 {
			t.Errorf("leading cost %d, want 0", got)
		}
		if got := joiner.Budget.Sends.Load(); got != 1 {
			t.Errorf("joining cost %d, want 1", got)
		}
	})
}

// untold tells nobody what happens.
type untold struct{ events.Sink }

func (untold) Flight() events.Sink { return untold{} }
func (untold) Join(events.Sink)    {}
func (untold) Leave(events.Sink)   {}

// TestFollowerHasItsOwnTime: a caller that joins a flight with more time than its own leaves when that
// is over, whether it has a place or not, and the flight goes on.
func TestFollowerHasItsOwnTime(t *testing.T) {
	for _, place := range []*Place{nil, new(Place)} {
		synctest.Test(t, func(t *testing.T) {
			f, by := newTestFlights(t)
			follower := by()
			follower.Place = place
			start := time.Now()
			time.Sleep(5 * time.Second)
			var all sync.WaitGroup
			all.Go(func() {
				if _, err := f.Do(t.Context(), "key", by(), untilEnd); !failure.Of(err).Reaches(limits.Time) || time.Since(start) != 15*time.Second {
					t.Errorf("the leader ended after %v with %v", time.Since(start), err)
				}
			})
			synctest.Wait()
			if _, err := f.Do(t.Context(), "key", follower, untilEnd); !failure.Of(err).Reaches(limits.Time) || time.Since(start) != 10*time.Second {
				t.Errorf("the follower left after %v with %v", time.Since(start), err)
			}
			all.Wait()
		})
	}
}

// followed is work that others lead, each time it is tried again.
type followed struct {
	Func
	begin func()
}

func (w followed) Retry() { w.begin() }

// TestLeadersLimitsBlameNobody: a caller that joined flights until it gave up, all of which ended by
// the limits of their leaders, learns that. It is no failure of the servers, which would be remembered.
func TestLeadersLimitsBlameNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		limit := &limits.Error{Limit: limits.Sends.String(), Value: 1}
		var leaders sync.WaitGroup
		begin := func() {
			leaders.Go(func() {
				f.Do(t.Context(), "key", by(), Func(func(*Flight) (any, error) {
					time.Sleep(time.Second)
					return nil, limit
				}))
			})
			synctest.Wait()
		}
		begin()
		start := time.Now()
		_, err := f.Do(t.Context(), "key", by(), followed{Func(func(*Flight) (any, error) { return "led", nil }), begin})
		if took := time.Since(start); !errors.Is(err, limit) || took != maxJoins*time.Second {
			t.Errorf("got %v after %v, want the leaders' limit after %d s", err, took, maxJoins)
		}
		leaders.Wait()
	})
}
