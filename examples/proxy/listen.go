package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// stopGrace is how long queries are still read when the proxy was told to stop: those
// that clients had sent by then, and that are on their way or in a buffer of the kernel.
const stopGrace = 100 * time.Millisecond

// maxConnections is how many connections there may be at one address: each holds a
// descriptor and some 10 KiB, over TLS 40.
const maxConnections = 2000

// listen opens all sockets that the flags name.
func (p *proxy) listen() error {
	c := p.config
	for _, l := range []struct {
		flag      string
		addresses []netip.AddrPort
		open      func(netip.AddrPort) error
	}{
		{"-listen", c.listen, p.listenPlain},
		{"-tls-listen", c.tlsListen, p.listenTLS},
		{"-https-listen", c.httpsListen, p.listenHTTPS},
		{"-metrics", c.metricsListen, p.listenMetrics},
	} {
		for _, address := range l.addresses {
			if err := l.open(address); err != nil {
				return fmt.Errorf("%s: %w", l.flag, err)
			}
		}
	}
	return nil
}

// portAttempts is how many free ports are tried when the address has port 0: one that is
// free over UDP may be taken over TCP.
const portAttempts = 10

// listenPlain opens one TCP socket and the UDP sockets, all at the same port.
func (p *proxy) listenPlain(address netip.AddrPort) error {
	for attempt := 1; ; attempt++ {
		stream, err := p.listenTCP(address, false)
		if err != nil {
			return err
		}
		at := netip.AddrPortFrom(address.Addr(), addrPort(stream.Addr()).Port())
		datagrams, err := listenUDP(at, runtime.GOMAXPROCS(0))
		if err == nil {
			p.listeners = append(p.listeners, newStreamListener(stream, overTCP, p.handler))
			for _, conn := range datagrams {
				p.listeners = append(p.listeners, newUDPListener(conn, p.handler))
			}
			return nil
		}
		_ = stream.Close() // the first error is the one to report
		if address.Port() != 0 || attempt == portAttempts || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
}

func (p *proxy) listenTLS(address netip.AddrPort) error {
	l, err := p.listenTCP(address, true)
	if err == nil {
		l = tls.NewListener(l, p.config.tlsConfig("dot"))
		p.listeners = append(p.listeners, newStreamListener(l, overTLS, p.handler))
	}
	return err
}

func (p *proxy) listenHTTPS(address netip.AddrPort) error {
	l, err := p.listenTCP(address, true)
	if err == nil {
		l = tls.NewListener(l, p.config.tlsConfig("h2", "http/1.1"))
		p.listeners = append(p.listeners, newDoHListener(l, p.handler))
	}
	return err
}

func (p *proxy) listenMetrics(address netip.AddrPort) error {
	l, err := net.Listen(network("tcp", address), address.String())
	if err == nil {
		p.listeners = append(p.listeners, newMetricsListener(l, p.metrics))
	}
	return err
}

func (p *proxy) listenTCP(address netip.AddrPort, onlyClients bool) (net.Listener, error) {
	l, err := net.Listen(network("tcp", address), address.String())
	if err != nil {
		return nil, err
	}
	return &limitedListener{Listener: l, handler: p.handler, onlyClients: onlyClients}, nil
}

// network names the network of an address: at [::] there is no IPv4, which has an
// address of its own.
func network(transport string, address netip.AddrPort) string {
	if address.Addr().Is4() {
		return transport + "4"
	}
	return transport + "6"
}

// limitedListener accepts no more connections than there may be.
type limitedListener struct {
	net.Listener
	handler *handler
	// onlyClients: others are not even told that they are none, since handshakes of
	// TLS cost us more than them.
	onlyClients bool
	open        atomic.Int64
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
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

// admit gives the connection with its place, or nil if there is none for it.
func (l *limitedListener) admit(conn net.Conn) net.Conn {
	stream, ok := conn.(*net.TCPConn)
	client := addrPort(conn.RemoteAddr()).Addr()
	if !ok || l.onlyClients && !l.handler.clients.mayAsk(client) {
		return nil
	}
	if l.open.Add(1) > maxConnections {
		l.open.Add(-1)
		return nil
	}
	leave := l.handler.clients.connect(client)
	if leave == nil {
		l.open.Add(-1)
		return nil
	}
	l.handler.metrics.connections.Add(1)
	return &limitedConn{TCPConn: stream, leave: sync.OnceFunc(func() {
		leave()
		l.open.Add(-1)
		l.handler.metrics.connections.Add(-1)
	})}
}

// limitedConn is a connection that gives its place back when it is closed.
type limitedConn struct {
	*net.TCPConn
	leave func()
}

func (c *limitedConn) Close() error {
	c.leave()
	return c.TCPConn.Close()
}
