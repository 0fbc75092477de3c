package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// maxConnections is how many connections there may be at one address: each holds a
// descriptor and some 10 KiB, over TLS 40.
const maxConnections = 2000

// maxReaders is how many connections there may be at one address for metrics: more than any
// number of servers that scrape them.
const maxReaders = 50

// limitedListener accepts no more connections than there may be. When there are as many, the
// one that has been idle for longest is closed (RFC 7766 §6.2.3): without that, connections
// that ask nothing would keep all other clients out.
type limitedListener struct {
	net.Listener
	handler *handler
	// onlyClients: others are not even told that they are none, since handshakes of
	// TLS cost us more than them.
	onlyClients bool
	most        int
	open        *atomic.Int64 // the metric of what is open
	accepting   state

	mu    sync.Mutex
	conns map[*limitedConn]struct{} // guarded by mu
}

func newLimitedListener(l net.Listener, h *handler, most int) *limitedListener {
	return &limitedListener{
		Listener: l, handler: h, most: most, open: &h.metrics.connections, conns: make(map[*limitedConn]struct{}),
	}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if !errors.Is(err, net.ErrClosed) {
			l.accepting.report(l.handler.log, "connections cannot be accepted", err)
		}
		if err != nil {
			return nil, err
		}
		if limited := l.admit(conn); limited != nil {
			return limited, nil
		}
		l.handler.metrics.turnedAway.Add(1)
		_ = conn.Close() // there is no way to say why
	}
}

// admit returns the connection with its place, or nil if there is none for it.
func (l *limitedListener) admit(conn net.Conn) net.Conn {
	stream, ok := conn.(*net.TCPConn)
	client := addrPort(conn.RemoteAddr()).Addr()
	if !ok || l.onlyClients && !l.handler.clients.mayAsk(client) {
		return nil
	}
	held, ok := l.handler.clients.connect(client)
	if !ok {
		return nil
	}
	c := &limitedConn{TCPConn: stream}
	c.done()
	c.leave = sync.OnceFunc(func() {
		held.leave()
		l.mu.Lock()
		delete(l.conns, c)
		l.mu.Unlock()
		l.open.Add(-1)
	})
	l.open.Add(1)
	if !l.enter(c) {
		c.leave()
		return nil
	}
	return c
}

// enter takes a place for a connection, that of an idle one if need be.
func (l *limitedListener) enter(c *limitedConn) bool {
	var longest *limitedConn
	l.mu.Lock()
	full := len(l.conns) >= l.most
	if full {
		longest = l.longestIdle()
		delete(l.conns, longest)
	}
	if !full || longest != nil {
		l.conns[c] = struct{}{}
	}
	l.mu.Unlock()
	if longest != nil {
		l.handler.metrics.idleClosed.Add(1)
		_ = longest.Close() // its client may have closed it
	}
	return !full || longest != nil
}

// longestIdle returns the connection that has had no query under way for longest; nil: all
// have one. l.mu is held.
func (l *limitedListener) longestIdle() (longest *limitedConn) {
	for c := range l.conns {
		if c.underWay.Load() == 0 && (longest == nil || c.idleSince.Load() < longest.idleSince.Load()) {
			longest = c
		}
	}
	return longest
}

// hangUp closes all connections that are open, whatever waits to be written.
func (l *limitedListener) hangUp() {
	l.mu.Lock()
	var open []*limitedConn
	for c := range l.conns {
		open = append(open, c)
	}
	l.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // its client may have closed it
	}
}

// limitedConn is a connection that releases its place when it is closed.
type limitedConn struct {
	*net.TCPConn
	activity
	leave func()
}

func (c *limitedConn) Close() error {
	c.leave()
	return c.TCPConn.Close()
}

// activity says since when a connection has been idle. Bytes that are no whole query do not
// count: who sends one now and then would never be idle.
type activity struct {
	underWay  atomic.Int64 // queries
	idleSince atomic.Int64 // Unix time in nanoseconds; while none is under way
}

// begin is called when a query has been read whole, and end when it has been answered.
func (a *activity) begin() { a.underWay.Add(1) }

func (a *activity) end() {
	a.done()
	a.underWay.Add(-1)
}

func (a *activity) done() { a.idleSince.Store(time.Now().UnixNano()) }

// activityOf returns the activity of a connection, TLS or not; one that nobody looks at for
// others.
func activityOf(conn net.Conn) *activity {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	if limited, ok := conn.(*limitedConn); ok {
		return &limited.activity
	}
	return new(activity)
}

// activityKey is the key of the activity in the context of an HTTP request.
type activityKey struct{}

func withActivity(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, activityKey{}, activityOf(conn))
}
