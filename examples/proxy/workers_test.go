package main

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newTestWorkers makes workers for queries that are refused unread: no resolver is asked.
func newTestWorkers() *workers {
	return &workers{handler: newHandler(&config{}, nil, newMetrics(nil), slog.New(slog.DiscardHandler))}
}

// heldWay is a way back on which answers wait until it is opened.
type heldWay chan struct{}

func (w heldWay) send(*query, []byte) error {
	<-w
	return nil
}

// unread is a query that says there is a question, but has no byte of it.
var unread = [headerSize]byte{5: 1}

// beginUnread has a worker answer a query that cannot be read, with TC: it may ask for ANY.
func beginUnread(s *workers, w way, ended func()) *worker {
	one := s.hire()
	one.query = query{handler: s.handler, tally: &tally{}, way: w, client: netip.MustParseAddrPort("127.0.0.1:1024")}
	one.wire = append(one.short[:0], unread[:]...)
	one.leave, one.ended = func() {}, ended
	one.begin()
	return one
}

// holdWorkers has n queries under way at once, and returns their workers, in the order in which they
// began, and what answers the queries one after another in the same order.
func holdWorkers(s *workers, n int) (all []*worker, answer func()) {
	ways := make([]heldWay, n)
	for i := range ways {
		ways[i] = make(heldWay)
		all = append(all, beginUnread(s, ways[i], func() {}))
	}
	return all, func() {
		for _, w := range ways {
			close(w)
			synctest.Wait()
		}
	}
}

// Who became idle last is used first, and no more workers are made than there are queries at once.
func TestWorkersLastIdleFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestWorkers()
		defer s.stop()
		all, answer := holdWorkers(s, 5)
		answer()
		again, answer := holdWorkers(s, 6)
		defer answer()
		for i, w := range again[:5] {
			if want := all[4-i]; w != want {
				t.Errorf("query %d: got worker %p, want %p", i, w, want)
			}
		}
		for _, w := range all {
			if w == again[5] {
				t.Error("a worker has two queries at once")
			}
		}
	})
}

// There are no more workers than queries under way, whatever else happens at the same time.
func TestWorkersAreBounded(t *testing.T) {
	const most, each = 8, 500
	s := newTestWorkers()
	open := make(heldWay)
	close(open)
	places := make(chan struct{}, most)
	var mu sync.Mutex
	seen := make(map[*worker]bool)
	var clients sync.WaitGroup
	for range 2 * most {
		clients.Go(func() {
			for range each {
				places <- struct{}{}
				w := beginUnread(s, open, func() { <-places })
				mu.Lock()
				seen[w] = true
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	s.stop()
	if len(seen) > most || len(s.idle) > 0 {
		t.Errorf("got %d workers, %d of them idle after the end, want %d at most", len(seen), len(s.idle), most)
	}
}

// After a rush no more workers wait than the ups and downs of a busy second take.
func TestWorkersAfterRush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestWorkers()
		defer s.stop()
		_, answer := holdWorkers(s, maxIdle+100)
		answer()
		if got := len(s.idle); got != maxIdle {
			t.Errorf("got %d idle workers, want %d", got, maxIdle)
		}
	})
}

// Workers that are not needed end, those that are stay; an idle one keeps nothing of a client.
func TestWorkersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestWorkers()
		defer s.stop()
		idle := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.idle) != want {
				t.Errorf("%s: got %d idle workers, want %d", when, len(s.idle), want)
			}
			for _, w := range s.idle {
				if w.handler != nil || w.remote.IsValid() || w.way != nil || w.leave != nil || w.ended != nil {
					t.Errorf("%s: an idle worker keeps %+v", when, w.query)
				}
			}
		}
		all, answer := holdWorkers(s, 20)
		answer()
		idle("after the queries", 20)
		time.Sleep(time.Second / 2) // so that nothing happens at the moment of a sweep
		for range 2 * int(idleWorker/time.Second) {
			_, answer := holdWorkers(s, 2)
			answer()
			time.Sleep(time.Second)
		}
		idle("with two in use", 2)
		if s.idle[0] != all[18] && s.idle[0] != all[19] {
			t.Errorf("those in use were ended")
		}
		time.Sleep(idleWorker - time.Second)
		idle("after a little silence", 2)
		time.Sleep(idleWorker + time.Second)
		idle("after silence", 0)
		if s.sweep != nil {
			t.Error("there is a timer and nothing to end")
		}
		_, answer = holdWorkers(s, 3)
		answer()
		idle("after other queries", 3)
		time.Sleep(2*idleWorker + time.Second)
		idle("after silence again", 0)
	})
}

// No worker outlives the end, and none ends before its answer is sent.
func TestWorkersStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it fails if a goroutine is left
		s := newTestWorkers()
		all, answer := holdWorkers(s, 3)
		answer()
		held := make(heldWay)
		beginUnread(s, held, func() {})
		stopped, stop := context.WithCancel(t.Context())
		go func() {
			defer stop()
			s.stop()
		}()
		synctest.Wait()
		if stopped.Err() != nil {
			t.Error("it has not waited for an answer")
		}
		for _, w := range all[:2] {
			if _, more := <-w.next; more {
				t.Error("an idle worker is not told to end")
			}
		}
		close(held)
		<-stopped.Done()
		time.Sleep(2 * idleWorker)
	})
}

// What a worker has done before says nothing of its next query.
func TestWorkersKeepQueriesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestWorkers()
		defer s.stop()
		first := make(heldWay)
		var ended atomic.Int64
		beginUnread(s, first, func() { ended.Add(1) })
		second := make(heldWay)
		beginUnread(s, second, func() { ended.Add(10) })
		close(first)
		synctest.Wait()
		third := make(heldWay)
		w := beginUnread(s, third, func() { ended.Add(100) })
		synctest.Wait()
		if got := ended.Load(); got != 1 || w.way != way(third) {
			t.Errorf("got %d, want the first query alone to have ended", got)
		}
		close(third)
		close(second)
		synctest.Wait()
		if got := ended.Load(); got != 111 {
			t.Errorf("got %d, want each to have ended once", got)
		}
	})
}
