package localroot

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/iterdns/iterdns/internal/atomicfile"
	"github.com/iterdns/iterdns/internal/expiring"
	"github.com/iterdns/iterdns/internal/rescue"
)

// roundTime is how long one round through the sources may take: 16 MiB at 1 Mbit/s, or the zone of
// today at a twentieth of that.
const roundTime = 2 * time.Minute

// The bounds of what the timers of an SOA can ask for. The root's are 30 and 15 minutes.
const (
	minInterval = time.Minute    // what RFC 8806 calls a reasonable frequency, for sources that are public
	maxInterval = 24 * time.Hour // so that a source that is mended is noticed
	firstRetry  = time.Minute    // without a copy; doubled with each failure up to maxFirstRetry
	// maxFirstRetry is the retry interval of the root's SOA.
	maxFirstRetry = 15 * time.Minute
)

// Run fetches copies until base ends.
func (r *Root) Run(base context.Context) {
	defer r.endFirst()
	r.loadFile(base)
	wait := r.untilDue()
	for failures := 0; ; {
		if wait > 0 && !r.pause(base, wait) {
			return
		}
		err := r.round(base)
		if base.Err() != nil || errors.Is(err, errNothingLeft) {
			return
		}
		if failures++; err == nil {
			failures = 0
		}
		wait = r.planned(failures)
		r.endFirst()
	}
}

// endFirst says that the first round has ended. Only Run's goroutine calls it.
func (r *Root) endFirst() {
	select {
	case <-r.tried:
	default:
		close(r.tried)
	}
}

// pause waits, and reports whether that was to its end. It ends early when the copy is due by the
// clock that it ages by.
func (r *Root) pause(base context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.wake:
	case <-base.Done():
		return false
	}
	return true
}

// untilDue is how long it takes until a copy from the file is to be asked for again. A program
// that waits for the first round need not wait for that.
func (r *Root) untilDue() time.Duration {
	h := r.current.Load()
	if h == nil {
		return 0
	}
	wait := h.due().Sub(r.config.Now())
	if wait > 0 {
		r.endFirst()
	}
	return wait
}

// planned decides when the next round is, and notes it in the copy.
func (r *Root) planned(failures int) time.Duration {
	h := r.current.Load()
	if h == nil {
		return jittered(min(maxFirstRetry, firstRetry<<min(failures-1, 8)))
	}
	wait := h.refresh
	if failures > 0 {
		wait = h.retry
	}
	wait = jittered(min(max(wait, minInterval), maxInterval))
	next := *h
	next.next = expiring.Value[struct{}]{Since: r.config.Now(), TTL: wait}
	r.current.Store(&next)
	select {
	case <-r.wake: // it was due before this round
	default:
	}
	return wait
}

// jittered shortens an interval by up to a quarter, so that resolvers that were started together do
// not ask together.
func jittered(wait time.Duration) time.Duration { return wait - rand.N(wait/4+1) }

// errNothingLeft says that every source can be read once only, and has been.
var errNothingLeft = errors.New("no source can be read again")

// round asks the sources until one of them has a copy, or says that the one in use is up to date.
func (r *Root) round(base context.Context) error {
	ctx, cancel := context.WithTimeoutCause(base, roundTime, faultf(FaultSize, "the sources took longer than %v", roundTime))
	defer cancel()
	before := r.Counts.Loaded.Load()
	err := errNothingLeft
	for i := range r.config.Sources {
		s := &r.config.Sources[i]
		if s.Once && s.Open == nil {
			continue
		}
		if err = r.tryFor(ctx, s, r.share(ctx, i)); err == nil || base.Err() != nil {
			break
		}
		e := from(s.Name, err)
		r.Counts.Failures[e.Fault].Add(1)
		err = e
		if ctx.Err() != nil {
			break
		}
	}
	if base.Err() == nil && err != errNothingLeft {
		r.ended(err, r.Counts.Loaded.Load() > before)
	}
	return err
}

// share is how long a source may take: half of the time that is left, so that one which is slow does
// not keep those behind it from being asked, round after round; the last one all of it.
func (r *Root) share(ctx context.Context, i int) time.Duration {
	end, _ := ctx.Deadline()
	left := time.Until(end)
	for _, s := range r.config.Sources[i+1:] {
		if !s.Once || s.Open != nil {
			return left / 2
		}
	}
	return left
}

// tryFor asks one source for some time.
func (r *Root) tryFor(ctx context.Context, s *Source, most time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, most, faultf(FaultSize, "the source took longer than %v", most.Round(time.Second)))
	defer cancel()
	return r.try(ctx, s)
}

// ended notes how a round ended, and tells it unless nothing has changed.
func (r *Root) ended(err error, loaded bool) {
	r.mu.Lock()
	changed := loaded || err != nil || r.err != nil
	r.err = err
	r.mu.Unlock()
	if changed {
		r.tell(err)
	}
}

// tell calls the program's function, whose panic ends nothing else.
func (r *Root) tell(err error) {
	if r.config.Changed != nil {
		defer rescue.Quietly()
		r.config.Changed(Change{r.State(), err})
	}
}

// try asks one source.
func (r *Root) try(ctx context.Context, s *Source) error {
	var inUse *Zone
	h := r.current.Load()
	if h != nil && h.usable(r.config.Now(), r.config.SignatureTime()) {
		inUse = h.Zone
	}
	f, err := s.fetch(ctx, r.config.Dial, inUse)
	if s.Once {
		s.Open = nil
	}
	if f.asOf.IsZero() || f.asOf.After(r.config.Now()) {
		f.asOf = r.config.Now()
	}
	switch {
	case err == nil:
		return r.take(s.Name, f, s.Path != r.config.File)
	case errors.Is(err, errUnchanged) && inUse != nil:
		r.confirm(h, f.asOf)
		return nil
	}
	return err
}

// take verifies a copy and puts it in the place of the one in use.
func (r *Root) take(source string, f fetched, save bool) error {
	h := r.current.Load()
	serial := f.contents.serial()
	// A copy that has expired may be replaced by any good one, which is no worse.
	if h != nil && h.usable(r.config.Now(), r.config.SignatureTime()) {
		switch {
		case older(serial, h.Serial):
			return olderThan(serial, h.Serial)
		case serial == h.Serial:
			if f.asOf.After(h.confirmed) {
				r.confirm(h, f.asOf)
			} else {
				r.Counts.Unchanged.Add(1)
			}
			return nil
		}
	}
	z, err := r.config.Trust.verify(f.contents, r.config.SignatureTime())
	if err != nil {
		return withSerial(err, serial)
	}
	next := &held{Zone: z, source: source, loaded: r.config.Now(), confirmed: f.asOf}
	next.next = expiring.Value[struct{}]{Since: f.asOf, TTL: min(max(z.refresh, minInterval), maxInterval)}
	if !next.usable(r.config.Now(), r.config.SignatureTime()) {
		return &Error{Fault: FaultExpired, Serial: serial, Err: errExpired}
	}
	r.current.Store(next)
	r.Counts.Loaded.Add(1)
	if save && r.config.File != "" {
		r.saved(f.contents.save(r.config.File, f.asOf))
	}
	return nil
}

// withSerial adds the serial number to an error about a copy.
func withSerial(err error, serial uint32) error {
	e := *from("", err)
	e.Serial = serial
	return &e
}

// confirm notes that a copy is up to date at a time.
func (r *Root) confirm(h *held, asOf time.Time) {
	r.Counts.Unchanged.Add(1)
	next := *h
	next.confirmed = asOf
	r.current.Store(&next)
	if r.config.File != "" {
		r.saved(h.keep(r.config.File, asOf))
	}
}

// saved notes why the file could not be written. The copy is used all the same.
func (r *Root) saved(err error) {
	if err == nil {
		return
	}
	r.Counts.Failures[FaultFile].Add(1)
	r.tell(&Error{Fault: FaultFile, Source: r.config.File, Err: err})
}

// loadFile takes the copy that was kept. That there is none yet is no failure.
func (r *Root) loadFile(base context.Context) {
	if r.config.File == "" {
		return
	}
	_ = atomicfile.RemoveUnfinished(r.config.File) // the next start tries again
	s := Source{Name: r.config.File, Path: r.config.File}
	err := r.try(base, &s)
	switch {
	case base.Err() != nil, errors.Is(err, os.ErrNotExist):
	case err == nil:
		r.ended(nil, true)
	default:
		e := from(s.Name, err)
		r.Counts.Failures[e.Fault].Add(1)
		r.ended(e, false)
	}
}
