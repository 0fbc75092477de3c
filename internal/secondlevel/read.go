package secondlevel

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/iterdns/iterdns/internal/rescue"
)

const (
	// ReadPatience is how long one read is waited for while nothing succeeds. A store next
	// door takes well under a millisecond, and 20 ms let it have a hiccup; a server that a
	// hit saves is rarely nearer than that.
	ReadPatience = 20 * time.Millisecond
	// failuresTillOpen is how many reads, or writes, may fail in a row before the store
	// is left alone: one may be bad luck.
	failuresTillOpen = 3
	// silenceTillOpen is for how long nothing may come back while it is waited for.
	silenceTillOpen = failuresTillOpen * ReadPatience
	// breakerPause is how long it is left alone before it is tried again, with nobody
	// waiting: a server that is started again is found within seconds.
	breakerPause = 5 * time.Second
	// readTimeout is how long the store has for a read. Nobody waits for it in the end,
	// but clients throw away a connection whose time has run out, and to make many new ones
	// is what a host under load can do without.
	readTimeout = silenceTillOpen
	// probePatience is how long the store has for a read that nobody waits for.
	probePatience = time.Second
	// maxWait is how long a read may wait for its turn, however well the store does: a host
	// that is so busy will hardly be less so for waiting.
	maxWait = 250 * time.Millisecond
	// MaxReads is how many reads may be under way. At half a millisecond each that is
	// 64,000 a second. More would not make a host faster that is busy, but every one of
	// them slower, so that a good store seems to be a bad one; the others wait here. It
	// is also what a store that ignores the end of its context can hold of goroutines.
	MaxReads = 32
	// probeReads is how many reads a store is tried with that answers, but late. A host
	// under load is late itself; what the store can do is the best of them.
	probeReads = 8
	// probeGap is the time between the first two of them, and doubles from one to the next:
	// all are made before the pause is over.
	probeGap = 15 * time.Millisecond
)

// Why a store is left alone, beside the errors of its own.
var (
	errLate   = errors.New("no answer within 20 ms")
	errSilent = errors.New("no answer at all")
	errLies   = errors.New("what it says is bogus")
)

// Read is what came of a read.
type Read struct {
	Blob  Blob
	Found bool
	// Cost is how long the store has made the reader wait. What this host itself took,
	// which has the same to do without the store, is not in it.
	Cost time.Duration
}

// Get reads what is stored under k and is alive at now. It waits until nothing has come
// back from the store for ReadPatience, or patience if that is less, or ctx ends.
func (f *Front) Get(ctx context.Context, k Key, now time.Time, patience time.Duration) Read {
	if patience <= 0 || f.isDistrusted(k) || f.lying.ask(time.Now()) == blocked || !f.mayRead(k) {
		f.skipped.Add(1)
		return Read{}
	}
	value, cost, ok := f.read(ctx, k, patience)
	if !ok {
		return Read{Cost: cost}
	}
	b, found := f.unwrap(k, value, now)
	return Read{b, found, cost}
}

// unwrap opens what the store has given; nil is nothing.
func (f *Front) unwrap(k Key, value []byte, now time.Time) (Blob, bool) {
	if value == nil {
		f.misses.Add(1)
		return Blob{}, false
	}
	b, err := f.open(k, value, now)
	switch {
	case err != nil:
		f.refused.Add(1)
		return Blob{}, false
	case !now.Before(b.Expires):
		f.misses.Add(1)
		return Blob{}, false
	}
	f.hits.Add(1)
	return b, true
}

// mayRead asks the breaker. When it is time to see whether the store works again, that is
// done with nobody waiting.
func (f *Front) mayRead(k Key) bool {
	switch f.reading.ask(time.Now()) {
	case pass:
		return true
	case probe:
		f.probe(k)
	case blocked:
	}
	return false
}

type readResult struct {
	value []byte
	err   error
}

// read asks the store, and leaves it behind when it does not come back in time.
func (f *Front) read(ctx context.Context, k Key, patience time.Duration) (value []byte, cost time.Duration, ok bool) {
	share, ok := f.enter(ctx, k, patience)
	if !ok {
		f.skipped.Add(1)
		return nil, share, false
	}
	patience = min(patience-share, ReadPatience)
	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	done := make(chan readResult, 1)
	f.spawn(func() {
		defer func() { <-f.places }()
		got := readResult{err: rescue.ErrAborted}
		defer func() { done <- got }()
		defer rescue.Into(&got.err)
		got = f.ask(k, readTimeout)
	})
	var got readResult
	select {
	case got = <-done:
		if got.err == nil {
			return got.value, share + f.pace.least(), true
		}
	case <-within.Done():
		if ctx.Err() == nil && patience == ReadPatience { // a question that ends, or is in haste, says nothing about the store
			f.readFailed(k, began, errLate)
		}
	}
	if ctx.Err() == nil {
		f.errors.Add(1)
	}
	rescue.Again(got.err) // the question that it was read for fails as the store did
	return nil, share + time.Since(began), false
}

// enter waits for a place among the reads that are under way. How much of that time will
// be the store's is known beforehand, and if it is too much nobody waits. The rest is this
// host's own, which is waited for as long as reads come back.
func (f *Front) enter(ctx context.Context, k Key, patience time.Duration) (share time.Duration, ok bool) {
	select {
	case f.places <- struct{}{}:
		return 0, true
	default:
	}
	share = time.Duration(f.waiting.Add(1)) * f.pace.least() / MaxReads
	defer f.waiting.Add(-1)
	if share >= patience {
		return 0, false
	}
	w := f.await(time.Now(), patience)
	defer w.stop()
	select {
	case f.places <- struct{}{}:
		if !f.reading.open() {
			return share, true
		}
		<-f.places
		return share, false
	case <-ctx.Done():
		return share, false
	case <-w.over:
	}
	if quiet := f.reading.quiet(w.began, time.Now()); quiet >= patience {
		f.readFailed(k, time.Now().Add(-quiet), errSilent)
	}
	return patience, false
}

// wait is the time that a read has to get its turn: it is over when nothing has come back
// from the store for patience, or after maxWait. It is watched from outside, since a read
// that looks itself would go back to the end of the queue.
type wait struct {
	f        *Front
	began    time.Time
	patience time.Duration
	over     chan struct{} // closed when it is over

	mu    sync.Mutex
	timer *time.Timer // guarded by mu
}

func (f *Front) await(began time.Time, patience time.Duration) *wait {
	w := &wait{f: f, began: began, patience: patience, over: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(patience, w.look)
	return w
}

func (w *wait) look() {
	now := time.Now()
	left := w.patience - w.f.reading.quiet(w.began, now)
	if left <= 0 || now.Sub(w.began) >= maxWait {
		close(w.over)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Reset(left)
}

// stop ends the watch. One that has just begun to look ends by itself.
func (w *wait) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// ask makes one read, and judges the store by it.
func (f *Front) ask(k Key, timeout time.Duration) (got readResult) {
	ctx, cancel := context.WithTimeout(f.base, timeout)
	defer cancel()
	began := time.Now()
	got.err = rescue.ErrAborted
	defer func() { f.judge(k, began, got.err) }()
	defer rescue.Into(&got.err)
	got.value, got.err = f.store.Get(ctx, k[:])
	return got
}

// judge draws the conclusions from a read.
func (f *Front) judge(k Key, began time.Time, err error) {
	switch took := time.Since(began); {
	case err != nil:
		f.readFailed(k, began, err)
	case took > ReadPatience:
		f.readFailed(k, began, errLate)
	default:
		f.readSucceeded(took)
	}
}

func (f *Front) readSucceeded(took time.Duration) {
	now := time.Now()
	f.pace.note(took, now)
	if f.reading.succeeded(now) {
		f.tell(Reads, nil)
	}
}

// readFailed counts a failure, and has the store probed at once if that was one too many:
// it may have been no more than a moment's trouble.
func (f *Front) readFailed(k Key, began time.Time, why error) {
	if f.base.Err() != nil {
		return // the owner has ended the read
	}
	if f.reading.failed(began, time.Now()) {
		f.tell(Reads, why)
		f.probe(k)
	}
}

// probe reads with nobody waiting, to see whether the store works: one probe at a time.
func (f *Front) probe(k Key) {
	select {
	case f.probing <- struct{}{}:
	default:
		return
	}
	f.spawn(func() {
		defer func() { <-f.probing }()
		if !f.works(k) {
			f.errors.Add(1)
		}
	})
}

// works reports whether a read is in time, or another one has been meanwhile.
func (f *Front) works(k Key) bool {
	for gap := probeGap; gap < probeGap<<probeReads; gap *= 2 {
		if f.ask(k, probePatience).err != nil {
			return false
		}
		if !f.reading.open() {
			return true
		}
		select {
		case <-time.After(gap):
		case <-f.base.Done():
			return false
		}
	}
	return false
}
