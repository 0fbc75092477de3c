package resolver

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/iterdns/iterdns/internal/rescue"
)

// maxJoins is how often a caller joins flights that end by their leaders' limits before it
// gives up.
const maxJoins = 4

// flights merges equal questions that are asked at the same time into one. There are three
// kinds: what clients ask, what is asked of the servers of a zone, and what is read from the
// second level.
//
// A flight runs under a context and a budget of its own, those of the caller that began it
// (its leader), and keeps them when that caller leaves; it ends when no caller waits for it
// any more. Flights wait for flights: a client's question for the queries to zones, and
// these for the addresses of the servers to ask. Before one begins to wait for another, the
// graph of waiting flights is searched, so that no loop ever closes.
type flights struct {
	base    context.Context // ends with the resolver
	running *sync.WaitGroup // counts goroutines that Close waits for
	stagger stagger         // nil but in tests

	mu    sync.Mutex
	byKey map[string]*flight // guarded by mu
}

// flight is one piece of work that several callers may wait for.
type flight struct {
	key    string
	ctx    context.Context
	cancel context.CancelFunc
	events events // heard by all that wait
	// shed is set before ctx ends because the questions that waited were shed for others.
	shed atomic.Bool

	ended chan struct{} // closed when the work has ended; then value and err may be read
	value any
	err   error

	// Guarded by flights.mu.
	waiters  int
	pinned   bool            // it goes on even if no caller waits
	waitsFor map[*flight]int // the flights that this one waits for, and how many times
}

func newFlights(base context.Context, running *sync.WaitGroup) *flights {
	return &flights{base: base, running: running, byKey: make(map[string]*flight)}
}

// stop lets no more flights begin. end is called under the same lock, so that those that
// have begun are counted.
func (f *flights) stop(end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end()
}

// spawn runs work in a goroutine that Close waits for, but not after Close. A panic ends the
// work and nothing else.
func (f *flights) spawn(work func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base.Err() != nil {
		return false
	}
	f.running.Go(f.stagger.delayed(func() {
		defer rescue.Quietly()
		work()
	}))
	return true
}

// waiter is a caller that waits for a flight, or leads it.
type waiter struct {
	parent *flight // the flight that the caller belongs to; nil: none
	events events  // of the caller's work
	budget *budget
	joined func() // called when the flight was under way already; may be nil
	retry  func() // called before the flight is begun again because its leader ended by its own limits; may be nil
	// leaving is called when ctx has ended before the flight. The caller counts as waiting
	// until it returns. It may be nil.
	leaving func(*flight)
}

// do returns the result of the flight called key: of the one under way, or of a new one that
// runs lead. The error is errCircular when waiting would never end, and ctx's cause when ctx
// ends first. When the work panics, so does the leader, in its own goroutine, and all others
// get an error.
func (f *flights) do(ctx context.Context, key string, by waiter, lead func(*flight) (any, error)) (any, error) {
	led := false
	for range maxJoins {
		resume := f.stagger.pause() // several may wait for the same flight
		fl, joined, err := f.join(ctx, key, by, lead)
		if err != nil {
			return nil, err
		}
		led = led || !joined
		if err := f.await(ctx, fl, by, joined, resume); err != nil {
			return nil, err
		}
		switch {
		case fl.err == nil:
			return fl.value, nil
		case led:
			rescue.Again(fl.err)
			return fl.value, fl.err
		case !failureOf(fl.err).isOfLeader():
			return fl.value, rescue.Shared(fl.err)
		case by.retry != nil:
			by.retry()
		}
	}
	return nil, errNoReachableServer
}

// await waits for a flight that the caller has joined or begun, until ctx ends. The caller
// has left the flight afterwards, even if a function that is called meanwhile panics.
func (f *flights) await(ctx context.Context, fl *flight, by waiter, joined bool, resume func()) (err error) {
	defer resume()
	defer func() { f.leave(fl, by, err) }()
	if joined {
		if by.joined != nil {
			by.joined()
		}
		if err := by.budget.send(); err != nil {
			return err
		}
	}
	select {
	case <-fl.ended:
		return nil
	case <-ctx.Done():
	}
	err = context.Cause(ctx)
	if by.leaving != nil {
		by.leaving(fl)
	}
	return err
}

// join joins the flight called key, or begins it.
func (f *flights) join(ctx context.Context, key string, by waiter, lead func(*flight) (any, error)) (fl *flight, joined bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base.Err() != nil {
		return nil, false, errClosed
	}
	fl, joined = f.byKey[key]
	if joined && by.parent != nil && reaches(fl, by.parent) {
		return nil, false, errCircular
	}
	if !joined {
		fl = f.begin(ctx, key, by)
	}
	fl.waiters++
	fl.events.Join(by.events)
	if by.parent != nil {
		by.parent.waitsFor[fl]++
	}
	if !joined {
		go f.run(fl, lead) // last, so that the leader hears the first event too
	}
	return fl, joined, nil
}

// run does a flight's work. However that ends, the callers that wait are woken.
func (f *flights) run(fl *flight, lead func(*flight) (any, error)) {
	defer f.finish(fl)
	fl.err = rescue.ErrAborted
	defer rescue.Into(&fl.err)
	growStack(0)
	fl.value, fl.err = lead(fl)
}

// pin lets a flight under way go on to its end, even if all callers leave it, and then
// calls done in a goroutine that Close waits for. It does so once for a flight; false when
// it does not.
func (f *flights) pin(fl *flight, done func(error)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base.Err() != nil || f.byKey[fl.key] != fl || fl.pinned {
		return false
	}
	fl.pinned = true
	fl.waiters++
	f.running.Go(func() {
		defer rescue.Quietly()
		<-fl.ended
		f.leave(fl, waiter{}, nil)
		done(fl.err)
	})
	return true
}

// begin makes the flight, with the values but not the end of ctx. f.mu must be held.
func (f *flights) begin(ctx context.Context, key string, by waiter) *flight {
	limit := limitTime.reached(limitTime.in(by.budget.limits))
	own, cancel := context.WithDeadlineCause(detachedContext{f.base, ctx}, by.budget.deadline, limit)
	fl := &flight{
		key:      key,
		ctx:      own,
		cancel:   cancel,
		events:   by.events.Flight(),
		ended:    make(chan struct{}),
		waitsFor: make(map[*flight]int),
	}
	f.byKey[key] = fl
	f.running.Add(1)
	return fl
}

// finish removes the flight when its work is done.
func (f *flights) finish(fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(fl)
	f.running.Done()
	close(fl.ended)
}

// forget makes the next caller begin a new flight. f.mu must be held.
func (f *flights) forget(fl *flight) {
	if f.byKey[fl.key] == fl {
		delete(f.byKey, fl.key)
	}
}

// leave ends a caller's waiting, for cause if the flight has not ended; the last one to
// leave ends the flight.
func (f *flights) leave(fl *flight, by waiter, cause error) {
	fl.events.Leave(by.events)
	f.mu.Lock()
	defer f.mu.Unlock()
	if by.parent != nil {
		if by.parent.waitsFor[fl]--; by.parent.waitsFor[fl] == 0 {
			delete(by.parent.waitsFor, fl)
		}
	}
	if fl.waiters--; fl.waiters == 0 {
		f.forget(fl)
		fl.shed.Store(failureOf(cause).reaches(limitQuestions) || by.parent != nil && by.parent.shed.Load())
		fl.cancel()
	}
}

// reaches reports whether from waits for to, directly or through others.
func reaches(from, to *flight) bool {
	seen := make(map[*flight]bool)
	var search func(*flight) bool
	search = func(at *flight) bool {
		if at == to {
			return true
		}
		if seen[at] {
			return false
		}
		seen[at] = true
		for next := range at.waitsFor {
			if search(next) {
				return true
			}
		}
		return false
	}
	return search(from)
}
