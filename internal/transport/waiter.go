package transport

import (
	"context"
	"encoding/binary"
	"errors"
)

// waiter is one query on a connection.
type waiter struct {
	id     uint16
	frame  []byte        // the two-byte length and the query, to be sent in one Write
	inbox  chan delivery // unbuffered: a server that floods waits for the check
	sent   chan struct{} // closed when the query has been written
	left   chan struct{} // closed when Send stops waiting
	failed chan struct{} // closed when the connection cannot bring a reply; err says why

	reused  bool // the connection was open before
	written bool // taken for sending; guarded by pool.mu
	err     error
}

// delivery is a message for one waiter.
type delivery struct {
	message []byte
	stray   bool // its ID is not that of the waiter, but one never used on the connection
}

// leaving is how a waiter stops waiting.
type leaving int

const (
	answered  leaving = iota
	cancelled         // the caller does not want the reply any more
	expired           // the reply did not come in time
	abandoned         // the check returned Abandon
)

func newWaiter(query []byte) *waiter {
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(query)), uint16(len(query)))
	return &waiter{
		id:     binary.BigEndian.Uint16(query),
		frame:  append(frame, query...),
		inbox:  make(chan delivery),
		sent:   make(chan struct{}),
		left:   make(chan struct{}),
		failed: make(chan struct{}),
	}
}

// isSent reports whether the query has been written.
func (w *waiter) isSent() bool {
	select {
	case <-w.sent:
		return true
	default:
		return false
	}
}

// await waits for the reply to w. The check runs here and not where messages are
// read, so that it never runs after Send has returned.
func (c *stream) await(ctx context.Context, w *waiter, watch Watch) ([]byte, error) {
	how := cancelled // also if the check panics
	defer func() { c.leave(w, how) }()
	sent := w.sent // nil: Watch.Sent has been called
	tell := func() {
		if sent != nil {
			sent = nil
			watch.sent()
		}
	}
	fail := func(err error) error {
		return &Error{Op: c.phase(w), Network: "tcp", Server: c.server, Reused: w.reused, Err: err}
	}
	for {
		select {
		case <-sent:
			tell()
		case d := <-w.inbox:
			tell() // it was sent, since the server answers it
			switch d.verdict(watch) {
			case Ignore:
			case Accept:
				how = answered
				return d.message, nil
			case Abandon:
				how = abandoned
				return d.message, fail(ErrAbandoned)
			}
		case <-w.failed:
			if w.isSent() || c.tookBeforeItEnded(w) {
				tell()
			}
			return nil, w.err
		case <-ctx.Done():
			if w.isSent() {
				tell()
			}
			if ctx.Err() == context.DeadlineExceeded {
				how = expired
			}
			return nil, fail(ctx.Err())
		}
	}
}

// phase returns what w waits for: that the connection is opened, that its query is
// sent, or the reply.
func (c *stream) phase(w *waiter) string {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	switch {
	case c.conn == nil:
		return opDial
	case !w.written:
		return opWrite
	}
	return opRead
}

// tookBeforeItEnded reports whether the query of w, which has failed, was being written when the
// connection ended: a server may read the query and close before Write has returned.
func (c *stream) tookBeforeItEnded(w *waiter) bool {
	var failure *Error
	return errors.As(w.err, &failure) && failure.Op == opRead && c.phase(w) == opRead
}

// verdict calls the check. A stray message is never the reply, since its ID is wrong.
// It is offered all the same, to all waiters: only their callers can see that all but
// the ID fits a query, which over TCP means that the server, or somebody on the path,
// cannot be trusted with this question.
func (d delivery) verdict(watch Watch) Verdict {
	v := verdictOf(watch.Check, d.message)
	if d.stray && v == Accept {
		return Ignore
	}
	return v
}

// deliver hands message to the waiter for its ID, or else offers it to all waiters.
func (c *stream) deliver(message []byte) error {
	id := binary.BigEndian.Uint16(message)
	c.pool.mu.Lock()
	to, stray, err := c.recipients(id)
	c.pool.mu.Unlock()
	for _, w := range to {
		select {
		case w.inbox <- delivery{message, stray}:
		case <-w.left:
		case <-w.failed:
		case <-c.done:
		}
	}
	return err
}

// recipients decides which waiters see a message with this ID. The lock must be held.
//
// A reply that was still owed to a waiter that has left is expected and dropped: if
// the question has been asked again meanwhile, with another ID, offering it would
// look like a forgery. The same holds for a second reply with an ID already
// answered, a few times. An error means that no message was expected at all.
func (c *stream) recipients(id uint16) (to []*waiter, stray bool, err error) {
	if w := c.waiters[id]; w != nil && w.written {
		return []*waiter{w}, false, nil
	}
	owed, spent := c.spent[id]
	if owed {
		c.spent[id] = false
		c.owed--
		c.pool.wakeAll()
		return nil, false, nil
	}
	for _, w := range c.waiters {
		if w.written {
			to = append(to, w)
		}
	}
	if len(to) == 0 {
		return nil, false, errUnsolicited
	}
	if spent {
		if c.repeated++; c.repeated > maxRepeated {
			err = errUnsolicited
		}
		return nil, false, err
	}
	return to, true, nil
}
