package flight

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/rescue"
)

// chain is a flight of a client that leads one below it, and that another one, all in one
// goroutine. The lowest one waits until it ends.
type chain struct {
	f  *Group
	by func() Waiter

	flights [3]*Flight
	ended   [3]time.Duration // when each one's work has ended
}

var chainKeys = [3]string{"top", "middle", "bottom"}

func (c *chain) lead(i int, bottom Func) Func {
	start := time.Now()
	return func(fl *Flight) (any, error) {
		c.flights[i] = fl
		defer func() { c.ended[i] = time.Since(start) }()
		if i == len(chainKeys)-1 {
			return bottom(fl)
		}
		below := c.by()
		below.Parent = fl
		return c.f.Do(fl.Ctx, chainKeys[i+1], below, c.lead(i+1, bottom))
	}
}

var untilEnd Func = func(fl *Flight) (any, error) {
	<-fl.Ctx.Done()
	return nil, context.Cause(fl.Ctx)
}

// bubbleGoroutines returns how many goroutines the bubble of the caller has. Those outside, such as
// one of the test before that is about to end, are left out.
func bubbleGoroutines() int {
	stacks := make([]byte, 1<<20)
	_, own, _ := strings.Cut(string(stacks[:runtime.Stack(stacks, false)]), "synctest bubble ")
	bubble, _, _ := strings.Cut(own, "]")
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "synctest bubble "+bubble+"]:")
}

// TestLeadsInItsGoroutine: a chain of flights takes one goroutine more than its client.
func TestLeadsInItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		c := &chain{f: f, by: by}
		before := bubbleGoroutines()
		ctx, cancel := context.WithCancel(t.Context())
		var client sync.WaitGroup
		client.Go(func() { f.Do(ctx, "top", by(), c.lead(0, untilEnd)) })
		synctest.Wait()
		if n := bubbleGoroutines() - before; n != 2 {
			t.Errorf("the client and three flights take %d goroutines, want 2", n)
		}
		cancel()
		client.Wait()
	})
}

// TestChainEndsWithItsLastWaiter: when the client leaves, what it waited for through others ends
// at once, but what somebody else waits for goes on, as does what is below that. It ends with the
// last one who leaves.
func TestChainEndsWithItsLastWaiter(t *testing.T) {
	const clientLeaves, followerLeaves = time.Second, 3 * time.Second
	for i, follows := range append(chainKeys[:], "") {
		synctest.Test(t, func(t *testing.T) {
			f, by := newTestFlights(t)
			c := &chain{f: f, by: by}
			var all sync.WaitGroup
			wait := func(key string, until time.Duration, lead Func) {
				ctx, cancel := context.WithTimeout(t.Context(), until)
				defer cancel()
				start := time.Now()
				if _, err := f.Do(ctx, key, by(), lead); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != until {
					t.Errorf("%s left after %v with %v, want %v", key, time.Since(start), err, until)
				}
			}
			all.Go(func() { wait("top", clientLeaves, c.lead(0, untilEnd)) })
			synctest.Wait()
			want := clientLeaves
			if follows != "" {
				want = followerLeaves
				all.Go(func() { wait(follows, followerLeaves, untilEnd) })
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			for at, fl := range c.flights {
				if ended := fl.Ctx.Err() != nil; ended != (follows == "" || at < i) {
					t.Errorf("%s is followed, and the client has left: %s has ended: %t", follows, chainKeys[at], ended)
				}
			}
			all.Wait()
			synctest.Wait()
			for at, ended := range c.ended {
				if ended != want {
					t.Errorf("%s is followed: the work of %s ended after %v, want %v", follows, chainKeys[at], ended, want)
				}
			}
			if n := f.underWay(); n != 0 {
				t.Errorf("%d flights are still on the board", n)
			}
		})
	}
}

// TestShedWithItsLeader: what ends since its leader's question was shed has been shed itself; what
// goes on for others has not.
func TestShedWithItsLeader(t *testing.T) {
	for _, followed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, by := newTestFlights(t)
			c := &chain{f: f, by: by}
			ctx, shed := context.WithCancelCause(t.Context())
			var all sync.WaitGroup
			all.Go(func() { f.Do(ctx, "top", by(), c.lead(0, untilEnd)) })
			synctest.Wait()
			if followed {
				all.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute/10)
					defer cancel()
					f.Do(ctx, "bottom", by(), untilEnd)
				})
				synctest.Wait()
			}
			shed(&limits.Error{Limit: limits.Questions.String(), Value: 1})
			synctest.Wait()
			for at, fl := range c.flights {
				if want := at < 2 || !followed; fl.Shed.Load() != want {
					t.Errorf("followed %t: %s is shed: %t, want %t", followed, chainKeys[at], !want, want)
				}
			}
			all.Wait()
			synctest.Wait()
			if c.flights[2].Shed.Load() == followed {
				t.Errorf("followed %t: the last one to leave changed that", followed)
			}
		})
	}
}

// TestEndedFlightLeadsNothing: nobody would wait for that, and nobody end it.
func TestEndedFlightLeadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		ctx, cancel := context.WithCancel(t.Context())
		led := false
		var err error
		var took time.Duration
		ended := make(chan struct{})
		time.AfterFunc(time.Second, cancel)
		f.Do(ctx, "above", by(), Func(func(fl *Flight) (any, error) {
			defer close(ended)
			<-fl.Ctx.Done()
			start := time.Now()
			below := by()
			below.Parent = fl
			_, err = f.Do(fl.Ctx, "below", below, Func(func(fl *Flight) (any, error) {
				led = true
				return untilEnd(fl)
			}))
			took = time.Since(start)
			return nil, nil
		}))
		<-ended
		if led || took != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("led %t, for %v, and %v", led, took, err)
		}
	})
}

// TestLoopThroughLeaders: a flight that is led in the goroutine of another one waits for it as any
// other does, so that no loop closes through it, from below or from the side.
func TestLoopThroughLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		c := &chain{f: f, by: by}
		var aside sync.WaitGroup
		var asideLeads Func = func(fl *Flight) (any, error) {
			below := by()
			below.Parent = fl
			time.Sleep(time.Second) // the chain waits for this one by now
			_, err := f.Do(fl.Ctx, "middle", below, untilEnd)
			return nil, err
		}
		aside.Go(func() {
			if _, err := f.Do(t.Context(), "aside", by(), asideLeads); !errors.Is(err, failure.ErrCircular) {
				t.Errorf("from the side: got %v", err)
			}
		})
		synctest.Wait()
		_, err := f.Do(t.Context(), "top", by(), c.lead(0, func(fl *Flight) (any, error) {
			below := by()
			below.Parent = fl
			for _, key := range chainKeys {
				if _, err := f.Do(fl.Ctx, key, below, untilEnd); !errors.Is(err, failure.ErrCircular) {
					t.Errorf("%s from below: got %v", key, err)
				}
			}
			_, err := f.Do(fl.Ctx, "aside", below, untilEnd)
			if !errors.Is(err, failure.ErrCircular) {
				t.Errorf("got %v of the one aside", err)
			}
			return "out", nil
		}))
		if err != nil {
			t.Error(err)
		}
		aside.Wait()
	})
}

// TestLeaderDoesNotReturn: when the work panics or ends its goroutine, the leader's client panics
// or gets an error, followers of all flights of the chain get an error, and nothing is left.
func TestLeaderDoesNotReturn(t *testing.T) {
	for _, how := range []func(){func() { panic("boom") }, runtime.Goexit} {
		for i, follows := range chainKeys {
			synctest.Test(t, func(t *testing.T) {
				f, by := newTestFlights(t)
				c := &chain{f: f, by: by}
				var all sync.WaitGroup
				var got any
				var err error
				all.Go(func() {
					defer func() { got = recover() }()
					_, err = f.Do(t.Context(), "top", by(), c.lead(0, func(*Flight) (any, error) {
						time.Sleep(time.Second)
						how()
						return nil, nil
					}))
				})
				synctest.Wait()
				all.Go(func() {
					if _, err := f.Do(t.Context(), follows, by(), untilEnd); !errors.Is(err, rescue.ErrAborted) {
						t.Errorf("a follower of %s got %v", follows, err)
					}
				})
				all.Wait()
				synctest.Wait()
				if got != "boom" && !errors.Is(err, rescue.ErrAborted) {
					t.Errorf("the client got %v, and panicked with %v", err, got)
				}
				if f.underWay() != 0 || len(c.flights[i].waitedForBy) != 0 || len(c.flights[i].life.leads) != 0 || c.flights[i].waiters != 0 || c.flights[i].Ctx.Err() == nil {
					t.Errorf("%s is not over", follows)
				}
			})
		}
	}
}

// TestStopEndsChain: no goroutine is left when the resolver ends.
func TestStopEndsChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base, end := context.WithCancel(t.Context())
		var running sync.WaitGroup
		f := NewGroup(base, &running, limits.Time.Reached(1))
		_, by := newTestFlights(t)
		c := &chain{f: f, by: by}
		var clients sync.WaitGroup
		for _, key := range chainKeys {
			clients.Go(func() { f.Do(t.Context(), key, by(), c.lead(0, untilEnd)) })
			synctest.Wait()
		}
		start := time.Now()
		f.Stop(end)
		running.Wait()
		clients.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("that took %v", took)
		}
	})
}

// TestWaitsFor: a flight waits for those that run in its goroutine and for those of others, as long as
// they last.
func TestWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, by := newTestFlights(t)
		sleep := func(d time.Duration) Func {
			return func(*Flight) (any, error) { time.Sleep(d); return nil, nil }
		}
		var top *Flight
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, below := range f.WaitsFor(top) {
				got = append(got, below.key)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: it waits for %q, want %q", when, got, want)
			}
		}
		var all sync.WaitGroup
		all.Go(func() { f.Do(t.Context(), "theirs", by(), sleep(3*time.Second)) })
		synctest.Wait()
		all.Go(func() {
			f.Do(t.Context(), "top", by(), Func(func(fl *Flight) (any, error) {
				top = fl
				below := by()
				below.Parent = fl
				other, cancel := context.WithCancel(fl.Ctx)
				defer cancel()
				var aside sync.WaitGroup
				aside.Go(func() { f.Do(other, "aside", below, sleep(2*time.Second)) })
				f.Do(fl.Ctx, "own", below, sleep(time.Second))
				f.Do(fl.Ctx, "theirs", below, sleep(time.Second))
				aside.Wait()
				time.Sleep(time.Second)
				return nil, nil
			}))
		})
		expect("at first", "own", "aside")
		if _, ok := f.WaitsFor(top)[0].Work().(Func); !ok {
			t.Errorf("the work is a %T", f.WaitsFor(top)[0].Work())
		}
		time.Sleep(1500 * time.Millisecond)
		expect("after one", "aside", "theirs")
		time.Sleep(time.Second)
		expect("after two", "theirs")
		time.Sleep(time.Second)
		expect("in the end")
		all.Wait()
	})
}
