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
	stray   bool // its ID is not that of the waiter, but one never used here
}

// leaving is how a waiter stops waiting.
type leaving int

const (
	answered  leaving = iota
	cancelled         // the caller does not want the reply any more
	expired           // the reply did not come in time
	abandoned         // the check said that the server's messages are not to be trusted
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
	sent := w.sent // nil: told
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
			tell() // who answers it has got it
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

// tookBeforeItEnded reports whether the query of w, which has failed, was under way when the
// connection turned out to be at its end: a server that reads it and closes at once may be
// noticed before Write has returned.
func (c *stream) tookBeforeItEnded(w *waiter) bool {
	var failure *Error
	return errors.As(w.err, &failure) && failure.Op == opRead && c.phase(w) == opRead
}

// verdict asks the check. A stray message is never the reply: its ID says so,
// whatever else is right. It is offered all the same, to everyone who waits, since
// only the caller can see that all but the ID fits its query, and then wants to
// know: over TCP that is a server, or somebody on the path, that cannot be trusted
// with this question.
func (d delivery) verdict(watch Watch) Verdict {
	v := watch.verdict(d.message)
	if d.stray && v == Accept {
		return Ignore
	}
	return v
}
