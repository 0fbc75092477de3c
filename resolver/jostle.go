package resolver

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// yieldAfter is how long a question may be under way before it gives up its place to
// another, if it has to: a cold one that goes three times around the world takes less.
// Unbound's jostle-timeout is 200 ms.
const yieldAfter = 500 * time.Millisecond

// places are those of Limits.Questions, given in the order of asking. When there is none
// left, questions that came as messages of clients make room for others of the kind: names
// below zones whose servers are slow are made up by the thousand, and would else take all
// places for as long as they please. Half of those of messages are given for good, so that
// what takes long is also answered (as by Unbound's jostle lists).
type places struct {
	limit int
	full  func() error // counts a refusal, and says why

	mu       sync.Mutex
	taken    int
	kept     int         // by messages, for good
	yielding list.List   // of *place, the oldest first
	told     int         // how many were told to make room, and have not yet
	line     list.List   // of *place, those that wait
	pressing int         // how many of the line are messages
	timer    *time.Timer // runs out when the oldest has to yield; nil: none has to
	telling  []*place    // who has been told, but for the call of end that is due after unlock
}

// isNoRoom reports whether work ended because its place was needed by others, or it got none.
func isNoRoom(cause error) bool {
	var limit *LimitError
	return errors.As(cause, &limit) && limit.Limit == limitQuestions
}

// place is that of one question, taken or waited for.
type place struct {
	of    *places
	end   context.CancelCauseFunc // of the work on a message; nil for what never yields
	given chan struct{}           // closed when the place is taken

	since time.Time
	kept  bool
	told  bool
	at    *list.Element // in places.yielding
}

// unlock gives mu back, and has those end who were told to make room: what hangs on their
// contexts is not to find the places locked.
func (p *places) unlock() {
	telling := p.telling
	p.telling = nil
	p.mu.Unlock()
	for _, own := range telling {
		own.end(p.full())
	}
}

func newPlaces(limit int, full func() error) *places { return &places{limit: limit, full: full} }

// enter waits for a place. The end of a message is called when it has to give it back, and
// when it has; what is no message has none. It fails when ctx ends first.
func (p *places) enter(ctx context.Context, end context.CancelCauseFunc) (*place, error) {
	p.mu.Lock()
	own := &place{of: p, end: end, given: make(chan struct{})}
	if p.taken < p.limit {
		p.give(own)
		p.unlock()
		return own, nil
	}
	waiting := p.line.PushBack(own)
	if end != nil {
		p.pressing++
		p.press()
	}
	p.unlock()
	select {
	case <-own.given:
		return own, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.unlock()
	select {
	case <-own.given: // meanwhile
		p.free(own)
	default:
		p.unqueue(waiting)
		p.press()
	}
	return nil, context.Cause(ctx)
}

// tryEnter takes a place that is free.
func (p *places) tryEnter() (*place, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken >= p.limit {
		return nil, false
	}
	own := &place{of: p, given: make(chan struct{})}
	p.give(own)
	return own, true
}

// leave gives the place back.
func (own *place) leave() {
	own.of.mu.Lock()
	own.of.free(own)
	own.of.unlock()
	if own.end != nil {
		own.end(nil)
	}
}

// keep makes the place one that is never to be given up for another.
func (own *place) keep() {
	own.of.mu.Lock()
	defer own.of.unlock()
	own.of.settle(own)
	own.of.press()
}

// inside counts who has a place or waits for one.
func (p *places) inside() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken + p.line.Len()
}

// give has own take a place. p.mu must be held, as for all that follow.
func (p *places) give(own *place) {
	p.taken++
	own.since = time.Now()
	switch {
	case own.end == nil:
	case p.kept <= p.yielding.Len()+p.told:
		p.kept++
		own.kept = true
	default:
		own.at = p.yielding.PushBack(own)
	}
	close(own.given)
}

// free gives own's place to the first in the line. What was told to make room has done so
// for a message.
func (p *places) free(own *place) {
	told := own.told
	p.taken--
	p.settle(own)
	next := p.line.Front()
	for told && p.pressing > 0 && next.Value.(*place).end == nil {
		next = next.Next()
	}
	if next != nil {
		p.give(p.unqueue(next))
	}
	p.press()
}

// settle makes own a place of no kind.
func (p *places) settle(own *place) {
	switch {
	case own.kept:
		p.kept--
	case own.told:
		p.told--
	case own.at != nil:
		p.yielding.Remove(own.at)
	}
	own.kept, own.told, own.at = false, false, nil
}

// unqueue takes who waits out of the line.
func (p *places) unqueue(waiting *list.Element) *place {
	own := p.line.Remove(waiting).(*place)
	if own.end != nil {
		p.pressing--
	}
	return own
}

// press tells as many to make room as messages wait, the oldest first, and comes back when
// the next is old enough.
func (p *places) press() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	for p.pressing > p.told && p.yielding.Len() > 0 {
		oldest := p.yielding.Front().Value.(*place)
		if left := yieldAfter - time.Since(oldest.since); left > 0 {
			p.timer = time.AfterFunc(left, func() {
				p.mu.Lock()
				defer p.unlock()
				p.press()
			})
			return
		}
		p.yielding.Remove(oldest.at)
		oldest.at, oldest.told = nil, true
		p.told++
		p.telling = append(p.telling, oldest)
	}
}
