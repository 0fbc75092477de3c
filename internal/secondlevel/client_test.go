package secondlevel

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a store whose calls do what the test says.
type fake struct {
	mu   sync.Mutex
	gets int
	get  func(ctx context.Context) ([]byte, error)
	set  func(ctx context.Context) error
	ttls []time.Duration
}

func (s *fake) Get(ctx context.Context, _ []byte) ([]byte, error) {
	s.mu.Lock()
	s.gets++
	get := s.get
	s.mu.Unlock()
	return get(ctx)
}

func (s *fake) Set(ctx context.Context, _, _ []byte, ttl time.Duration) error {
	s.mu.Lock()
	s.ttls = append(s.ttls, ttl)
	set := s.set
	s.mu.Unlock()
	return set(ctx)
}

func (s *fake) answer(get func(ctx context.Context) ([]byte, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.get = get
}

// reads counts the reads so far.
func (s *fake) reads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets
}

var errDown = errors.New("down")

func nothing(context.Context) ([]byte, error) { return nil, nil }
func down(context.Context) ([]byte, error)    { return nil, errDown }

func silence(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// after is a store that has nothing, but says so late.
func after(d time.Duration) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { time.Sleep(d); return nil, nil }
}

// inFront plays with the front of a fake store, in virtual time.
func inFront(t *testing.T, play func(t *testing.T, f *Front, s *fake)) {
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		base, end := context.WithCancel(t.Context())
		s := &fake{get: nothing, set: func(context.Context) error { return nil }}
		play(t, New(base, s, nil, running.Go, nil), s)
		end()
		running.Wait()
	})
}

// read returns how long one read took.
func read(t *testing.T, f *Front) time.Duration {
	begin := time.Now()
	f.Get(t.Context(), Key{}, begin, ReadPatience)
	return time.Since(begin)
}

// A dead store costs three times the patience, and then nothing; it is tried once in a
// while with nobody waiting, and read again when that went well.
func TestBreakerOfReads(t *testing.T) {
	for about, dead := range map[string]func(context.Context) ([]byte, error){
		"silent": silence, "broken": down, "too slow": after(25 * time.Millisecond),
	} {
		t.Run(about, func(t *testing.T) {
			inFront(t, func(t *testing.T, f *Front, s *fake) {
				s.answer(dead)
				for range failuresTillOpen {
					if took := read(t, f); took > ReadPatience {
						t.Errorf("a read took %v", took)
					}
				}
				begin := time.Now()
				for range 1000 {
					if took := read(t, f); took != 0 {
						t.Fatalf("a read of the dead store took %v", took)
					}
					time.Sleep(100 * time.Millisecond)
				}
				most := int(time.Since(begin)/breakerPause) + 1
				if about == "too slow" {
					most *= probeReads // whether the host is to blame takes some reads to tell
				}
				least := int(time.Since(begin)/(breakerPause+probePatience)) - 1
				if got := s.reads() - failuresTillOpen; got > most || got < least {
					t.Errorf("got %d probes in %v, want %d to %d", got, time.Since(begin), least, most)
				}
				s.answer(nothing)
				time.Sleep(breakerPause)
				read(t, f) // finds out
				synctest.Wait()
				before := s.reads()
				read(t, f)
				if s.reads() != before+1 {
					t.Error("the store is back, but not read")
				}
				if stats := f.Stats(); stats.Misses != 1 || stats.Skipped < 1000 || stats.Errors < failuresTillOpen {
					t.Errorf("got %+v", stats)
				}
			})
		})
	}
}

// Two failures are bad luck.
func TestBreakerStaysClosed(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		for range 10 {
			s.answer(down)
			read(t, f)
			read(t, f)
			s.answer(nothing)
			read(t, f)
		}
		if s.reads() != 30 {
			t.Errorf("got %d reads, want 30", s.reads())
		}
	})
}

// A question that has ended, or is in a hurry, says nothing about the store.
func TestReadersTroubleIsNotTheStores(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		s.answer(silence)
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			f.Get(ctx, Key{}, time.Now(), ReadPatience)
			cancel()
			f.Get(t.Context(), Key{}, time.Now(), time.Millisecond)
		}
		if s.reads() != 20 {
			t.Errorf("got %d reads, want 20", s.reads())
		}
	})
}

// A store that ignores its context holds a bounded number of goroutines, and no reader.
func TestStuckReads(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		stuck := make(chan struct{})
		s.answer(func(context.Context) ([]byte, error) { <-stuck; return nil, nil })
		var readers sync.WaitGroup
		for range 3 * MaxReads {
			readers.Go(func() {
				if took := read(t, f); took > ReadPatience {
					t.Errorf("a read took %v", took)
				}
			})
		}
		readers.Wait()
		if s.reads() != MaxReads {
			t.Errorf("got %d reads under way, want %d", s.reads(), MaxReads)
		}
		close(stuck)
	})
}

// Keys of lies are not read, and after some lies in a row nothing is.
func TestLies(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		var other Key
		other[0] = 1
		f.Distrust([]Key{{}})
		read(t, f)
		if s.reads() != 0 {
			t.Error("a key of bogus data is read again")
		}
		f.Get(t.Context(), other, time.Now(), ReadPatience)
		if s.reads() != 1 {
			t.Error("another key is not read after one lie")
		}
		f.Believed()
		for range liesTillOpen {
			f.Distrust(nil)
		}
		f.Get(t.Context(), other, time.Now(), ReadPatience)
		if s.reads() != 1 {
			t.Error("a store that lies is read")
		}
		time.Sleep(liesPause)
		read(t, f)
		f.Get(t.Context(), other, time.Now(), ReadPatience)
		if s.reads() != 2 {
			t.Errorf("got %d reads, want one more, a while later", s.reads())
		}
		if stats := f.Stats(); stats.Bogus != 1+liesTillOpen {
			t.Errorf("got %+v", stats)
		}
	})
}

// Writes end by their time, and are not tried while they fail; what is too large or has
// expired is not written.
func TestWrites(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		now := time.Now()
		b := Blob{Stored: now, Expires: now.Add(time.Minute)}
		f.Put(Key{}, b, now)
		f.Put(Key{}, Blob{Stored: now, Expires: now}, now)
		f.Put(Key{}, Blob{Stored: now, Expires: now.Add(time.Minute), Payload: make([]byte, MaxPayload+1)}, now)
		synctest.Wait()
		if len(s.ttls) != 1 || s.ttls[0] != time.Minute {
			t.Errorf("got writes for %v, want one for a minute", s.ttls)
		}
		s.mu.Lock()
		s.set = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		s.mu.Unlock()
		for range 100 {
			f.Put(Key{}, b, now)
		}
		time.Sleep(2 * writePatience)
		synctest.Wait()
		stats := f.Stats()
		if stats.Writes != 1 || stats.WriteErrors < failuresTillOpen || stats.WriteErrors > Writers+failuresTillOpen || stats.Dropped != 100-stats.WriteErrors {
			t.Errorf("got %+v, want the rest of 100 dropped after some failures", stats)
		}
	})
}
