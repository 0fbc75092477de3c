package anchorkeeper

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
)

// Options are what a Keeper begins with.
type Options struct {
	Store     dnssec.RolloverStore
	Anchors   []dnssec.Anchor  // of the options: they are trusted unless they have been revoked
	Validator dnssec.Options   // the algorithms
	Now       func() time.Time // by which signatures are judged too
	Changed   func(Change)     // nil: not told
}

// Engine is what a Keeper needs of the resolver that it works for.
type Engine struct {
	// Fetch asks the servers of a zone, but for some to avoid, for its DNSKEY RRset, and returns
	// what they sent, not validated.
	Fetch func(ctx context.Context, zone dnsname.Name, avoid map[netip.AddrPort]bool) (*dnssec.RRset, []netip.AddrPort, error)
	// Install has validation use other anchors from now on.
	Install func([]dnssec.Anchor) error
}

// Change is something that a program may want to know. Its fields are those of
// resolver.AnchorChange.
type Change struct {
	Zone string // "": it is about the store
	Keys []dnssec.RolloverKey
	Err  error
}

// Counts are what a Keeper has done and what it knows.
type Counts struct {
	Refreshed, RefreshFailed, StoreFailed uint64
	Trusted, Pending, Revoked             int
	Unsaved                               bool
}

// Keeper keeps the states of trust anchors: in memory, and in a store.
type Keeper struct {
	o     Options
	store *boundedStore

	// Only the goroutine of Run uses these.
	engine    Engine
	installed []dnssec.Anchor
	refused   map[string]error         // why zones could not be refreshed the last time
	schedules map[string]schedule      // when they are asked again
	holdDowns map[holdDownKey]holdDown // of new keys

	wake chan struct{} // of capacity 1; holds a token when there is something to look at

	mu       sync.Mutex
	states   []dnssec.Rollover // guarded by mu: in the order of the zones
	unsaved  map[string]bool   // guarded by mu: the zones whose state the store does not have
	storeErr error             // guarded by mu: of the last call; nil: it works
	counts   Counts            // guarded by mu

	seen     map[string][]*dnssec.RRset // guarded by mu: DNSKEY RRsets of each zone that wait for a look
	looked   map[string]*dnssec.RRset   // guarded by mu: of each zone, the last one looked at without an error
	lastLook time.Time                  // guarded by mu
}

// Open reads what the store has, and returns the keeper with the anchors to begin with. It fails
// when the store cannot be read, or what it has is no state, and when a zone has no trusted key
// left.
func Open(o Options) (*Keeper, []dnssec.Anchor, error) {
	k := &Keeper{
		o: o, store: newBoundedStore(o.Store),
		refused: make(map[string]error), schedules: make(map[string]schedule), holdDowns: make(map[holdDownKey]holdDown),
		unsaved: make(map[string]bool), wake: make(chan struct{}, 1), seen: make(map[string][]*dnssec.RRset), looked: make(map[string]*dnssec.RRset),
	}
	now := o.Now()
	text, err := k.store.load(context.Background())
	if err != nil {
		return nil, nil, err
	}
	var stored []dnssec.Rollover
	if text != nil {
		if stored, err = dnssec.ParseRollovers(text); err != nil {
			return nil, nil, err
		}
	}
	if k.states, err = merge(stored, nil, nil, o.Anchors, now); err != nil {
		return nil, nil, err
	}
	for _, r := range k.states {
		if _, err := r.Anchors(); err != nil && !isBelowTrusted(r.Zone, k.states) {
			return nil, nil, err
		}
		if i := find(stored, r.Zone); i < 0 || !sameKeys(stored[i], r) {
			k.unsaved[r.Zone] = true // the options have added something
		}
	}
	if _, err := dnssec.FormatRollovers(k.states); err != nil {
		return nil, nil, err // it could not be read again
	}
	if k.installed, err = anchorsOf(k.states); err != nil {
		return nil, nil, err
	}
	k.noteHoldDowns(k.states)
	return k, k.installed, nil
}

// Run keeps the states until ctx ends. A function of the program that panics or ends its goroutine, such as
// the clock, does not end it.
func (k *Keeper) Run(ctx context.Context, e Engine) {
	k.engine = e
	for {
		wait := tick
		var failed error
		var round sync.WaitGroup
		round.Go(rescue.Guarded(&failed, func() {
			k.round(ctx)
			wait = k.untilNext()
		}))
		round.Wait()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-k.wake:
			timer.Stop()
		}
	}
}

// round does what is to be done now.
func (k *Keeper) round(ctx context.Context) {
	k.look(ctx)
	for _, r := range k.States() {
		if k.untilDue(r) <= 0 {
			k.refresh(ctx, r.Zone)
		}
	}
	if ctx.Err() == nil && k.Counts().Unsaved {
		k.synchronise(ctx)
	}
}

// untilNext returns how long to sleep: until the first zone is to be asked, or something may be looked
// at, and at most a tick.
func (k *Keeper) untilNext() time.Duration {
	wait := tick
	if look, some := k.untilLook(); some {
		wait = look
	}
	for _, r := range k.States() {
		wait = min(wait, k.untilDue(r))
	}
	return wait
}

// States returns the states.
func (k *Keeper) States() []dnssec.Rollover {
	k.mu.Lock()
	defer k.mu.Unlock()
	states := slices.Clone(k.states)
	for i := range states {
		states[i].Keys = slices.Clone(states[i].Keys)
	}
	return states
}

// Counts returns what was done, and how many keys are in which state.
func (k *Keeper) Counts() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.counts
	c.Unsaved = len(k.unsaved) > 0
	for _, r := range k.states {
		for _, key := range r.Keys {
			switch key.State {
			case dnssec.KeyAddPend:
				c.Pending++
			case dnssec.KeyValid, dnssec.KeyMissing:
				c.Trusted++
			case dnssec.KeyRevoked, dnssec.KeyRemoved:
				c.Revoked++
			}
		}
	}
	return c
}

// refresh asks a zone for its keys, unless another process has done so, and takes one step of RFC
// 5011. Nothing that a function of the program does here ends the keeper.
func (k *Keeper) refresh(ctx context.Context, zone string) {
	err := rescue.ErrAborted
	defer func() {
		if ctx.Err() == nil { // what fails because the resolver is closed is no failure
			k.noteRefresh(zone, err)
		}
	}()
	defer rescue.Into(&err)
	k.schedules[zone] = within(minInterval) // however this ends
	planned, _ := k.state(zone)
	k.reload(ctx)
	r, ok := k.state(zone)
	if wait := untilDue(r, k.o.Now()); !ok || wait > 0 && !r.Next.Equal(planned.Next) {
		k.schedules[zone] = yielding(wait) // another process has asked
		err = nil
		return
	}
	updated, next, err := k.update(ctx, r)
	now := k.o.Now()
	next = jittered(now, next)
	k.schedules[zone] = within(next.Sub(now))
	if err != nil && !errors.Is(err, dnssec.ErrNoAnchorLeft) {
		return
	}
	updated = k.holdBack(r, updated)
	updated.Next = next
	k.count(func(c *Counts) { c.Refreshed++ })
	k.setState(updated)
	k.synchronise(ctx)
}

// maxServerTries is how many servers' keys are looked at when those of the first do not validate:
// a single one may have an old zone, or lie.
const maxServerTries = 3

// update fetches the keys of a zone and takes the step. It returns when to ask again too.
func (k *Keeper) update(ctx context.Context, r dnssec.Rollover) (dnssec.Rollover, time.Time, error) {
	next := k.o.Now().Add(minInterval)
	zone, err := dnsname.Parse(r.Zone)
	if err != nil {
		return r, next, err
	}
	var first error
	avoid := make(map[netip.AddrPort]bool)
	for range maxServerTries {
		set, servers, err := k.engine.Fetch(ctx, zone, avoid)
		if err != nil {
			return r, next, errors.Join(first, err)
		}
		updated, again, err := r.UpdateWith(k.o.Validator, set, k.o.Now())
		var bogus *dnssec.BogusError
		var limit *dnssec.LimitError
		if !errors.As(err, &bogus) && !errors.As(err, &limit) {
			if err == nil {
				k.noteLooked(set)
			}
			return updated, again, err
		}
		if first == nil {
			first, next = err, again
		}
		known := len(avoid)
		for _, s := range servers {
			avoid[s] = true
		}
		if len(avoid) == known {
			break
		}
	}
	return r, next, first
}

func (k *Keeper) state(zone string) (dnssec.Rollover, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i := find(k.states, zone); i >= 0 {
		return k.states[i], true
	}
	return dnssec.Rollover{}, false
}

// setState puts a zone's new state, which is not stored yet, in the place of the older one.
func (k *Keeper) setState(r dnssec.Rollover) {
	states := k.States()
	if i := find(states, r.Zone); i >= 0 {
		states[i] = r
	}
	k.setStates(states, r.Zone)
}

// setStates takes over states, has validation use them, and tells of keys that have changed. The
// states of the zones named are not stored yet.
func (k *Keeper) setStates(states []dnssec.Rollover, unsaved ...string) {
	k.mu.Lock()
	before := k.states
	k.states = states
	for _, zone := range unsaved {
		k.unsaved[zone] = true
	}
	k.mu.Unlock()
	k.install(states)
	k.noteHoldDowns(states)
	for _, r := range states {
		if i := find(before, r.Zone); i < 0 || !sameKeys(before[i], r) {
			k.tell(Change{Zone: r.Zone, Keys: slices.Clone(r.Keys)})
		}
	}
}

// install has validation use what the states trust, if that is not what it uses.
func (k *Keeper) install(states []dnssec.Rollover) {
	anchors, err := anchorsOf(states)
	if err != nil || slices.Equal(anchors, k.installed) {
		return // all states have been parsed before, so that there is no error
	}
	if k.engine.Install(anchors) == nil { // else the resolver is closed
		k.installed = anchors
	}
}

func (k *Keeper) count(add func(*Counts)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	add(&k.counts)
}

// noteRefresh tells when a zone begins to fail, when it fails otherwise, and when it works again.
func (k *Keeper) noteRefresh(zone string, err error) {
	before := k.refused[zone]
	k.refused[zone] = err
	if err != nil {
		k.count(func(c *Counts) { c.RefreshFailed++ })
		err = fmt.Errorf("follow the keys of %s: %w", zone, err)
	}
	if (err == nil) != (before == nil) {
		r, _ := k.state(zone)
		k.tell(Change{Zone: zone, Keys: slices.Clone(r.Keys), Err: err})
	}
}

// tell tells the program. A panic of its function ends nothing.
func (k *Keeper) tell(c Change) {
	if k.o.Changed != nil {
		defer rescue.Quietly()
		k.o.Changed(c)
	}
}
