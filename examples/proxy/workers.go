package main

import (
	"sync"
	"time"
)

const (
	// maxIdle is how many workers of a listener wait for queries: as many as a busy second's ups and
	// downs take. Each holds a stack of some 16 KiB.
	maxIdle = 512
	// idleWorker is how long a worker waits for a query at least, and half of what it waits at most.
	idleWorker = 10 * time.Second
)

// workers answer queries, each one after another in a goroutine of its own. The goroutine's stack
// grows with its first query: a new one for each query would spend up to a sixth of its time on that. So
// the worker that became idle last is used first, and those that are not needed end. There are as
// many as queries are under way, which others bound.
type workers struct {
	handler *handler
	running sync.WaitGroup

	mu      sync.Mutex
	idle    []*worker   // guarded by mu, as all below; the first has been idle for longest
	unused  int         // as many of idle, from the first on, have not been used since the last sweep
	sweep   *time.Timer // nil while none is idle
	stopped bool
}

// worker is a goroutine with the query that it answers.
type worker struct {
	query
	leave func()           // releases the room for the query
	ended func()           // is called when the query has been answered
	short [smallQuery]byte // room for its bytes

	workers *workers
	next    chan struct{} // says that there is another query; closed: that there is none. nil: it is new
}

// hire returns a worker, for a query that is set before it begins.
func (s *workers) hire() *worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return &worker{workers: s}
	}
	w := s.idle[last]
	s.idle[last], s.idle = nil, s.idle[:last]
	s.unused = min(s.unused, last)
	return w
}

// begin has the worker answer its query.
func (w *worker) begin() {
	if w.next != nil {
		w.next <- struct{}{}
		return
	}
	w.next = make(chan struct{}, 1) // who begins never waits
	w.workers.running.Go(w.work)
}

func (w *worker) work() {
	for more := true; more; {
		w.workers.handler.answer(&w.query)
		leave, ended := w.leave, w.ended
		w.query, w.leave, w.ended = query{}, nil, nil // an idle worker keeps nothing of a client
		idle := w.workers.release(w)
		leave()
		ended() // only now, or there could be more workers than queries may be under way
		if !idle {
			return
		}
		_, more = <-w.next
	}
}

// release makes a worker idle, unless it is to end.
func (s *workers) release(w *worker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || len(s.idle) >= maxIdle {
		return false
	}
	s.idle = append(s.idle, w)
	if s.sweep == nil {
		s.sweep = time.AfterFunc(idleWorker, s.endUnused)
	}
	return true
}

// endUnused ends the workers that were idle all the time since it was last called.
func (s *workers) endUnused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.end(s.unused)
	if s.unused = len(s.idle); s.unused == 0 {
		s.sweep = nil
		return
	}
	s.sweep.Reset(idleWorker)
}

// end ends the first n of the idle workers. s.mu is held.
func (s *workers) end(n int) {
	for _, w := range s.idle[:n] {
		close(w.next)
	}
	left := copy(s.idle, s.idle[n:])
	clear(s.idle[left:])
	s.idle = s.idle[:left]
}

// stop ends all workers, and waits until they have. No more are hired.
func (s *workers) stop() {
	s.mu.Lock()
	s.stopped = true
	s.end(len(s.idle))
	if s.sweep != nil {
		s.sweep.Stop()
	}
	s.mu.Unlock()
	s.running.Wait()
}
