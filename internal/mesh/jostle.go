package mesh

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/limits"
)

// jostleTimeout is how long a question may be under way before it can be shed for another
// one: a question that finds nothing in the cache and goes three times around the world
// takes less. Unbound's jostle-timeout is 200 ms.
const jostleTimeout = 500 * time.Millisecond

// jostleList hands out the slots of Limits.Questions in the order in which they are asked
// for. When none is left, questions that came as messages of clients are shed for others
// that did: names below zones with slow servers are made up by the thousand, and would else
// hold all slots for as long as they like. Half of the slots of messages are never taken
// away, so that slow questions are answered too (Unbound's run-to-completion and jostle
// lists).
type jostleList struct {
	limit int
	full  func() error // counts a refusal, and returns the error

	mu              sync.Mutex
	taken           int
	forever         int           // slots of messages that are never shed
	jostled         list.List     // of *jostleSlot: slots of messages that may be shed, the oldest first
	shedding        int           // how many are being shed, and have not left yet
	waiting         list.List     // of *jostleSlot: the questions that wait
	waitingMessages int           // how many of these are messages
	timer           *time.Timer   // fires when the oldest can be shed; nil: none has to be
	toShed          []*jostleSlot // slots whose questions are to be shed after unlock
}

// jostleSlot is the slot of one question, held or waited for.
type jostleSlot struct {
	list   *jostleList
	holder sheddable // a message's question; nil for questions that are never shed

	granted  chan struct{} // closed when the slot is held; nil: it is held, or does not wait
	since    time.Time
	forever  bool
	shedding bool
	element  *list.Element // in list.jostled
}

// sheddable is a question that can be shed: it leaves its slot soon after, for cause.
type sheddable interface{ shed(cause error) }

// unlock releases mu, and sheds the questions whose turn it is: functions that run when they
// end must not find mu locked.
func (l *jostleList) unlock() {
	toShed := l.toShed
	l.toShed = nil
	l.mu.Unlock()
	for _, s := range toShed {
		s.holder.shed(l.full())
	}
}

func newJostleList(limit int, full func() error) *jostleList {
	return &jostleList{limit: limit, full: full}
}

// tryEnter takes a slot if one is free. holder is nil for a question that is never shed.
func (l *jostleList) tryEnter(s *jostleSlot, holder sheddable) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken >= l.limit {
		return false
	}
	s.list, s.holder = l, holder
	l.grant(s)
	return true
}

// enter takes a slot, for which it waits until ctx ends.
func (l *jostleList) enter(ctx context.Context, s *jostleSlot, holder sheddable) error {
	l.mu.Lock()
	s.list, s.holder = l, holder
	if l.taken < l.limit {
		l.grant(s)
		l.unlock()
		return nil
	}
	s.granted = make(chan struct{})
	waiting := l.waiting.PushBack(s)
	if holder != nil {
		l.waitingMessages++
		l.shedOldest()
	}
	l.unlock()
	select {
	case <-s.granted:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.unlock()
	select {
	case <-s.granted: // in the meantime
		l.release(s)
	default:
		l.unqueue(waiting)
		l.shedOldest()
	}
	return context.Cause(ctx)
}

// leave releases the slot.
func (s *jostleSlot) leave() {
	s.list.mu.Lock()
	defer s.list.unlock()
	s.list.release(s)
}

// keep makes the slot one that is never shed.
func (s *jostleSlot) keep() {
	s.list.mu.Lock()
	defer s.list.unlock()
	s.list.unlist(s)
	s.list.shedOldest()
}

// inside counts the questions that hold a slot or wait for one.
func (l *jostleList) inside() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.taken + l.waiting.Len()
}

// grant gives s a slot. l.mu must be held, as for all functions that follow.
func (l *jostleList) grant(s *jostleSlot) {
	l.taken++
	s.since = time.Now()
	switch {
	case s.holder == nil:
	case l.forever <= l.jostled.Len()+l.shedding:
		l.forever++
		s.forever = true
	default:
		s.element = l.jostled.PushBack(s)
	}
	if s.granted != nil {
		close(s.granted)
	}
}

// release passes the slot of s to the first question that waits. What was shed for a message
// is passed to a message.
func (l *jostleList) release(s *jostleSlot) {
	told := s.shedding
	l.taken--
	l.unlist(s)
	next := l.waiting.Front()
	for told && l.waitingMessages > 0 && next.Value.(*jostleSlot).holder == nil {
		next = next.Next()
	}
	if next != nil {
		l.grant(l.unqueue(next))
	}
	l.shedOldest()
}

// unlist takes s out of the counts and lists of its kind.
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

// unqueue takes a question off the list of those that wait.
func (l *jostleList) unqueue(waiting *list.Element) *jostleSlot {
	s := l.waiting.Remove(waiting).(*jostleSlot)
	if s.holder != nil {
		l.waitingMessages--
	}
	return s
}

// shedOldest sheds as many questions as messages wait, the oldest first, and runs again when
// the next one is old enough.
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
		l.toShed = append(l.toShed, oldest)
	}
}

// admit waits until the question may be worked on, and takes its slot. Every question leaves its
// slot by its own deadline, so that none waits longer than that.
func (r *Mesh) admit(ctx context.Context, st *iterate.QueryState, s *jostleSlot, holder sheddable) error {
	if r.questionSlots.tryEnter(s, holder) {
		return nil
	}
	impatient := error(nil)
	if st.MaxQueued > 0 {
		// A method waits in the goroutine of its caller; the number of these goroutines is
		// up to the network, and has to be bounded here.
		defer r.queuedMessages.Add(-1)
		if r.queuedMessages.Add(1) > int64(r.Settings.Limits.Questions) {
			return r.questionSlots.full()
		}
		impatient = limits.Questions.Reached(r.Settings.Limits.Questions)
		within, cancel := context.WithTimeoutCause(ctx, st.MaxQueued, impatient)
		defer cancel()
		ctx = within
	}
	err := r.questionSlots.enter(ctx, s, holder)
	if err != nil && (impatient == nil || err == impatient) {
		r.Counts.LimitsReached.Count(limits.Questions) // otherwise its caller is gone
	}
	return err
}
