package flight

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

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
// kinds of flights: what clients ask, what is asked of the servers of a zone, and what is read from the
// second level.
//
// A flight runs under a context and a budget of its own, those of the caller that began it
// (its leader), and keeps them when that caller leaves; it ends when no caller waits for it
// any more. Flights wait for flights: a client's question for the queries to zones, and
// these for the addresses of the servers to ask. Before one begins to wait for another that is
// under way, the graph of waiting flights is searched, so that no loop ever closes. A new
// flight waits for nothing yet, and closes none.
type Group struct {
	base    context.Context // ends with the resolver
	running *sync.WaitGroup // counts goroutines that Close waits for
	Stagger stagger         // nil but in tests
	late    error           // why a flight ends whose time is over

	seed   maphash.Seed
	shards [shards]shard

	waiting sync.Mutex // held to search or change the graph of waiting flights
}

// shards is how many parts the flights are divided into, by key: with one, it was what
// questions on two threads waited for most.
const shards = 32

type shard struct {
	mu    sync.Mutex
	byKey map[string]*Flight // guarded by mu
}

// Flight is one piece of work that several callers may wait for.
type Flight struct {
	key    string
	shard  *shard
	life   life
	Ctx    context.Context // the life
	work   Work
	Events events.Sink // heard by all that wait
	// Shed is set before Ctx ends because the questions that waited were shed for others.
	Shed atomic.Bool

	// here is set when the flight runs in the goroutine of the caller that has begun it. leader is
	// that caller's flight; nil: it is a client, or the flight has a goroutine of its own.
	here   bool
	leader *Flight

	// To be read when the work has ended.
	value any
	err   error

	// Guarded by shard.mu.
	ended    chan struct{} // closed when the work has ended; nil: nobody has asked for it
	over     bool          // the work has ended
	waiters  int
	departed bool // the caller in whose goroutine it runs does not count as waiting any more
	pinned   bool // it goes on even if no caller waits

	waitedForBy []*Flight // besides leader; guarded by Group.waiting, as waitsFor
	waitsFor    []*Flight // besides those that run in its goroutine
}

// NewGroup returns a group without flights. base ends with the resolver, running counts the
// goroutines that Close waits for, and late is the cause with which the time of a flight ends.
func NewGroup(base context.Context, running *sync.WaitGroup, late error) *Group {
	f := &Group{base: base, running: running, late: late, seed: maphash.MakeSeed()}
	for i := range f.shards {
		f.shards[i].byKey = make(map[string]*Flight)
	}
	return f
}

// Stop lets no more flights begin. end, which ends base, is called while none can begin, so that
// all that have begun are counted.
func (f *Group) Stop(end func()) {
	for i := range f.shards {
		f.shards[i].mu.Lock()
		defer f.shards[i].mu.Unlock()
	}
	end()
}

// Spawn runs work in a goroutine that Close waits for, but not after Close. A panic ends the
// work and nothing else.
func (f *Group) Spawn(work func()) bool {
	s := &f.shards[0] // any will do, as Stop locks all
	s.mu.Lock()
	defer s.mu.Unlock()
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
	// Place makes a caller without a flight of its own lead in its own goroutine. Nil: it leads
	// there only if its context is that of its flight; else it waits while another goroutine works,
	// and leaves when its context ends.
	Place *Place
}

// Work is what a flight does for the caller that begins it.
type Work interface {
	// Lead does the work.
	Lead(fl *Flight) (any, error)
	// Joined is called instead when the flight was under way already.
	Joined()
	// Retry is called before the flight is begun again because its leader ended by its own limits.
	Retry()
	// Leaving is called when the caller's context or time has ended before the flight, which it has
	// joined or begun. The caller counts as waiting until it returns.
	Leaving(fl *Flight)
}

// Func is work of which only the result matters.
type Func func(*Flight) (any, error)

// Lead, Joined, Retry and Leaving make it Work.
func (f Func) Lead(fl *Flight) (any, error) { return f(fl) }
func (Func) Joined()                        {}
func (Func) Retry()                         {}
func (Func) Leaving(*Flight)                {}

// Do returns the result of the flight called key: of the one under way, or of a new one that
// does work. The error is failure.ErrCircular when waiting would never end, and ctx's cause
// when ctx ends first. When the work panics, so does the leader, in its own goroutine, and all
// others get an error. A caller without a Parent does not wait longer than its own Budget allows.
//
// A caller with a Place, or whose context is that of its flight, works in its own goroutine when
// it leads. When it leaves, or its flight ends, it counts as waiting no longer, and the work
// goes on only for others.
func (f *Group) Do(ctx context.Context, key string, by Waiter, work Work) (any, error) {
	var theirs error // by which the flight of another caller has ended
	for range maxJoins {
		resume := f.Stagger.Pause() // several may wait for the same flight
		fl, joined, err := f.join(ctx, key, by, work)
		if err != nil {
			return nil, err
		}
		if !joined && fl.here {
			err = f.leadHere(ctx, fl, by, resume)
		} else {
			err = f.await(ctx, fl, by, work, joined, resume)
		}
		if err != nil {
			return nil, err
		}
		switch {
		case fl.err == nil:
			return fl.value, nil
		case !joined:
			rescue.Again(fl.err)
			return fl.value, fl.err
		case !failure.Of(fl.err).IsOfLeader(), by.Budget.EndsWith(fl.err):
			return fl.value, rescue.Shared(fl.err)
		}
		theirs = fl.err
		work.Retry()
	}
	return nil, theirs
}

// await waits for a flight that the caller has joined or begun, until ctx ends, the caller is
// made to leave, or its time is over. It has left the flight afterwards, even if a function that
// is called meanwhile panics.
func (f *Group) await(ctx context.Context, fl *Flight, by Waiter, work Work, joined bool, resume func()) (err error) {
	defer resume()
	defer func() { f.leave(fl, by, err) }()
	if joined {
		work.Joined()
		if err := by.Budget.ChargeQuery(); err != nil {
			return err
		}
	}
	var late <-chan time.Time
	if joined && by.Parent == nil { // the flight may have more time than the caller
		timer := time.NewTimer(time.Until(by.Budget.Deadline))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-fl.ended:
		return nil
	case <-by.Place.leaving():
		return by.Place.exit()
	case <-late:
		err = f.late
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	work.Leaving(fl)
	return err
}

// join joins the flight called key, or begins it.
func (f *Group) join(ctx context.Context, key string, by Waiter, work Work) (fl *Flight, joined bool, err error) {
	s := f.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.base.Err() != nil {
		return nil, false, failure.ErrClosed
	}
	fl, joined = s.byKey[key]
	if !joined {
		fl = f.newFlight(ctx, key, s, by, work)
	}
	switch {
	case by.Place != nil:
		err = by.Place.enter(fl, joined)
	case fl.here && !joined:
		switch { // nobody would end the new flight
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case !by.Parent.life.begins(fl): // its end has begun
			err = context.Canceled
		}
	case by.Parent != nil:
		err = f.waitFor(fl, by.Parent)
	}
	if err != nil {
		return nil, false, err
	}
	if joined && fl.ended == nil {
		fl.ended = make(chan struct{})
	}
	fl.waiters++
	fl.Events.Join(by.Events)
	if joined {
		return fl, true, nil
	}
	s.byKey[key] = fl
	f.running.Add(1)
	if !fl.here {
		fl.ended = make(chan struct{})
		go func() { // last, so that the leader hears the first event too
			growQuestionStack(0)
			f.run(fl)
		}()
	}
	return fl, false, nil
}

// Of returns the flight of this group that a context belongs to; nil: none. A function of the
// program's that gets such a context and asks with it is a part of the flight.
func (f *Group) Of(ctx context.Context) *Flight {
	fl, _ := ctx.Value(flightOf{f}).(*Flight)
	return fl
}

// newFlight makes a flight, with the values but not the end of ctx.
func (f *Group) newFlight(ctx context.Context, key string, s *shard, by Waiter, work Work) *Flight {
	fl := &Flight{
		key: key, shard: s, work: work, Events: by.Events.Flight(),
		life: life{base: f.base, values: ctx, deadline: by.Budget.Deadline, late: f.late},
	}
	fl.life.of, fl.life.group = fl, f
	fl.Ctx = &fl.life
	switch {
	case by.Place != nil:
		fl.here = true
	case by.Parent != nil && ctx == by.Parent.Ctx:
		fl.here, fl.leader = true, by.Parent
	}
	return fl
}

// run does a flight's work. However that ends, the callers that wait are woken.
func (f *Group) run(fl *Flight) {
	defer f.finish(fl)
	fl.err = rescue.ErrAborted
	defer rescue.Into(&fl.err)
	fl.value, fl.err = fl.work.Lead(fl)
}

// leadHere does a flight's work in the goroutine of the caller that has begun it. The error is why
// the caller has left meanwhile, or its context ended before the work did.
func (f *Group) leadHere(ctx context.Context, fl *Flight, by Waiter, resume func()) (err error) {
	defer resume()
	defer func() {
		fl.Events.Leave(by.Events)
		if by.Parent != nil {
			by.Parent.life.finishes(fl)
		}
		fl.depart(false)
	}()
	f.run(fl)
	left := by.Place.exit()
	rescue.Again(fl.err)
	if left == nil && fl.err != nil && by.Place == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return left
}

// depart has the caller in whose goroutine a flight runs not count as waiting any more, and
// ends the flight if nobody else waits. It reports whether the work goes on for others.
func (fl *Flight) depart(shed bool) (goesOn bool) {
	fl.shard.mu.Lock()
	if fl.departed {
		fl.shard.mu.Unlock()
		return false
	}
	fl.departed = true
	return fl.oneLess(shed)
}

// leave ends a caller's waiting, for cause if the flight has not ended; the last one to
// leave ends the flight.
func (f *Group) leave(fl *Flight, by Waiter, cause error) {
	fl.Events.Leave(by.Events)
	if by.Parent != nil {
		f.waitNoLonger(fl, by.Parent)
	}
	fl.shard.mu.Lock()
	fl.oneLess(failure.Of(cause).Reaches(limits.Questions) || by.Parent != nil && by.Parent.Shed.Load())
}

// oneLess counts a waiter less, ends the flight if it was the last, and reports whether the work
// goes on for others. fl.shard.mu must be held, and is released.
func (fl *Flight) oneLess(shed bool) (goesOn bool) {
	fl.waiters--
	last := fl.waiters == 0
	if last {
		fl.forget()
	}
	goesOn = !last && !fl.over
	fl.shard.mu.Unlock()
	if last {
		fl.end(shed)
	}
	return goesOn
}

// end ends a flight that no caller waits for any more, and has those flights that run in its
// goroutine go on only for others. No lock may be held.
func (fl *Flight) end(shed bool) {
	if shed {
		fl.Shed.Store(true)
	}
	for _, led := range fl.life.end() {
		led.depart(shed)
	}
}

// Pin lets a flight under way go on to its end, even if all callers leave it, and then
// calls done in a goroutine that Close waits for. It does so once for a flight; false when
// it does not.
func (f *Group) Pin(fl *Flight, done func(error)) bool {
	fl.shard.mu.Lock()
	defer fl.shard.mu.Unlock()
	if f.base.Err() != nil || fl.shard.byKey[fl.key] != fl || fl.pinned {
		return false
	}
	fl.pinned = true
	fl.waiters++
	if fl.ended == nil {
		fl.ended = make(chan struct{})
	}
	f.running.Go(func() {
		defer rescue.Quietly()
		<-fl.ended
		f.leave(fl, Waiter{}, nil)
		done(fl.err)
	})
	return true
}

// finish removes the flight when its work is done.
func (f *Group) finish(fl *Flight) {
	fl.shard.mu.Lock()
	defer fl.shard.mu.Unlock()
	fl.forget()
	fl.over = true
	f.running.Done()
	if fl.ended != nil {
		close(fl.ended)
	}
}

// forget makes the next caller begin a new flight. fl.shard.mu must be held.
func (fl *Flight) forget() {
	if fl.shard.byKey[fl.key] == fl {
		delete(fl.shard.byKey, fl.key)
	}
}

func (f *Group) shardOf(key string) *shard {
	return &f.shards[maphash.String(f.seed, key)%shards]
}
