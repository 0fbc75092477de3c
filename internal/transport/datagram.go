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

const (
	// maxReadErrors is how many errors other than a timeout one query over UDP tolerates.
	// The host reports each ICMP message at most once, so that a handful is much; a
	// connection that fails for good would keep the wait in a busy loop.
	maxReadErrors = 64

	// maxLateReads is how many datagrams are looked at after the time of a wait is over. A
	// receive buffer of the usual 208 KiB holds fewer than 300; a server that floods must not
	// keep the wait from ending.
	maxLateReads = 1024
)

// Pending is a query that was sent over UDP and waits for its reply, on a socket of its own.
// Make one with Transport.Begin, and Close it. Await is for one goroutine at a time, Close for all.
type Pending struct {
	t      *Transport
	ctx    context.Context // of Begin: says why the query was closed
	server netip.AddrPort

	// Of the goroutine that is in Begin or Await.
	errorsLeft  int
	unreachable bool // ErrUnreachable has been returned
	hasToken    bool // one of MaxSockets is taken

	mu     sync.Mutex
	socket socket // guarded by mu until Begin is over; nil: not open
	busy   bool   // guarded by mu: a goroutine is in Begin or Await, and closes the socket
	closed bool   // guarded by mu
}

// socket is the connected UDP socket of one query.
type socket interface {
	// write sends the query.
	write(query []byte) error
	// read returns the next datagram, in into if that has its length and in a new slice
	// otherwise. It waits until the time until; zero: without end. Then it looks once more for
	// what has come, and returns ErrLate if there is nothing. It returns net.ErrClosed
	// when p is closed.
	read(into []byte, until time.Time, p *Pending) ([]byte, error)
	// interrupt wakes read after p has been closed. It may come at any time, even after close.
	interrupt()
	// close frees the socket. It is called once, when nobody is in write or read.
	close()
	// isOfHost reports whether it is a socket of this host: these keep their deadlines, and what
	// has come lies in a buffer.
	isOfHost() bool
}

// Begin sends query over UDP to server, from a socket of its own, and returns without
// waiting for the reply. A nil error means that the host has accepted the query for sending.
//
// If all sockets (Options.MaxSockets) are in use, Begin waits for one until ctx ends. The
// end of ctx does not end what Begin returns: the caller closes it. It only is the cause that
// errors of Await then have.
//
// Errors are *Error, as those of Send. Begin does not change query and does not keep it.
func (t *Transport) Begin(ctx context.Context, server netip.AddrPort, query []byte) (*Pending, error) {
	p := new(Pending)
	if err := t.BeginIn(ctx, p, server, query); err != nil {
		return nil, err
	}
	return p, nil
}

// BeginIn is Begin that makes the pending query of p, which is zero, and a part of something larger.
func (t *Transport) BeginIn(ctx context.Context, p *Pending, server netip.AddrPort, query []byte) error {
	// ::ffff:192.0.2.1 is 192.0.2.1.
	server = netip.AddrPortFrom(server.Addr().Unmap(), server.Port())
	if err := checkSend("udp", server, query); err != nil {
		return &Error{Op: opDial, Network: "udp", Server: server, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return &Error{Op: opWait, Network: "udp", Server: server, Err: err}
	}
	p.t, p.ctx, p.server, p.errorsLeft, p.busy = t, ctx, server, maxReadErrors, true
	if !t.enter(p) {
		return &Error{Op: opDial, Network: "udp", Server: server, Err: net.ErrClosed}
	}
	sent := false
	defer func() {
		if !sent { // also if a Dial function has panicked
			p.Close()
		}
		p.leave()
	}()
	if op, err := p.send(query); err != nil {
		return p.fail(op, err)
	}
	sent = true
	return nil
}

// send opens the socket and sends the query. With an error it returns what failed.
func (p *Pending) send(query []byte) (op string, err error) {
	if err := p.t.takeSocket(p.ctx); err != nil {
		return opWait, err
	}
	p.hasToken = true
	s, err := p.t.open(p.ctx, p.server)
	if err != nil {
		return opDial, err
	}
	p.mu.Lock()
	p.socket = s
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return opDial, net.ErrClosed
	}
	if !s.isOfHost() && p.ctx.Done() != nil {
		defer p.CloseOn(p.ctx)() // its Write may block
	}
	return opWrite, s.write(query)
}

// Await waits until the time until for the reply: the first message for which check returns
// Accept, in a slice of its own. A nil check accepts the first one. A zero until is no limit.
//
// It returns ErrLate when the time is over, and ErrUnreachable, at most once for each query, when the
// host reports that the server's port is unreachable. After both of them the query still waits,
// and Await may be called again, by another goroutine too. The wait goes on after ErrUnreachable
// since the ICMP message can be forged: it is a reason to ask another server as well, not to
// give up. A message that came in time is never late, even if this host had no time to
// look at it: what lies in the socket's buffer when the time is over is looked at first.
//
// All other errors are *Error, and final. With ErrAbandoned the message in question is returned as
// well; in all other cases of error the reply is nil. After Close the error wraps the error
// of the context of Begin, if that has ended, and net.ErrClosed otherwise.
//
// A connection of Options.Dial has to keep the deadline that it is set, or Await waits until
// it is closed.
func (p *Pending) Await(until time.Time, check func(reply []byte) Verdict) ([]byte, error) {
	if err := p.enter(); err != nil {
		return nil, p.fail(opRead, err)
	}
	defer p.leave() // also if the check panics
	var reply []byte
	for lateReads := 0; lateReads < maxLateReads; {
		if p.isClosed() { // while one datagram followed another
			return nil, p.fail(opRead, net.ErrClosed)
		}
		// An ignored message is overwritten: a flood of equal packets costs no memory.
		message, err := p.socket.read(reply, until, p)
		if err != nil {
			if err = p.tolerate(err); err != nil {
				return nil, err
			}
			continue
		}
		switch reply = message; verdictOf(check, reply) {
		case Ignore:
		case Accept:
			return reply, nil
		case Abandon:
			return reply, p.fail(opRead, ErrAbandoned)
		}
		if !until.IsZero() && !time.Now().Before(until) {
			lateReads++
		}
	}
	return nil, ErrLate
}

// tolerate returns the error by which a wait ends, nil if it goes on after err.
func (p *Pending) tolerate(err error) error {
	if err == ErrLate {
		return err
	}
	if p.errorsLeft--; p.errorsLeft == 0 || endsWait(err) {
		return p.fail(opRead, err)
	}
	if !p.unreachable && errors.Is(err, syscall.ECONNREFUSED) {
		p.unreachable = true
		return ErrUnreachable
	}
	return nil
}

// endsWait reports whether a read error means that no reply can come: the
// connection reports a timeout of its own, or is closed. All others come from ICMP, which
// anyone can send.
func endsWait(err error) bool {
	return isTimeout(err) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe)
}

// TimeoutError returns the error of a query that is given up after ErrLate, as Send returns it.
func (p *Pending) TimeoutError() error { return p.fail(opRead, context.DeadlineExceeded) }

func (p *Pending) fail(op string, err error) error {
	return &Error{Op: op, Network: "udp", Server: p.server, Err: p.t.cause(p.ctx, err)}
}

// Close ends the query: its socket is closed, by the goroutine in Await if there is one, which
// Close does not wait for. Only the first call counts.
func (p *Pending) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	busy, s := p.busy, p.socket
	p.mu.Unlock()
	switch {
	case !busy:
		p.release()
	case s != nil:
		s.interrupt()
	}
}

// enter begins a wait.
func (p *Pending) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return net.ErrClosed
	case p.busy:
		return errTwoWaits
	}
	p.busy = true
	return nil
}

// leave ends what enter or Begin has begun.
func (p *Pending) leave() {
	p.mu.Lock()
	p.busy = false
	closed := p.closed
	p.mu.Unlock()
	if closed {
		p.release()
	}
}

func (p *Pending) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// release frees what p holds. It is called once: when p is both closed and without a
// goroutine in it.
func (p *Pending) release() {
	if p.socket != nil {
		p.socket.close()
	}
	if p.hasToken {
		p.t.giveSocket()
	}
	p.t.exit(p)
}

// CloseOn closes p when ctx ends, unless release has been called, and ctx takes the place of the
// context of Begin: it is the cause that errors have. With its deadline the query is not
// closed, as what has come by then is still read: the wait must end with it, or before. CloseOn is
// for the goroutine that is about to wait.
func (p *Pending) CloseOn(ctx context.Context) (release func()) {
	p.ctx = ctx
	var running sync.WaitGroup
	running.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer running.Done()
		if deadline, ok := ctx.Deadline(); ok && p.socket.isOfHost() && !time.Now().Before(deadline) {
			return // the wait ends with the deadline, and looks once more at what has come
		}
		p.Close()
	})
	return func() {
		if !stop() {
			running.Wait() // no goroutine outlives the send
		}
	}
}

// sendDatagram is Send for "udp".
func (t *Transport) sendDatagram(ctx context.Context, server netip.AddrPort, query []byte, w Watch) ([]byte, error) {
	p, err := t.Begin(ctx, server, query)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	w.sent()
	if ctx.Done() != nil {
		defer p.CloseOn(ctx)()
	}
	until, _ := ctx.Deadline()
	for {
		reply, err := p.Await(until, w.Check)
		switch err {
		case ErrUnreachable:
			w.unreachable()
		case ErrLate:
			return nil, p.TimeoutError()
		default:
			return reply, err
		}
	}
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
	if over := ctx.Err(); over != nil {
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
	case t.sockets <- struct{}{}: // without ctx.Done, which is work for some contexts
		return nil
	default:
	}
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

// open opens the socket of one query.
func (t *Transport) open(ctx context.Context, server netip.AddrPort) (socket, error) {
	if t.dial == nil {
		return t.openHost(server, drawPort)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	conn, err := t.dial(ctx, "udp", server.String())
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline) // for Write; a failure shows there or in Read
	}
	return newNetSocket(conn), nil
}

// openHost opens a socket of the host, on a local port that draw returns.
func (t *Transport) openHost(server netip.AddrPort, draw func() uint16) (socket, error) {
	if t.poller != nil && server.Addr().Zone() == "" {
		if s, err := t.poller.openSocket(server, draw); err != errNoPoller {
			return s, err
		}
	}
	conn, err := openSocket(server, draw)
	if err != nil {
		return nil, err
	}
	return newNetSocket(conn), nil
}
