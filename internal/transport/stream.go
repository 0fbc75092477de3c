package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/internal/rescue"
)

const (
	// maxPipelined is how many queries wait on one connection before another is
	// opened. RFC 7766 §6.2.1.1 sets no number; servers commonly work on about
	// 100 of one connection at a time.
	maxPipelined = 100

	// maxQueries is how many queries one connection carries in all. An ID is used
	// once, so that a late reply never meets a later query; with 1,000 IDs spent a
	// new one is among them in one of 65 cases, and a new connection is cheaper.
	maxQueries = 1000

	// maxOwed is how many replies a server may owe that no send waits for any more. A
	// server that owes more is not reading, or its connection has failed.
	maxOwed = 32

	// maxRepeated is how many messages with an ID that has been answered already one
	// connection carries. A query has one reply; a server that sends more may go on for ever.
	maxRepeated = 4

	// writeTimeout is how long a query may take to go out. It fits into the
	// buffers of both hosts unless the server has stopped reading.
	writeTimeout = 2 * time.Second
)

// stream is one TCP connection. Its owner is the goroutine run, which opens it and
// reads; a second one writes, so that a send that ends while the server does not
// read leaves no half message behind. All fields below the line are guarded by
// pool.mu.
type stream struct {
	pool       *pool
	place      place
	server     netip.AddrPort // its address
	cancelDial context.CancelFunc
	wake       chan struct{} // there is something to write, or the idle time starts; one place
	done       chan struct{} // closed when the stream ends

	// ---
	conn      net.Conn // nil until open
	retired   bool     // takes no new query, and ends when no query waits
	over      bool     // ended
	waiters   map[uint16]*waiter
	queue     []*waiter       // in the order to be written; some may have left
	spent     map[uint16]bool // IDs used and no longer waited for; true: the reply is still owed
	owed      int             // how many of spent are true
	repeated  int             // messages with an ID of spent that was not owed
	idleSince time.Time       // when the last waiter left
}

func newStream(p *pool, to place, cancelDial context.CancelFunc) *stream {
	return &stream{
		pool:       p,
		place:      to,
		server:     to.addr,
		cancelDial: cancelDial,
		wake:       make(chan struct{}, 1),
		done:       make(chan struct{}),
		waiters:    make(map[uint16]*waiter),
		spent:      make(map[uint16]bool),
	}
}

// takes reports whether a query with this ID may go over c.
func (c *stream) takes(id uint16) bool {
	if c.retired || len(c.waiters) >= maxPipelined || c.owed >= maxOwed || len(c.waiters)+len(c.spent) >= maxQueries {
		return false
	}
	_, spent := c.spent[id]
	return !spent && c.waiters[id] == nil
}

// idle reports whether c is open and no query waits.
func (c *stream) idle() bool { return c.conn != nil && !c.over && len(c.waiters) == 0 }

// add puts w into the queue.
func (c *stream) add(w *waiter) {
	w.reused = c.conn != nil
	c.waiters[w.id] = w
	c.queue = append(c.queue, w)
	c.signal()
}

// signal wakes the writing goroutine.
func (c *stream) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run owns the connection from opening to its end.
func (c *stream) run(ctx context.Context, replaced net.Conn) {
	defer c.pool.goroutines.Done()
	if c.open(ctx, replaced) {
		c.pool.goroutines.Add(1)
		go c.write()
		c.listen()
	}
}

// open opens the connection, after it has closed the one whose place it takes. When it cannot, c
// has ended.
func (c *stream) open(ctx context.Context, replaced net.Conn) bool {
	err := rescue.ErrAborted
	defer func() {
		if err != nil {
			defer c.pool.release()
			c.end(opDial, fragment{}, err)
		}
	}()
	defer rescue.Into(&err)
	if replaced != nil {
		closeConn(replaced)
	}
	conn, failure := c.pool.dialTo(ctx, c.place)
	c.cancelDial()
	if failure == nil && !c.opened(conn) {
		closeConn(conn) // everybody left meanwhile
		failure = net.ErrClosed
	}
	err = failure
	return err == nil
}

// listen reads to the end of the connection.
func (c *stream) listen() {
	part, err := fragment{}, rescue.ErrAborted
	defer func() { c.end(opRead, part, err) }()
	defer rescue.Into(&err)
	part, err = c.read()
}

// closeConn closes a connection. A panic of its Close is contained, since a Dial function of the
// program may have made it.
func closeConn(conn net.Conn) {
	defer rescue.Quietly()
	conn.Close()
}

// opened notes the connection; false if c has ended before.
func (c *stream) opened(conn net.Conn) bool {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if !c.over {
		c.conn = conn
	}
	return !c.over
}

// write sends what is in the queue, one Write a message (RFC 7766 §8), and ends
// the connection when it has been unused for long enough.
func (c *stream) write() {
	defer c.pool.goroutines.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w, pause := c.next()
		if w != nil {
			if !c.put(w) {
				return
			}
			continue
		}
		timer.Reset(pause)
		select {
		case <-c.wake:
		case <-timer.C:
			c.endIfUnused()
		case <-c.done:
			return
		}
	}
}

// put writes one query. If that fails, all queries that are not sent have failed.
func (c *stream) put(w *waiter) bool {
	err := rescue.ErrAborted
	defer func() {
		if err != nil {
			c.giveUpWriting(w, err)
		}
	}()
	defer rescue.Into(&err)
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // a failure shows in Write
	if _, err = c.conn.Write(w.frame); err == nil {
		close(w.sent)
	}
	return err == nil
}

// next takes the next query from the queue. If there is none, it returns after what
// time to check whether the connection is still used.
func (c *stream) next() (w *waiter, pause time.Duration) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	for len(c.queue) > 0 {
		w, c.queue = c.queue[0], c.queue[1:]
		if c.waiters[w.id] == w { // has not left
			w.written = true
			return w, 0
		}
	}
	c.queue = nil
	if c.idle() {
		return nil, c.pool.idleTimeout - time.Since(c.idleSince)
	}
	return nil, c.pool.idleTimeout
}

// endIfUnused ends c at the end of its idle time. Bytes that came while no query
// waited do not prolong it.
func (c *stream) endIfUnused() {
	c.pool.mu.Lock()
	unused := c.idle() && time.Since(c.idleSince) >= c.pool.idleTimeout
	if unused {
		c.detach()
	}
	c.pool.mu.Unlock()
	if unused {
		c.shut()
	}
}

// giveUpWriting fails the queries that were not sent, w among them. Those sent
// before may still be answered: the server may have closed only its reading side.
func (c *stream) giveUpWriting(w *waiter, err error) {
	c.pool.mu.Lock()
	c.retired = true
	for _, unsent := range append([]*waiter{w}, c.queue...) {
		c.fail(unsent, opWrite, fragment{}, err)
	}
	c.queue = nil
	unused := !c.over && len(c.waiters) == 0
	if unused {
		c.detach()
	}
	c.pool.wakeAll()
	c.pool.mu.Unlock()
	if unused {
		c.shut()
	}
}

// leave is called when w stops waiting, for any reason.
func (c *stream) leave(w *waiter, how leaving) {
	close(w.left)
	c.pool.mu.Lock()
	if c.waiters[w.id] != w { // it was failed, as all are when c ends
		c.pool.mu.Unlock()
		return
	}
	delete(c.waiters, w.id)
	c.note(w, how)
	c.idleSince = time.Now()
	unused := len(c.waiters) == 0 && (c.retired || c.conn == nil)
	if unused {
		c.detach()
	}
	c.signal()
	c.pool.wakeAll()
	c.pool.mu.Unlock()
	if unused {
		c.shut()
	}
}

// note updates the state of c by how w left.
func (c *stream) note(w *waiter, how leaving) {
	if w.written {
		c.spent[w.id] = how == cancelled || how == expired
	}
	if c.spent[w.id] {
		c.owed++
	}
	switch how {
	case answered, cancelled:
	case expired:
		// So that no later query waits for a server that drips bytes, or on a path
		// that has failed silently.
		c.retired = c.retired || c.conn != nil
	case abandoned:
		c.retired = true
	}
}

// fail ends the wait of w, if it still waits.
func (c *stream) fail(w *waiter, op string, part fragment, err error) {
	if c.waiters[w.id] != w {
		return
	}
	delete(c.waiters, w.id)
	partial := part.mayBe(w.id)
	if c.pool.closed {
		op, err = opClose, net.ErrClosed // whatever shows it first
	}
	w.err = &Error{
		Op: op, Network: "tcp", Server: c.server, Reused: w.reused, Partial: partial, Err: err,
		stale: w.reused && !partial && !c.pool.closed && !isTimeout(err) && !errors.Is(err, rescue.ErrAborted),
	}
	close(w.failed)
}

// end ends c and fails all waiters. Only the first call counts.
func (c *stream) end(op string, part fragment, err error) {
	c.pool.mu.Lock()
	if c.over {
		c.pool.mu.Unlock()
		return
	}
	c.detach()
	for _, w := range c.waiters {
		c.fail(w, op, part, err)
	}
	c.pool.mu.Unlock()
	c.shut()
}

// detach takes c out of use, under the lock; shut follows without it.
func (c *stream) detach() {
	c.over = true
	c.pool.remove(c)
	c.pool.wakeAll()
	close(c.done)
}

// shut closes the connection that detach took out of use. While c is being opened, run
// does the rest.
func (c *stream) shut() {
	c.cancelDial()
	if c.conn != nil {
		defer c.pool.release()
		closeConn(c.conn)
	}
}
