package localroot

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/internal/expiring"
)

// Config says where copies come from, and how they are judged.
type Config struct {
	Sources []Source // tried in order
	File    string   // keeps the newest copy; "": none
	Trust   Trust

	Now           func() time.Time // by which copies age
	SignatureTime func() time.Time // at which signatures are judged
	Dial          Dial             // for AXFR
	Changed       func(Change)     // called after each round that changed something; nil: nobody is told
}

// Change is what Config.Changed is told: the state, and why the last round, or the writing of the
// file, failed.
type Change struct {
	State State
	Err   error
}

// State is what is known of the copy in use, or of the last one if it has expired.
type State struct {
	InUse          bool
	Secure         bool
	Serial         uint32
	Source         string
	Loaded         time.Time // when the copy was taken
	Confirmed      time.Time // when a source said last that it is up to date
	Expires        time.Time
	Refresh        time.Time // when sources are asked next
	Records, Bytes int
	Err            error // of the last round; nil: it went well, or there was none
}

// Counts are counted since the beginning.
type Counts struct {
	Loaded    atomic.Uint64 // copies taken
	Unchanged atomic.Uint64 // rounds in which the copy was up to date
	Replies   atomic.Uint64 // replies made
	Failures  [Faults]atomic.Uint64
}

// Root holds the copy in use, and replaces it. A nil *Root has none.
type Root struct {
	config  Config
	Counts  Counts
	current atomic.Pointer[held]
	wake    chan struct{} // holds one value when the copy is due by the clock that it ages by
	tried   chan struct{} // closed once the first round has ended

	mu  sync.Mutex
	err error // of the last round
}

// held is a copy, and how old it is. It is replaced as a whole.
type held struct {
	*Zone
	source            string
	loaded, confirmed time.Time
	next              expiring.Value[struct{}] // sources are asked again when it does not hold
}

// due is when sources are asked again.
func (h *held) due() time.Time { return h.next.Since.Add(h.next.TTL) }

// expires is when the copy is no longer used: by its SOA, counted from when a source last said that
// it is up to date (RFC 1035 §3.3.13, RFC 8806 §2).
func (h *held) expires() time.Time { return h.confirmed.Add(h.expire) }

// usable reports whether the copy may be used at a time, where signed is the time that signatures
// are judged at. Neither a host that slept nor a clock that was set back lengthens its life.
func (h *held) usable(now, signed time.Time) bool {
	life := expiring.Value[*Zone]{Value: h.Zone, Since: h.confirmed, TTL: h.expire}
	return life.Holds(now) && (!h.Secure || signed.Before(h.signedUntil))
}

// New returns a Root without a copy; Run fetches it.
func New(c Config) *Root {
	c.Sources = slices.Clone(c.Sources)
	return &Root{config: c, wake: make(chan struct{}, 1), tried: make(chan struct{})}
}

// Zone returns the copy in use; nil when there is none, or it has expired.
func (r *Root) Zone() *Zone {
	if r == nil {
		return nil
	}
	h := r.current.Load()
	if h == nil {
		return nil
	}
	now := r.config.Now()
	if !h.next.Holds(now) { // timers stand still while a host sleeps
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	if !h.usable(now, r.config.SignatureTime()) {
		return nil
	}
	return h.Zone
}

// State returns the state of now.
func (r *Root) State() State {
	if r == nil {
		return State{}
	}
	r.mu.Lock()
	s := State{Err: r.err}
	r.mu.Unlock()
	h := r.current.Load()
	if h == nil {
		return s
	}
	s.InUse, s.Secure, s.Serial, s.Source = h.usable(r.config.Now(), r.config.SignatureTime()), h.Secure, h.Serial, h.source
	s.Loaded, s.Confirmed, s.Expires, s.Refresh = h.loaded, h.confirmed, h.expires(), h.due()
	if h.Secure && h.signedUntil.Before(s.Expires) {
		s.Expires = h.signedUntil
	}
	s.Records, s.Bytes = h.Records, h.Bytes
	return s
}

// Await waits until there is a copy in use, or the first round has failed, and returns why.
func (r *Root) Await(ctx, base context.Context) error {
	select {
	case <-r.tried:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-base.Done():
		return context.Cause(base)
	}
	if r.Zone() != nil {
		return nil
	}
	if err := r.State().Err; err != nil {
		return err
	}
	return &Error{Fault: FaultExpired, Source: "local root", Err: errExpired}
}

var errExpired = errors.New("the copy has expired")
