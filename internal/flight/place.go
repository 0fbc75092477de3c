package flight

import (
	"sync"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
)

// Place is where a caller waits that another goroutine can make leave.
type Place struct {
	mu    sync.Mutex
	cause error         // why it has left; nil: it has not
	led   *Flight       // that runs in the caller's goroutine; nil: none
	left  chan struct{} // closed when the caller is to leave; nil: it does not wait for another goroutine
}

// Leave has the caller not count as waiting any more, for cause. If it waits for the work of
// others, or if nobody else waits for its own, its Do returns cause at once. Otherwise
// its goroutine works on for those who do, and Leave returns true. Only the first call counts.
func (p *Place) Leave(cause error) (worksOn bool) {
	p.mu.Lock()
	if p.cause != nil {
		p.mu.Unlock()
		return false
	}
	p.cause = cause
	led, left := p.led, p.left
	p.mu.Unlock()
	if left != nil {
		close(left)
	}
	return led != nil && led.depart(failure.Of(cause).Reaches(limits.Questions))
}

// enter notes what the caller waits for, unless it has left.
func (p *Place) enter(fl *Flight, joined bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.cause != nil:
		return p.cause
	case joined:
		p.left = make(chan struct{})
	default:
		p.led = fl
	}
	return nil
}

// exit undoes enter, and returns why the caller has left; nil: it has not. A nil Place has
// nobody that could leave.
func (p *Place) exit() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.led, p.left = nil, nil
	return p.cause
}

// leaving returns the channel that is closed when the caller is to leave.
func (p *Place) leaving() <-chan struct{} {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
}
