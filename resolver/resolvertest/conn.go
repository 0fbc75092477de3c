package resolvertest

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// endpoint is what both kinds of connection have: a queue of what servers have
// sent and when it arrives, deadlines, and the end. Read itself waits for the time
// of the first packet, so that no goroutine is needed.
type endpoint struct {
	in      *Internet
	network string
	remote  netip.AddrPort

	mu            sync.Mutex
	wake          chan struct{} // closed, and replaced, when anything below changes
	queue         []arrival     // in the order of arrival
	readDeadline  time.Time
	writeDeadline time.Time
	closed        bool
}

// arrival is a packet with the time at which it is there.
type arrival struct {
	at time.Time
	packet
}

func (e *endpoint) init(in *Internet, network string, remote netip.AddrPort) {
	e.in, e.network, e.remote = in, network, remote
	e.wake = make(chan struct{})
}

// changed wakes all that wait. The caller holds mu.
func (e *endpoint) changed() {
	close(e.wake)
	e.wake = make(chan struct{})
}

// arrive queues a packet behind those that arrive before it or with it.
func (e *endpoint) arrive(a arrival) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := len(e.queue)
	for i > 0 && e.queue[i-1].at.After(a.at) {
		i--
	}
	e.queue = slices.Insert(e.queue, i, a)
	e.changed()
}

// next waits for the first packet and takes it off the queue.
func (e *endpoint) next() (arrival, error) {
	for {
		a, wait, wake, err := e.poll()
		if err != nil || wait == 0 {
			return a, err
		}
		sleep(wait, wake)
	}
}

// poll looks once. If wait is not 0 there is nothing yet: look again after
// wait, or when wake is closed.
func (e *endpoint) poll() (a arrival, wait time.Duration, wake <-chan struct{}, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if err := e.readable(); err != nil {
		return a, 0, nil, err
	}
	if len(e.queue) > 0 && !e.queue[0].at.After(now) {
		a = e.queue[0]
		e.queue = e.queue[1:]
		return a, 0, nil, nil
	}
	wait = forever
	if len(e.queue) > 0 {
		wait = e.queue[0].at.Sub(now)
	}
	if !e.readDeadline.IsZero() {
		wait = min(wait, e.readDeadline.Sub(now))
	}
	return a, wait, e.wake, nil
}

// readable returns why nothing can be read. The caller holds mu.
func (e *endpoint) readable() error {
	switch {
	case e.closed:
		return net.ErrClosed
	case expired(e.readDeadline, time.Now()):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// forever is a wait without an end of its own.
const forever = time.Duration(1<<63 - 1)

func expired(deadline, now time.Time) bool {
	return !deadline.IsZero() && !deadline.After(now)
}

func sleep(wait time.Duration, wake <-chan struct{}) {
	if wait == forever {
		<-wake
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	}
}

// writable returns why nothing can be written.
func (e *endpoint) writable() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return net.ErrClosed
	case expired(e.writeDeadline, time.Now()):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Close wakes a waiting Read, and drops packets that have not arrived.
func (e *endpoint) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return e.failure("close", net.ErrClosed)
	}
	e.closed = true
	e.queue = nil
	e.changed()
	return nil
}

func (e *endpoint) SetDeadline(t time.Time) error { return e.setDeadlines(&t, &t) }

func (e *endpoint) SetReadDeadline(t time.Time) error { return e.setDeadlines(&t, nil) }

func (e *endpoint) SetWriteDeadline(t time.Time) error { return e.setDeadlines(nil, &t) }

func (e *endpoint) setDeadlines(read, write *time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return e.failure("set", net.ErrClosed)
	}
	if read != nil {
		e.readDeadline = *read
	}
	if write != nil {
		e.writeDeadline = *write
	}
	e.changed()
	return nil
}

func (e *endpoint) RemoteAddr() net.Addr { return netAddr(e.network, e.remote) }

// LocalAddr is the unspecified address: in memory a client has none.
func (e *endpoint) LocalAddr() net.Addr {
	return netAddr(e.network, netip.AddrPortFrom(netip.IPv6Unspecified(), 0))
}

// failure wraps an error as net does.
func (e *endpoint) failure(op string, err error) error {
	if err == nil {
		return nil
	}
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: e.network, Source: e.LocalAddr(), Addr: e.RemoteAddr(), Err: err}
}

// datagramConn is a connected UDP socket: one message a Write, one a Read.
type datagramConn struct{ endpoint }

func newDatagramConn(in *Internet, remote netip.AddrPort) *datagramConn {
	c := new(datagramConn)
	c.init(in, "udp", remote)
	return c
}

var _ net.PacketConn = (*datagramConn)(nil) // how users of Dial see that it is no stream

// Write sends one query.
func (c *datagramConn) Write(query []byte) (int, error) {
	if err := c.writable(); err != nil {
		return 0, c.failure("write", err)
	}
	now := time.Now()
	for _, p := range c.in.handle(c.remote, c.network, netip.AddrPort{}, query) {
		if !p.wrongSource { // the kernel keeps it from a connected socket
			c.arrive(arrival{at: now.Add(p.after), packet: p})
		}
	}
	return len(query), nil
}

// Read waits for one message. What does not fit into b is lost.
func (c *datagramConn) Read(b []byte) (int, error) {
	a, err := c.next()
	if err != nil {
		return 0, c.failure("read", err)
	}
	if a.event == portRefused {
		return 0, c.failure("read", syscall.ECONNREFUSED)
	}
	return copy(b, a.wire), nil
}

// ReadFrom is Read.
func (c *datagramConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := c.Read(b)
	return n, c.RemoteAddr(), err
}

// WriteTo is Write; like a connected socket it can send to no one else.
func (c *datagramConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	return 0, c.failure("write", net.ErrWriteToConnected)
}
