package secondlevel

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/cache"
)

const (
	// ReadPatience is how long one read is waited for. A store next door takes well
	// under a millisecond, and 20 ms let it have a hiccup; a server that a hit saves is
	// rarely nearer than that.
	ReadPatience = 20 * time.Millisecond
	// failuresTillOpen is how many reads, or writes, may fail in a row before the store
	// is left alone: one may be bad luck.
	failuresTillOpen = 3
	// breakerPause is how long it is left alone before it is tried again, once, with
	// nobody waiting: a server that is started again is found within seconds.
	breakerPause = 5 * time.Second
	// probePatience is how long a read that nobody waits for may take. One that takes
	// longer than ReadPatience is still no success.
	probePatience = time.Second
	// maxReads is how many reads may be under way. A store that ignores the end of its
	// context holds a goroutine for each, and no more than these.
	maxReads = 256

	// writePatience is how long a write may take.
	writePatience = time.Second
	// queueLength is how many writes may wait. With 16 KiB each that is 8 MiB at worst,
	// and some 250 KiB as replies are.
	queueLength = 512
	// writers is how many writes are made at the same time. One to a store half a
	// millisecond away is done 2,000 times a second; a resolver that learns faster than
	// four of them write has more use for its network.
	writers = 4

	// liesTillOpen is how many answers in a row may turn out bogus that the store had a
	// part in before it is not read for a while.
	liesTillOpen = 3
	// liesPause is that while: the time for which Unbound keeps bogus data.
	liesPause = 60 * time.Second
	// maxDistrusted is how many keys are remembered as those of bogus data.
	maxDistrusted = 1024
)

// Stats counts what came of reads and writes.
type Stats struct {
	Hits, Misses uint64 // blobs that were opened; those that were not there or had expired
	Errors       uint64 // reads that failed or took too long
	Skipped      uint64 // reads not made: the store does not work, lies, or is too slow for the question
	Refused      uint64 // what was no sealed blob of ours, or held what no server could have said
	Bogus        uint64 // answers that the store had a part in, and that were not true
	Writes       uint64 // blobs stored
	WriteErrors  uint64 // writes that failed
	Dropped      uint64 // writes not made: the queue was full, or the store does not work
}

// Front is the only one that talks to a store. It is safe for concurrent use.
type Front struct {
	store cache.SecondLevel
	sealer
	base  context.Context // ends with the owner
	spawn func(func())

	reading, writing, lying breaker
	slots                   chan struct{} // a place for each read under way
	queue                   chan write

	mu         sync.Mutex
	distrusted *simplelru.LRU[Key, time.Time] // until when; guarded by mu

	hits, misses, errors, skipped, refused, bogus, writes, writeErrors, dropped atomic.Uint64
}

type write struct {
	key  Key
	blob Blob
	ttl  time.Duration
}

// New makes the front of a store. Goroutines are started with spawn, and end with base.
// An empty secret is none.
func New(base context.Context, store cache.SecondLevel, secret []byte, spawn func(func())) *Front {
	distrusted, _ := simplelru.NewLRU[Key, time.Time](maxDistrusted, nil) // fails for sizes below one only
	f := &Front{
		store: store, sealer: sealer{secret}, base: base, spawn: spawn,
		reading:    breaker{after: failuresTillOpen, pause: breakerPause},
		writing:    breaker{after: failuresTillOpen, pause: breakerPause},
		lying:      breaker{after: liesTillOpen, pause: liesPause},
		slots:      make(chan struct{}, maxReads),
		queue:      make(chan write, queueLength),
		distrusted: distrusted,
	}
	for range writers {
		spawn(f.writeAll)
	}
	return f
}

// Key gives the key for what the parts name.
func (f *Front) Key(parts ...[]byte) Key { return f.key(parts...) }

// Get reads what is stored under k and is alive at now, waiting no longer than patience,
// ReadPatience, and ctx.
func (f *Front) Get(ctx context.Context, k Key, now time.Time, patience time.Duration) (Blob, bool) {
	if patience <= 0 || f.isDistrusted(k) || f.lying.ask(time.Now()) == blocked {
		f.skipped.Add(1)
		return Blob{}, false
	}
	switch f.reading.ask(time.Now()) {
	case pass:
	case probe:
		f.probe(k)
		f.skipped.Add(1)
		return Blob{}, false
	case blocked:
		f.skipped.Add(1)
		return Blob{}, false
	}
	value, ok := f.read(ctx, k, min(patience, ReadPatience))
	if !ok {
		return Blob{}, false
	}
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

type readResult struct {
	value []byte
	err   error
}

// read asks the store, and leaves it behind when it does not come back in time.
func (f *Front) read(ctx context.Context, k Key, patience time.Duration) (value []byte, ok bool) {
	select {
	case f.slots <- struct{}{}:
	default:
		f.skipped.Add(1)
		return nil, false
	}
	within, cancel := context.WithTimeout(ctx, patience)
	done := make(chan readResult, 1)
	f.spawn(func() {
		defer func() { <-f.slots }()
		value, err := f.store.Get(within, k[:])
		done <- readResult{value, err}
	})
	defer cancel()
	var got readResult
	select {
	case got = <-done:
	case <-within.Done():
		got.err = within.Err()
	}
	switch {
	case got.err == nil:
		f.reading.succeeded()
		return got.value, true
	case ctx.Err() != nil: // the question has ended, which says nothing about the store
		return nil, false
	case patience < ReadPatience: // nor does this question's haste
	default:
		f.reading.failed(time.Now())
	}
	f.errors.Add(1)
	return nil, false
}

// probe reads with nobody waiting, to see whether the store works again.
func (f *Front) probe(k Key) {
	select {
	case f.slots <- struct{}{}:
	default:
		return
	}
	f.spawn(func() {
		defer func() { <-f.slots }()
		ctx, cancel := context.WithTimeout(f.base, probePatience)
		defer cancel()
		start := time.Now()
		if _, err := f.store.Get(ctx, k[:]); err != nil || time.Since(start) > ReadPatience {
			f.reading.failed(time.Now())
			f.errors.Add(1)
			return
		}
		f.reading.succeeded()
	})
}

// Put has a blob stored in the background, if there is room in the queue. It waits for
// nothing. Payloads that are too long are passed over.
func (f *Front) Put(k Key, b Blob, now time.Time) {
	ttl := b.Expires.Sub(now)
	if len(b.Payload) > MaxPayload || ttl <= 0 {
		return
	}
	select {
	case f.queue <- write{k, b, ttl}:
	default:
		f.dropped.Add(1)
	}
}

func (f *Front) writeAll() {
	for {
		select {
		case w := <-f.queue:
			f.write(w)
		case <-f.base.Done():
			return
		}
	}
}

func (f *Front) write(w write) {
	if f.writing.ask(time.Now()) == blocked {
		f.dropped.Add(1)
		return
	}
	ctx, cancel := context.WithTimeout(f.base, writePatience)
	defer cancel()
	switch err := f.store.Set(ctx, w.key[:], f.close(w.key, w.blob), w.ttl); {
	case err == nil:
		f.writing.succeeded()
		f.writes.Add(1)
	case f.base.Err() != nil:
	default:
		f.writing.failed(time.Now())
		f.writeErrors.Add(1)
	}
}

// Refuse counts a blob whose payload is nonsense, as if it had not been opened.
func (f *Front) Refuse(k Key) {
	f.refused.Add(1)
	f.distrust(k)
}

// Believed says that an answer made of blobs has turned out to be true.
func (f *Front) Believed() { f.lying.succeeded() }

// Distrust says that an answer made of the blobs with these keys was bogus. They are not
// read for a while, and the store is not when that has happened a few times in a row.
func (f *Front) Distrust(keys []Key) {
	f.bogus.Add(1)
	f.lying.failed(time.Now())
	for _, k := range keys {
		f.distrust(k)
	}
}

func (f *Front) distrust(k Key) {
	f.mu.Lock()
	f.distrusted.Add(k, time.Now().Add(liesPause))
	f.mu.Unlock()
}

func (f *Front) isDistrusted(k Key) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	until, ok := f.distrusted.Get(k)
	return ok && time.Now().Before(until)
}

// Stats gives the counts so far.
func (f *Front) Stats() Stats {
	return Stats{
		Hits: f.hits.Load(), Misses: f.misses.Load(), Errors: f.errors.Load(), Skipped: f.skipped.Load(),
		Refused: f.refused.Load(), Bogus: f.bogus.Load(),
		Writes: f.writes.Load(), WriteErrors: f.writeErrors.Load(), Dropped: f.dropped.Load(),
	}
}
