package flight

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/rescue"
)

// maxJoins is how often a caller joins flights that end by their leaders' limits before it
// gives up.
const maxJoins = 4

// Group merges equal questions that are asked at the same time into one. There are three
// kinds: what clients ask, what is asked of the servers of a zone, and what is read from the
// second level.
//
// A flight runs under a context and a budget of its own, those of the caller that began it
// (its leader), and keeps them when that caller leaves; it ends when no caller waits for it
// any more. Flights wait for flights: a client's question for the queries to zones, and
// these for the addresses of the servers to ask. Before one begins to wait for another, the
// graph of waiting flights is searched, so that no loop ever closes.
type Group struct {
	base    context.Context // ends with the resolver
	running *sync.WaitGroup // counts goroutines that Close waits for
	Stagger stagger         // nil but in tests
	late    error           // why a flight ends whose time is over

	mu    sync.Mutex
	byKey map[string]*Flight // guarded by mu
}

// Flight is one piece of work that several callers may wait for.
type Flight struct {
	key    string
	Ctx    context.Context
	cancel context.CancelFunc
	Events events.Sink // heard by all that wait
	// shed is set before ctx ends because the questions that waited were shed for others.
	Shed atomic.Bool

	ended chan struct{} // closed when the work has ended; then value and err may be read
	value any
	err   error

	// leader is the flight in whose goroutine this one runs; nil: it has a goroutine of its own.
	leader *Flight

	// Guarded by Group.mu.
	waiters  int
	departed bool            // the leader does not count as waiting any more
	pinned   bool            // it goes on even if no caller waits
	waitsFor map[*Flight]int // the flights that this one waits for, and how many times
}

// NewGroup returns a group without flights. base ends with the resolver, running counts the
// goroutines that Close waits for, and late is the cause with which the time of a flight ends.
func NewGroup(base context.Context, running *sync.WaitGroup, late error) *Group {
	return &Group{base: base, running: running, late: late, byKey: make(map[string]*Flight)}
}

// Stop lets no more flights begin. end is called under the same lock, so that those that
// have begun are counted.
func (f *Group) Stop(end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end()
}

// Spawn runs work in a goroutine that Close waits for, but not after Close. A panic ends the
// work and nothing else.
func (f *Group) Spawn(work func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base.Err() != nil {
		return false
	}
	f.running.Go(f.Stagger.Delayed(func() {
		defer rescue.Quietly()
		work()
	}))
	return true
}

// Waiter is a caller that waits for a flight, or leads it.
type Waiter struct {
	Parent *Flight     // the flight that the caller belongs to; nil: none
	Events events.Sink // of the caller's work
	Budget *budget.Budget
	Joined func() // called when the flight was under way already; may be nil
	Retry  func() // called before the flight is begun again because its leader ended by its own limits; may be nil
	// leaving is called when ctx has ended before the flight. The caller counts as waiting
	// until it returns. It may be nil.
	Leaving func(*Flight)
}

// Do returns the result of the flight called key: of the one under way, or of a new one that
// runs lead. The error is failure.ErrCircular when waiting would never end, and ctx's cause
// when ctx ends first. When the work panics, so does the leader, in its own goroutine, and all
// others get an error.
//
// A caller whose context is that of its flight works in its own goroutine when it leads. When
// its flight ends, it counts as waiting no longer, and the work goes on only for others.
func (f *Group) Do(ctx context.Context, key string, by Waiter, lead func(*Flight) (any, error)) (any, error) {
	led := false
	for range maxJoins {
		resume := f.Stagger.Pause() // several may wait for the same flight
		fl, joined, err := f.join(ctx, key, by, lead)
		if err != nil {
			return nil, err
		}
		led = led || !joined
		if !joined && fl.leader != nil {
			f.leadHere(fl, by, lead, resume)
		} else if err := f.await(ctx, fl, by, joined, resume); err != nil {
			return nil, err
		}
		switch {
		case fl.err == nil:
			return fl.value, nil
		case led:
			rescue.Again(fl.err)
			if fl.leader != nil && ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return fl.value, fl.err
		case !failure.Of(fl.err).IsOfLeader():
			return fl.value, rescue.Shared(fl.err)
		case by.Retry != nil:
			by.Retry()
		}
	}
	return nil, failure.ErrNoReachableServer
}

// await waits for a flight that the caller has joined or begun, until ctx ends. The caller
// has left the flight afterwards, even if a function that is called meanwhile panics.
func (f *Group) await(ctx context.Context, fl *Flight, by Waiter, joined bool, resume func()) (err error) {
	defer resume()
	defer func() { f.leave(fl, by, err) }()
	if joined {
		if by.Joined != nil {
			by.Joined()
		}
		if err := by.Budget.Send(); err != nil {
			return err
		}
	}
	select {
	case <-fl.ended:
		return nil
	case <-ctx.Done():
	}
	err = context.Cause(ctx)
	if by.Leaving != nil {
		by.Leaving(fl)
	}
	return err
}

// join joins the flight called key, or begins it.
func (f *Group) join(ctx context.Context, key string, by Waiter, lead func(*Flight) (any, error)) (fl *Flight, joined bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.base.Err() != nil {
		return nil, false, failure.ErrClosed
	}
	fl, joined = f.byKey[key]
	if joined && by.Parent != nil && reaches(fl, by.Parent) {
		return nil, false, failure.ErrCircular
	}
	leadsHere := !joined && by.Parent != nil && ctx == by.Parent.Ctx
	if leadsHere && ctx.Err() != nil { // nobody would end the new flight
		return nil, false, context.Cause(ctx)
	}
	if !joined {
		fl = f.begin(ctx, key, by)
	}
	fl.waiters++
	fl.Events.Join(by.Events)
	if by.Parent != nil {
		if by.Parent.waitsFor == nil {
			by.Parent.waitsFor = make(map[*Flight]int)
		}
		by.Parent.waitsFor[fl]++
	}
	switch {
	case joined:
	case leadsHere:
		fl.leader = by.Parent
	default:
		go func() { // last, so that the leader hears the first event too
			GrowStack(0)
			f.run(fl, lead)
		}()
	}
	return fl, joined, nil
}

// run does a flight's work. However that ends, the callers that wait are woken.
func (f *Group) run(fl *Flight, lead func(*Flight) (any, error)) {
	defer f.finish(fl)
	fl.err = rescue.ErrAborted
	defer rescue.Into(&fl.err)
	fl.value, fl.err = lead(fl)
}

// leadHere does a flight's work in the goroutine of the caller that has begun it.
func (f *Group) leadHere(fl *Flight, by Waiter, lead func(*Flight) (any, error), resume func()) {
	defer resume()
	defer func() {
		fl.Events.Leave(by.Events)
		f.mu.Lock()
		defer f.mu.Unlock()
		by.Parent.waitsNoLonger(fl)
		f.depart(fl, false)
	}()
	f.run(fl, lead)
}

// depart has the leader of a flight that runs in its goroutine not count as waiting any more. f.mu
// must be held.
func (f *Group) depart(fl *Flight, shed bool) {
	if fl.departed {
		return
	}
	fl.departed = true
	if fl.waiters--; fl.waiters == 0 {
		f.end(fl, shed)
	}
}

// end ends a flight that no caller waits for any more, and has those flights that run in its
// goroutine go on only for others. f.mu must be held.
func (f *Group) end(fl *Flight, shed bool) {
	f.forget(fl)
	fl.Shed.Store(shed)
	fl.cancel()
	for led := range fl.waitsFor {
		if led.leader == fl {
			f.depart(led, shed)
		}
	}
}

// waitsNoLonger takes one wait for another flight away. Group.mu must be held.
func (fl *Flight) waitsNoLonger(other *Flight) {
	if fl.waitsFor[other]--; fl.waitsFor[other] == 0 {
		delete(fl.waitsFor, other)
	}
}

// Pin lets a flight under way go on to its end, even if all callers leave it, and then
// calls done in a goroutine that Close waits for. It does so once for a flight; false when
// it does not.
func (f *Group) Pin(fl *Flight, done func(error)) bool {
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
		f.leave(fl, Waiter{}, nil)
		done(fl.err)
	})
	return true
}

// begin makes the flight, with the values but not the end of ctx. f.mu must be held.
func (f *Group) begin(ctx context.Context, key string, by Waiter) *Flight {
	own, cancel := context.WithDeadlineCause(Detach(f.base, ctx), by.Budget.Deadline, f.late)
	fl := &Flight{
		key:    key,
		Ctx:    own,
		cancel: cancel,
		Events: by.Events.Flight(),
		ended:  make(chan struct{}),
	}
	f.byKey[key] = fl
	f.running.Add(1)
	return fl
}

// finish removes the flight when its work is done.
func (f *Group) finish(fl *Flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(fl)
	f.running.Done()
	close(fl.ended)
}

// forget makes the next caller begin a new flight. f.mu must be held.
func (f *Group) forget(fl *Flight) {
	if f.byKey[fl.key] == fl {
		delete(f.byKey, fl.key)
	}
}

// leave ends a caller's waiting, for cause if the flight has not ended; the last one to
// leave ends the flight.
func (f *Group) leave(fl *Flight, by Waiter, cause error) {
	fl.Events.Leave(by.Events)
	f.mu.Lock()
	defer f.mu.Unlock()
	if by.Parent != nil {
		by.Parent.waitsNoLonger(fl)
	}
	if fl.waiters--; fl.waiters == 0 {
		f.end(fl, failure.Of(cause).Reaches(limits.Questions) || by.Parent != nil && by.Parent.Shed.Load())
	}
}

// reaches reports whether from waits for to, directly or through others.
func reaches(from, to *Flight) bool {
	seen := make(map[*Flight]bool)
	var search func(*Flight) bool
	search = func(at *Flight) bool {
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
