package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds for one connection over TCP or TLS.
const (
	// streamIdle is how long a connection may be quiet (RFC 7766 §6.2.3; RFC 9210 §4.3
	// leaves the number to the operator, most take 10 to 30 s).
	streamIdle = 30 * time.Second
	// streamRest is how long a client may take to send the rest of a long query, for which
	// there is room held.
	streamRest = 10 * time.Second
	// streamWrite is how long a client may take to take an answer.
	streamWrite = 10 * time.Second
	// streamQueries is how many queries one connection carries: one that never ended
	// would keep its place from others.
	streamQueries = 10_000
	// streamPipeline is how many of them may wait for their answers; more wait in the
	// client's kernel.
	streamPipeline = 100
)

// streamListener answers over TCP or TLS. The queries of one connection are worked on
// side by side and answered as they come (RFC 7766 §6.2.1.1), which dns.Server does one
// after another.
type streamListener struct {
	net.Listener
	transport transport
	handler   *handler
	tally     *tally
	open      connections
	workers   workers
}

func newStreamListener(l net.Listener, t transport, h *handler) *streamListener {
	return &streamListener{
		Listener: l, transport: t, handler: h, tally: h.metrics.newTally(t),
		open: connections{open: make(map[net.Conn]struct{})}, workers: workers{handler: h},
	}
}

func (l *streamListener) String() string { return l.transport.String() + " " + l.Addr().String() }

func (l *streamListener) serve() error {
	err := l.open.accept(l.Listener, l.serveConn)
	l.open.running.Wait()
	l.workers.stop()
	return err
}

// stop accepts nothing more, and reads what is on its way only.
func (l *streamListener) stop() {
	_ = l.Close() // close reports it
	l.open.stop(stopGrace)
}

func (l *streamListener) close() error { return ignoreClosed(l.Close()) }

// serveConn answers the queries of one connection.
func (l *streamListener) serveConn(conn net.Conn) {
	c := &streamConn{
		Conn: conn, listener: l, client: addrPort(conn.RemoteAddr()), activity: activityOf(conn),
		places: make(chan struct{}, streamPipeline), in: bufio.NewReaderSize(conn, lengthSize+smallQuery),
	}
	c.ended = c.endQuery
	defer c.running.Wait() // also when the client has sent all it wanted: its answers are sent
	for range streamQueries {
		if !c.next() {
			return
		}
	}
}

// streamConn is one connection over TCP or TLS.
type streamConn struct {
	net.Conn
	listener *streamListener
	client   netip.AddrPort
	activity *activity
	running  sync.WaitGroup
	places   chan struct{} // as many as queries are worked on
	ended    func()        // endQuery
	writing  sync.Mutex
	in       *bufio.Reader // what was received; it has room for one small query
	asked    query         // what was read last
	frame    []byte        // room for an answer out of the cache, with its length
}

// next reads one query and sees to its answer; false: there are no more. Header, question and
// sender are judged before there is room made for the rest.
func (c *streamConn) next() bool {
	head, rest, ok := c.readHead()
	if !ok {
		return false
	}
	l := c.listener
	c.asked = c.query(head)
	q := &c.asked
	v := l.handler.judge(q.begun, c.client.Addr(), head)
	l.tally.received(v)
	if v == ignored {
		return l.handler.clients.mayAsk(c.client.Addr()) && c.skip(rest)
	}
	if r := turnAway(v, l.transport, head); r != nil {
		q.refuse(r)
		return v != refused && c.skip(rest)
	}
	if rest > 0 {
		return c.answerLong(q, rest)
	}
	c.activity.begin()
	if c.hit(q) {
		c.activity.end()
		return true
	}
	c.answerLater(q, func() {})
	return true
}

// readHead reads the length of a query and its beginning (RFC 1035 §4.2.2), and returns how
// many bytes are left to read. The beginning is in the buffer, until something else is read.
func (c *streamConn) readHead() (head []byte, rest int, ok bool) {
	if !c.listener.open.extend(c.Conn, streamIdle) {
		return nil, 0, false
	}
	length, err := c.in.Peek(lengthSize)
	if err != nil {
		return nil, 0, false
	}
	whole := int(binary.BigEndian.Uint16(length))
	begins := min(whole, smallQuery)
	head, err = c.in.Peek(lengthSize + begins)
	if err != nil {
		return nil, 0, false
	}
	_, _ = c.in.Discard(len(head)) // it is there
	return head[lengthSize:], whole - begins, true
}

// skip throws away what is left of a query that is not to be answered, or has been.
func (c *streamConn) skip(rest int) bool {
	_, err := c.in.Discard(rest)
	return err == nil
}

// query makes a query of what was read.
func (c *streamConn) query(wire []byte) query {
	return query{
		handler: c.listener.handler, begun: time.Now(), transport: c.listener.transport, tally: c.listener.tally,
		client: c.client, wire: wire, way: c,
	}
}

// hit answers out of the cache, if that can be: one answer after another, so that a client
// that does not read them holds no more than one.
func (c *streamConn) hit(q *query) bool {
	if c.frame == nil {
		c.frame = make([]byte, 0, smallQuery)
	}
	frame, ok := q.handler.hit(append(c.frame[:0], 0, 0), q.wire, dns.MaxMsgSize)
	if !ok {
		return false
	}
	q.tally.hit(frame[lengthSize:])
	_ = c.sendFrame(frame) // the client may be gone
	if cap(frame) <= smallQuery {
		c.frame = frame // a large one is not kept while the connection is idle
	}
	return true
}

// answerLong reads the rest of a long query, for which it holds room, and answers it. The
// connection is idle until the query is whole.
func (c *streamConn) answerLong(q *query, rest int) bool {
	head := len(q.wire)
	leave := q.handler.hold(c.client.Addr(), head+rest)
	if leave == nil {
		q.refuse(&refuseBytes)
		return c.skip(rest)
	}
	q.wire = append(make([]byte, 0, head+rest), q.wire...)[:head+rest]
	c.listener.open.extend(c.Conn, streamRest) // unless there is less time already
	if _, err := io.ReadFull(c.in, q.wire[head:]); err != nil {
		leave()
		return false
	}
	c.activity.begin()
	c.answerLater(q, leave)
	return true
}

// answerLater has a worker answer a query, which has begun the activity. leave releases the room
// for it.
func (c *streamConn) answerLater(q *query, leave func()) {
	c.places <- struct{}{}
	c.running.Add(1)
	w := c.listener.workers.hire()
	w.query, w.leave, w.ended = *q, leave, c.ended
	if len(w.wire) <= smallQuery {
		w.wire = append(w.short[:0], w.wire...) // what it was read into is used again
	}
	q.wire = nil // a long one is not kept while the connection is idle
	w.begin()
}

// endQuery is called when a worker has answered a query.
func (c *streamConn) endQuery() {
	c.activity.end()
	<-c.places
	c.running.Done()
}

// send sends one answer.
func (c *streamConn) send(_ *query, answer []byte) error {
	return c.sendFrame(append(make([]byte, lengthSize, lengthSize+len(answer)), answer...))
}

// sendFrame is send for an answer that has room for its length before it. The first one that cannot
// be sent whole is the last.
func (c *streamConn) sendFrame(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	err := writeFrame(c.Conn, frame)
	if err != nil {
		abort(c.Conn) // whatever follows half a frame is read as the rest of it
	}
	return err
}

// lengthSize is how many bytes the length of a message takes (RFC 1035 §4.2.2).
const lengthSize = 2

// writeFrame writes length and message at once (RFC 7766 §8); frame has room for the length.
func writeFrame(conn net.Conn, frame []byte) error {
	length := len(frame) - lengthSize
	if length > dns.MaxMsgSize {
		return errTooLong
	}
	binary.BigEndian.PutUint16(frame, uint16(length))
	if err := conn.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	_, err := conn.Write(frame)
	return err
}

// connections are those of one listener.
type connections struct {
	running sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]struct{} // guarded by mu
	stopped bool                  // guarded by mu
}

// acceptPause is how long is waited when no connection can be accepted, for want of
// descriptors mostly.
const acceptPause = 50 * time.Millisecond

// accept serves the connections of l, each in a goroutine, until l is closed.
func (c *connections) accept(l net.Listener, serve func(net.Conn)) error {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			time.Sleep(acceptPause)
			continue
		}
		if !c.add(conn) {
			_ = conn.Close() // nothing was read from it
			continue
		}
		c.running.Go(func() {
			defer c.remove(conn)
			serve(conn)
		})
	}
}

func (c *connections) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.open[conn] = struct{}{}
	}
	return !c.stopped
}

func (c *connections) remove(conn net.Conn) {
	linger(conn)
	_ = conn.Close() // all that was to be written is
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, conn)
}

// extend sets a later read deadline of conn, unless reading has ended.
func (c *connections) extend(conn net.Conn, idle time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.stopped && conn.SetReadDeadline(time.Now().Add(idle)) == nil
}

// stop has reading end when grace is over.
func (c *connections) stop(grace time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	for conn := range c.open {
		_ = conn.SetReadDeadline(time.Now().Add(grace)) // fails if it is closed already
	}
}

// abort closes a connection without a word: a client that does not read would keep TLS
// waiting to say that it ends.
func abort(conn net.Conn) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	_ = conn.Close() // it may be closed already
}

// streamLinger is how long a client may take to notice that the connection ends.
const streamLinger = time.Second

// linger waits until the client has closed its side. Closing with something unread
// would reset the connection, and with it answers that the client has not read yet.
func linger(conn net.Conn) {
	var raw net.Conn = conn
	if secured, ok := conn.(*tls.Conn); ok {
		raw = secured.NetConn()
		_ = secured.CloseWrite() // "close notify"; fails before the handshake's end
	}
	half, ok := raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || raw.SetReadDeadline(time.Now().Add(streamLinger)) != nil {
		return // it is closed
	}
	_, _ = io.CopyN(io.Discard, raw, lingerBytes)
}

// lingerOctets is how much is thrown away at most.
const lingerBytes = 1 << 20

// addrPort returns a client's address, an IPv4 one as IPv4.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
