package secondlevel

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// crowd has so many readers at once each make some reads, and returns how long the slowest
// read took.
func crowd(t *testing.T, f *Front, readers, each int) (slowest time.Duration) {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for range readers {
		all.Go(func() {
			for range each {
				begin := time.Now()
				f.Get(t.Context(), Key{}, begin, silenceTillOpen)
				mu.Lock()
				slowest = max(slowest, time.Since(begin))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return slowest
}

// A hiccup that many reads meet at once is one failure.
func TestOverlappingFailuresAreOne(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		for range 2 * failuresTillOpen {
			s.answer(after(ReadPatience + 5*time.Millisecond))
			crowd(t, f, MaxReads, 1)
			time.Sleep(time.Second)
			s.answer(nothing)
			before := s.reads()
			read(t, f)
			if s.reads() != before+1 {
				t.Fatal("the store is left alone after one hiccup")
			}
		}
	})
}

// However many ask at once, a store that works is read for every one of them, by no more at
// a time than may be.
func TestCrowdReads(t *testing.T) {
	for _, readers := range []int{10, 60, 200, 500} {
		inFront(t, func(t *testing.T, f *Front, s *fake) {
			var mu sync.Mutex
			under, most := 0, 0
			s.answer(func(context.Context) ([]byte, error) {
				mu.Lock()
				under++
				most = max(most, under)
				mu.Unlock()
				time.Sleep(500 * time.Microsecond)
				mu.Lock()
				under--
				mu.Unlock()
				return nil, nil
			})
			const each = 40
			crowd(t, f, readers, each)
			if got := f.Stats(); got.Misses != uint64(readers*each) || got.Errors+got.Skipped != 0 {
				t.Errorf("%d at once: got %+v, want all of %d reads made", readers, got, readers*each)
			}
			if most > MaxReads {
				t.Errorf("%d at once: got %d reads under way, want %d at most", readers, most, MaxReads)
			}
		})
	}
}

// Where a busy host makes a few reads late among many that are in time, the store is not to
// blame, and goes on being read.
func TestLateAmongGood(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		var mu sync.Mutex
		n := 0
		s.answer(func(context.Context) ([]byte, error) {
			mu.Lock()
			n++
			late := n%20 == 0
			mu.Unlock()
			if late {
				time.Sleep(2 * ReadPatience)
			} else {
				time.Sleep(time.Millisecond)
			}
			return nil, nil
		})
		const readers, each = 60, 100
		crowd(t, f, readers, each)
		if got := f.Stats(); got.Misses < readers*each*94/100 || got.Skipped != 0 {
			t.Errorf("got %+v, want 95 in 100 of %d reads", got, readers*each)
		}
	})
}

// A store that works slowly makes no more readers wait than it can serve in time.
func TestSlowStoreMakesNobodyQueue(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		const slow = 15 * time.Millisecond
		s.answer(after(slow))
		read(t, f) // finds out how slow it is
		if took := crowd(t, f, 500, 5); took > silenceTillOpen+slow {
			t.Errorf("a read took %v", took)
		}
		if got := f.Stats(); got.Misses < MaxReads || got.Skipped == 0 {
			t.Errorf("got %+v, want some reads made, and none that would have to wait for long", got)
		}
	})
}

// A store that stands still for longer than anybody waits is left alone, costs a crowd no
// more than it costs one, and is used again as soon as it goes on.
func TestStoreThatStandsStill(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		s.answer(after(time.Millisecond))
		crowd(t, f, 200, 10)
		const still = 200 * time.Millisecond
		begin := time.Now()
		s.answer(func(context.Context) ([]byte, error) {
			time.Sleep(time.Until(begin.Add(still)))
			return nil, nil
		})
		if took := crowd(t, f, 200, 3); took > silenceTillOpen {
			t.Errorf("a read took %v", took)
		}
		if !f.reading.open() {
			t.Fatal("the store is still read")
		}
		time.Sleep(time.Until(begin.Add(still + 10*probeGap)))
		synctest.Wait()
		before := s.reads()
		read(t, f)
		if s.reads() != before+1 {
			t.Error("the store goes on, but is not read")
		}
	})
}

// What a host under load makes late is tried again: a store is as good as its best read.
func TestProbeIsAsGoodAsItsBest(t *testing.T) {
	inFront(t, func(t *testing.T, f *Front, s *fake) {
		s.answer(silence)
		for range failuresTillOpen {
			read(t, f)
		}
		synctest.Wait()
		s.answer(after(2 * ReadPatience))
		time.Sleep(probePatience) // the probe at once has come to nothing
		time.Sleep(breakerPause)
		read(t, f)
		time.Sleep(3 * ReadPatience)
		s.answer(nothing)
		time.Sleep(breakerPause / 2)
		if f.reading.open() {
			t.Error("the store is left alone though a probe was in time")
		}
	})
}

// The changed function is called once for each change, with the reason.
func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running sync.WaitGroup
		base, end := context.WithCancel(t.Context())
		var told []error
		var mu sync.Mutex
		s := &fake{get: down, set: func(context.Context) error { return nil }}
		f := New(base, s, nil, running.Go, func(use Use, why error) {
			mu.Lock()
			defer mu.Unlock()
			if use != Reads {
				t.Errorf("got a change of %d", use)
			}
			told = append(told, why)
		})
		for range 20 {
			read(t, f)
		}
		s.answer(nothing)
		time.Sleep(2 * breakerPause)
		read(t, f)
		synctest.Wait()
		if mu.Lock(); len(told) != 2 || told[0] != errDown || told[1] != nil {
			t.Errorf("got %v, want %v and that it works", told, errDown)
		}
		mu.Unlock()
		end()
		running.Wait()
	})
}

// The pace is the least of lately, and follows a store that becomes slow.
func TestPace(t *testing.T) {
	var p pace
	if got := p.least(); got != 0 {
		t.Errorf("got %v of nothing", got)
	}
	for _, step := range []struct {
		at, took, want time.Duration
	}{
		{0, 5, 5}, {10, 3, 3}, {20, 9, 3},
		{paceWindow, 9, 3},       // the window before still counts
		{2*paceWindow + 1, 9, 9}, // and then does not
		{2*paceWindow + 2, 4, 4},
	} {
		p.note(step.took, start.Add(step.at))
		if got := p.least(); got != step.want {
			t.Errorf("at %v: got %v, want %v", step.at, got, step.want)
		}
	}
}
