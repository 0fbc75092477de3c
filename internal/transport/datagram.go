package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// maxReadErrors is how many errors other than a timeout one UDP send tolerates.
// The host reports each ICMP message at most once, so that a handful is much; a
// connection that fails for good would keep the send in a busy loop.
const maxReadErrors = 64

// datagramSend is one query under way over UDP. Its socket is closed at the end
// of the send, of its context, or by Close, whichever comes first, and the send returns only
// when it is closed.
type datagramSend struct {
	conn     net.Conn
	closing  sync.Once
	watching sync.WaitGroup // the function that waits for the context, once it runs
}

// close frees the socket, which also ends a Read under way.
func (s *datagramSend) close() { s.closing.Do(func() { closeConn(s.conn) }) }

// closeOn closes s when ctx ends, unless release has been called.
func (s *datagramSend) closeOn(ctx context.Context) (release func()) {
	s.watching.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer s.watching.Done()
		s.close()
	})
	return func() {
		if !stop() {
			s.watching.Wait() // no goroutine outlives the send
		}
	}
}

// sendDatagram is Send for "udp".
func (t *Transport) sendDatagram(ctx context.Context, server netip.AddrPort, query []byte, w Watch) ([]byte, error) {
	fail := func(op string, err error) error {
		return &Error{Op: op, Network: "udp", Server: server, Err: t.cause(ctx, err)}
	}
	if err := t.takeSocket(ctx); err != nil {
		return nil, fail(opWait, err)
	}
	defer t.giveSocket()
	conn, err := t.openDatagram(ctx, server)
	if err != nil {
		return nil, fail(opDial, err)
	}
	s := &datagramSend{conn: conn}
	defer s.close()
	if !t.register(s) {
		return nil, fail(opDial, net.ErrClosed)
	}
	defer t.unregister(s)

	if ctx.Done() != nil {
		defer s.closeOn(ctx)()
	}
	if deadline, ok := ctx.Deadline(); ok {
		// Besides the watch on ctx, for connections in memory that go by their
		// deadline; a failure shows in Read.
		_ = conn.SetDeadline(deadline)
	}
	if _, err := conn.Write(query); err != nil {
		return nil, fail(opWrite, err)
	}
	w.sent()
	reply, err := awaitDatagram(conn, w)
	if err != nil {
		return reply, fail(opRead, err)
	}
	return reply, nil
}

// readBuffers holds buffers for the largest datagram, so that one larger than
// offered is read whole and not truncated silently.
var readBuffers = sync.Pool{New: func() any { return new([maxMessage]byte) }}

// awaitDatagram reads until w accepts or abandons, or nothing can come any more.
func awaitDatagram(conn net.Conn, w Watch) ([]byte, error) {
	buffer := readBuffers.Get().(*[maxMessage]byte)
	defer readBuffers.Put(buffer)
	var reply []byte
	errorsLeft, refused := maxReadErrors, false
	for {
		n, err := conn.Read(buffer[:])
		if err != nil {
			if errorsLeft--; errorsLeft == 0 || endsWait(err) {
				return nil, err
			}
			if !refused && w.Refused != nil && errors.Is(err, syscall.ECONNREFUSED) {
				refused = true
				w.Refused()
			}
			continue
		}
		// The copy comes before the check, so that a caller may keep slices of
		// it. An ignored one is used again: a flood of equal packets costs no
		// memory.
		if reply == nil || len(reply) != n {
			reply = make([]byte, n)
		}
		copy(reply, buffer[:n])
		switch w.verdict(reply) {
		case Ignore:
		case Accept:
			return reply, nil
		case Abandon:
			return reply, ErrAbandoned
		}
	}
}

// endsWait reports whether a read error means that no reply can come: the time
// is over, or the connection is closed. All others come from ICMP, which anyone
// can send.
func endsWait(err error) bool {
	return isTimeout(err) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
}

// cause returns the cause of err: Close, the end of ctx, or err itself. The first
// two show as a closed connection.
func (t *Transport) cause(ctx context.Context, err error) error {
	if errors.Is(err, ErrAbandoned) {
		return err
	}
	if t.ctx.Err() != nil {
		return net.ErrClosed
	}
	if over := ended(ctx); over != nil {
		return over
	}
	// The connection's timer may run out a moment before that of ctx.
	if deadline, ok := ctx.Deadline(); ok && isTimeout(err) && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return err
}

// takeSocket waits for one of the MaxSockets.
func (t *Transport) takeSocket(ctx context.Context) error {
	select {
	case t.sockets <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-t.ctx.Done():
		return net.ErrClosed
	}
	return nil
}

func (t *Transport) giveSocket() { <-t.sockets }

// register lets Close find s; false if Close has been called.
func (t *Transport) register(s *datagramSend) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.sends[s] = struct{}{}
	return true
}

func (t *Transport) unregister(s *datagramSend) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sends, s)
}

// openDatagram opens the connection of one send.
func (t *Transport) openDatagram(ctx context.Context, server netip.AddrPort) (net.Conn, error) {
	if t.dial == nil {
		return openSocket(server, drawPort)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	return t.dial(ctx, "udp", server.String())
}
