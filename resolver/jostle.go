package resolver

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

// jostleTimeout is how long a question may be under way before it gives up its place to
// another, if it has to: a cold one that goes three times around the world takes less.
// Unbound's jostle-timeout is 200 ms.
const jostleTimeout = 500 * time.Millisecond

// jostleList are those of Limits.Questions, given in the order of asking. When there is none
// left, questions that came as messages of clients make room for others of the kind: names
// below zones whose servers are slow are made up by the thousand, and would else take all
// places for as long as they please. Half of those of messages are given for good, so that
// what takes long is also answered (as by Unbound's jostle lists).
type jostleList struct {
	limit int
	full  func() error // counts a refusal, and says why

	mu              sync.Mutex
	taken           int
	forever         int           // by messages, for good
	jostled         list.List     // of *place, the oldest first
	shedding        int           // how many were told to make room, and have not yet
	waiting         list.List     // of *place, those that wait
	waitingMessages int           // how many of the line are messages
	timer           *time.Timer   // runs out when the oldest has to yield; nil: none has to
	toEnd           []*jostleSlot // who has been told, but for the call of end that is due after unlock
}

// isShed reports whether work ended because its place was needed by others, or it got none.
func isShed(cause error) bool {
	var limit *LimitError
	return errors.As(cause, &limit) && limit.limit() == limitQuestions
}

// jostleSlot is that of one question, taken or waited for.
type jostleSlot struct {
	list    *jostleList
	end     context.CancelCauseFunc // of the work on a message; nil for what never yields
	granted chan struct{}           // closed when the place is taken

	since    time.Time
	forever  bool
	shedding bool
	element  *list.Element // in places.yielding
}

// unlock gives mu back, and has those end who were told to make room: what hangs on their
// contexts is not to find the places locked.
func (l *jostleList) unlock() {
	telling := l.toEnd
	l.toEnd = nil
	l.mu.Unlock()
	for _, s := range telling {
		s.end(l.full())
	}
}

func newJostleList(limit int, full func() error) *jostleList {
	return &jostleList{limit: limit, full: full}
}

// enter waits for a place. The end of a message is called when it has to give it back, and
// when it has; what is no message has none. It fails when ctx ends first.
func (l *jostleList) enter(ctx context.Context, end context.CancelCauseFunc) (*jostleSlot, error) {
	l.mu.Lock()
	s := &jostleSlot{list: l, end: end, granted: make(chan struct{})}
	if l.taken < l.limit {
		l.grant(s)
		l.unlock()
		return s, nil
	}
	waiting := l.waiting.PushBack(s)
	if end != nil {
		l.waitingMessages++
		l.shedOldest()
	}
	l.unlock()
	select {
	case <-s.granted:
		return s, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.unlock()
	select {
	case <-s.granted: // meanwhile
		l.release(s)
	default:
		l.unqueue(waiting)
		l.shedOldest()
	}
	return nil, context.Cause(ctx)
}

// tryEnter takes a place that is free.
func (l *jostleList) tryEnter() (*jostleSlot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken >= l.limit {
		return nil, false
	}
	s := &jostleSlot{list: l, granted: make(chan struct{})}
	l.grant(s)
	return s, true
}

// leave gives the place back.
func (s *jostleSlot) leave() {
	s.list.mu.Lock()
	s.list.release(s)
	s.list.unlock()
	if s.end != nil {
		s.end(nil)
	}
}

// keep makes the place one that is never to be given up for another.
func (s *jostleSlot) keep() {
	s.list.mu.Lock()
	defer s.list.unlock()
	s.list.unlist(s)
	s.list.shedOldest()
}

// inside counts who has a place or waits for one.
func (l *jostleList) inside() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken + l.waiting.Len()
}

// grant has own take a place. p.mu must be held, as for all that follow.
func (l *jostleList) grant(s *jostleSlot) {
	l.taken++
	s.since = time.Now()
	switch {
	case s.end == nil:
	case l.forever <= l.jostled.Len()+l.shedding:
		l.forever++
		s.forever = true
	default:
		s.element = l.jostled.PushBack(s)
	}
	close(s.granted)
}

// release gives own's place to the first in the line. What was told to make room has done so
// for a message.
func (l *jostleList) release(s *jostleSlot) {
	told := s.shedding
	l.taken--
	l.unlist(s)
	next := l.waiting.Front()
	for told && l.waitingMessages > 0 && next.Value.(*jostleSlot).end == nil {
		next = next.Next()
	}
	if next != nil {
		l.grant(l.unqueue(next))
	}
	l.shedOldest()
}

// unlist makes own a place of no kind.
func (l *jostleList) unlist(s *jostleSlot) {
	switch {
	case s.forever:
		l.forever--
	case s.shedding:
		l.shedding--
	case s.element != nil:
		l.jostled.Remove(s.element)
	}
	s.forever, s.shedding, s.element = false, false, nil
}

// unqueue takes who waits out of the line.
func (l *jostleList) unqueue(waiting *list.Element) *jostleSlot {
	s := l.waiting.Remove(waiting).(*jostleSlot)
	if s.end != nil {
		l.waitingMessages--
	}
	return s
}

// shedOldest tells as many to make room as messages wait, the oldest first, and comes back when
// the next is old enough.
func (l *jostleList) shedOldest() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	for l.waitingMessages > l.shedding && l.jostled.Len() > 0 {
		oldest := l.jostled.Front().Value.(*jostleSlot)
		if left := jostleTimeout - time.Since(oldest.since); left > 0 {
			l.timer = time.AfterFunc(left, func() {
				l.mu.Lock()
				defer l.unlock()
				l.shedOldest()
			})
			return
		}
		l.jostled.Remove(oldest.element)
		oldest.element, oldest.shedding = nil, true
		l.shedding++
		l.toEnd = append(l.toEnd, oldest)
	}
}
