package secondlevel

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/iterdns/iterdns/internal/rescue"
)

const (
	// ReadPatience is how long a question waits for one read while no read succeeds. A store
	// nearby takes well under a millisecond, and 20 ms cover a hiccup; the server that a hit
	// saves a query to is rarely nearer than that.
	ReadPatience = 20 * time.Millisecond
	// failuresTillOpen is after how many failed reads, or writes, in a row the store is
	// marked down: one may be bad luck.
	failuresTillOpen = 3
	// silenceTillOpen is after how long without any result of waiting reads it is too.
	silenceTillOpen = failuresTillOpen * ReadPatience
	// breakerPause is the time between probes of a store that is marked down: one that is
	// started again is found within seconds.
	breakerPause = 5 * time.Second
	// readTimeout is how long the store has for a read. No question waits as long, but clients
	// of stores close a connection whose time has run out, and a host under load should not
	// have to open many new ones.
	readTimeout = silenceTillOpen
	// probePatience is how long the store has for a read that nobody waits for.
	probePatience = time.Second
	// maxWait is how long a read may wait for its turn, however quick the store is: when this
	// host is that busy, waiting longer does not help.
	maxWait = 250 * time.Millisecond
	// MaxReads is how many reads may be under way. At half a millisecond each that is
	// 64,000 a second. On a busy host more at a time would not be more a second, but make
	// each slower, so that a good store looks bad; the others wait here. It also bounds the
	// goroutines that a store can hold which ignores the end of its context.
	MaxReads = 32
	// probeReads is how many reads a probe makes while the store answers, but late. A host
	// under load is late itself; the best of them shows what the store can do.
	probeReads = 8
	// probeGap is the time between the first two of them, and doubles from one to the next:
	// all are made before the pause is over.
	probeGap = 15 * time.Millisecond
)

// Why a store is marked down, besides its own errors.
var (
	errLate   = errors.New("no answer within 20 ms")
	errSilent = errors.New("no answer at all")
	errLies   = errors.New("what it says is bogus")
)

// Read is the outcome of a read.
type Read struct {
	Blob  Blob
	Found bool
	// Cost is how long the store has made the reader wait. Time that this host took is not
	// in it: without the store it would be as busy.
	Cost time.Duration
}

// Get reads the blob under k that has not expired at now. It waits until nothing has come
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

// unwrap opens the bytes that the store returned; nil is a miss.
func (f *Front) unwrap(k Key, value []byte, now time.Time) (Blob, bool) {
	if value == nil {
		f.misses.Add(1)
		return Blob{}, false
	}
	b, err := f.open(k, value, now)
	switch {
	case err != nil:
		f.rejected.Add(1)
		return Blob{}, false
	case !now.Before(b.Expires):
		f.misses.Add(1)
		return Blob{}, false
	}
	f.hits.Add(1)
	return b, true
}

// mayRead asks the breaker. When a probe is due it starts one in the background, and reports
// false.
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

// read reads from the store. It returns when the time is over, and lets the read go on alone.
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
		if ctx.Err() == nil && patience == ReadPatience { // a question that ends, or has less patience, shows nothing about the store
			f.readFailed(k, began, errLate)
		}
	}
	if ctx.Err() == nil {
		f.errors.Add(1)
	}
	rescue.Again(got.err) // the question that it was read for fails as the store did
	return nil, share + time.Since(began), false
}

// enter waits for a place among the reads under way. The store's share of that time is
// known beforehand from its pace; if it exceeds patience, enter returns at once. The rest is
// this host's delay, for which it waits as long as reads come back.
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
// from the store for patience, or after maxWait. A timer watches it, since a read that woke
// up to look at the time would go back to the end of the queue.
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

// stop ends the watch. A look under way ends by itself.
func (w *wait) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
}

// ask makes one read, and records its outcome.
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

// judge records the outcome of a read.
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

// readFailed counts a failure. If the store is marked down with it, it is probed at once,
// since the trouble may have been brief.
func (f *Front) readFailed(k Key, began time.Time, why error) {
	if f.base.Err() != nil {
		return // the owner has ended the read
	}
	if f.reading.failed(began, time.Now()) {
		f.tell(Reads, why)
		f.probe(k)
	}
}

// probe reads in the background, to see whether the store works: one probe at a time.
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

// works reports whether a read is in time, or another one was meanwhile.
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
