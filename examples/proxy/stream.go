package main

import (
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
}

func newStreamListener(l net.Listener, t transport, h *handler) *streamListener {
	return &streamListener{
		Listener: l, transport: t, handler: h, tally: h.metrics.newTally(t),
		open: connections{open: make(map[net.Conn]struct{})},
	}
}

func (l *streamListener) String() string { return l.transport.String() + " " + l.Addr().String() }

func (l *streamListener) serve() error {
	err := l.open.accept(l.Listener, l.serveConn)
	l.open.running.Wait()
	return err
}

// stop accepts nothing more, and reads what is on its way only.
func (l *streamListener) stop() {
	_ = l.Close() // close reports it
	l.open.stop(stopGrace)
}

// close closes the connections too, with answers that their clients have not taken.
func (l *streamListener) close() error {
	l.open.close()
	return ignoreClosed(l.Close())
}

// serveConn answers the queries of one connection.
func (l *streamListener) serveConn(conn net.Conn) {
	var (
		running sync.WaitGroup
		places  = make(chan struct{}, streamPipeline)
		writing sync.Mutex
	)
	defer running.Wait()
	client := addrPort(conn.RemoteAddr())
	send := func(answer []byte) error {
		writing.Lock()
		defer writing.Unlock()
		err := writeFrame(conn, answer)
		if err != nil {
			abort(conn) // whatever follows half a frame is read as the rest of it
		}
		return err
	}
	for range streamQueries {
		wire, err := l.readFrame(conn)
		if err != nil {
			return // also when the client has sent all it wanted: its answers are sent
		}
		q := &query{
			transport: l.transport, tally: l.tally, client: client, wire: wire, send: send,
			local: conn.LocalAddr(), remote: conn.RemoteAddr(),
		}
		if secured, ok := conn.(*tls.Conn); ok {
			state := secured.ConnectionState()
			q.tls = &state
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			l.handler.handle(q)
		})
	}
}

// readFrame reads one message behind its length (RFC 1035 §4.2.2).
func (l *streamListener) readFrame(conn net.Conn) ([]byte, error) {
	if !l.open.extend(conn, streamIdle) {
		return nil, net.ErrClosed
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	wire := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, wire)
	return wire, err
}

// writeFrame writes length and message at once (RFC 7766 §8).
func writeFrame(conn net.Conn, message []byte) error {
	if len(message) > dns.MaxMsgSize {
		return errTooLong
	}
	frame := make([]byte, 2, 2+len(message))
	binary.BigEndian.PutUint16(frame, uint16(len(message)))
	if err := conn.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	_, err := conn.Write(append(frame, message...))
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

// extend gives conn time to be read, unless reading has ended.
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

// close closes all connections, whatever waits to be written.
func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		abort(conn)
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
	_, _ = io.CopyN(io.Discard, raw, lingerOctets)
}

// lingerOctets is how much is thrown away at most.
const lingerOctets = 1 << 20

// addrPort gives a client's address, an IPv4 one as IPv4.
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
