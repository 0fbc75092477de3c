package secondlevel

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/rescue"
)

const (
	// writePatience is how long a write may take.
	writePatience = time.Second
	// queueLength is how many writes may wait. With 16 KiB each that is 8 MiB at worst,
	// and some 250 KiB as replies are.
	queueLength = 512
	// Writers is how many writes are made at the same time. To a store half a millisecond
	// away each makes 2,000 a second; a resolver with more to write than four of them can
	// needs its network for queries.
	Writers = 4

	// liesTillOpen is after how many bogus answers in a row that used the store it is not
	// read for liesPause.
	liesTillOpen = 3
	// liesPause is for how long it is then not read: as long as Unbound keeps bogus data.
	liesPause = 60 * time.Second
	// maxDistrusted is how many keys are remembered as those of bogus data.
	maxDistrusted = 1024
)

// Stats counts the outcomes of reads and writes.
type Stats struct {
	Hits, Misses uint64 // blobs that were opened; those that were not there or had expired
	Errors       uint64 // reads that failed or took too long
	Skipped      uint64 // reads not made: the store is marked down, or too slow for the question
	Refused      uint64 // no sealed blob of ours, or a payload that is no reply of a server
	Bogus        uint64 // bogus answers that used the store
	Writes       uint64 // blobs stored
	WriteErrors  uint64 // writes that failed
	Dropped      uint64 // writes not made: the queue was full, or the store is marked down
}

// Use is one of the two things that a store is for.
type Use uint8

const (
	Reads Use = iota
	Writes
)

// Front makes all reads and writes of one store. It is safe for concurrent use.
type Front struct {
	store cache.SecondLevel
	sealer
	base  context.Context // ends with the owner
	spawn func(func())

	reading, writing, lying breaker
	changed                 func(Use, error) // nil: not called

	pace    pace
	places  chan struct{} // one for each read under way
	waiting atomic.Int64  // reads that wait for a place
	probing chan struct{} // the place of the probe
	queue   chan write

	mu         sync.Mutex
	distrusted *simplelru.LRU[Key, time.Time] // until when; guarded by mu

	hits, misses, errors, skipped, rejected, bogus, writes, writeErrors, dropped atomic.Uint64
}

type write struct {
	key  Key
	blob Blob
	ttl  time.Duration
}

// New makes the front of a store. Goroutines are started with spawn, and end with base.
// An empty secret is none. changed, if not nil, is called when the store is marked down for
// one of its uses, with the reason, and when it is used for it again, with nil.
func New(base context.Context, store cache.SecondLevel, secret []byte, spawn func(func()), changed func(Use, error)) *Front {
	distrusted, _ := simplelru.NewLRU[Key, time.Time](maxDistrusted, nil) // fails for sizes below one only
	f := &Front{
		store: store, sealer: sealer{secret}, base: base, spawn: spawn, changed: changed,
		reading:    breaker{after: failuresTillOpen, silence: silenceTillOpen, pause: breakerPause},
		writing:    breaker{after: failuresTillOpen, silence: writePatience, pause: breakerPause},
		lying:      breaker{after: liesTillOpen, pause: liesPause},
		places:     make(chan struct{}, MaxReads),
		probing:    make(chan struct{}, 1),
		queue:      make(chan write, queueLength),
		distrusted: distrusted,
	}
	for range Writers {
		spawn(f.writeAll)
	}
	return f
}

// Key returns the key for a list of parts.
func (f *Front) Key(parts ...[]byte) Key { return f.key(parts...) }

// Put has a blob stored in the background, unless the queue is full or the payload too
// long. It does not block.
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

// writeAll writes what is in the queue. If the store ends its goroutine, another one goes on.
func (f *Front) writeAll() {
	aborted := true
	defer func() {
		if aborted {
			f.spawn(f.writeAll)
		}
	}()
	for {
		select {
		case w := <-f.queue:
			f.write(w)
		case <-f.base.Done():
			aborted = false
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
	began, err := time.Now(), rescue.ErrAborted
	defer func() { f.written(began, err) }()
	defer rescue.Into(&err)
	err = f.store.Set(ctx, w.key[:], f.close(w.key, w.blob), w.ttl)
}

// written counts the outcome of a write.
func (f *Front) written(began time.Time, err error) {
	switch {
	case err == nil:
		f.writes.Add(1)
		if f.writing.succeeded(time.Now()) {
			f.tell(Writes, nil)
		}
	case f.base.Err() != nil:
	default:
		f.writeErrors.Add(1)
		if f.writing.failed(began, time.Now()) {
			f.tell(Writes, err)
		}
	}
}

func (f *Front) tell(use Use, why error) {
	if f.changed != nil {
		f.changed(use, why)
	}
}

// Reject counts a blob whose payload is malformed, as if its seal were wrong.
func (f *Front) Reject(k Key) {
	f.rejected.Add(1)
	f.distrust(k)
}

// Believed records that an answer made of blobs was not bogus.
func (f *Front) Believed() {
	if f.lying.succeeded(time.Now()) {
		f.tell(Reads, nil)
	}
}

// Distrust records that an answer made of the blobs with these keys was bogus. The keys are
// not read for liesPause, nor is the store if that has happened a few times in a row.
func (f *Front) Distrust(keys []Key) {
	f.bogus.Add(1)
	if now := time.Now(); f.lying.failed(now, now) {
		f.tell(Reads, errLies)
	}
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

// Stats returns the counts so far.
func (f *Front) Stats() Stats {
	return Stats{
		Hits: f.hits.Load(), Misses: f.misses.Load(), Errors: f.errors.Load(), Skipped: f.skipped.Load(),
		Refused: f.rejected.Load(), Bogus: f.bogus.Load(),
		Writes: f.writes.Load(), WriteErrors: f.writeErrors.Load(), Dropped: f.dropped.Load(),
	}
}
