package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// stopGrace is how long queries are still read when the proxy was told to stop: those
// that clients had sent by then, and that are on their way or in a buffer of the kernel.
const stopGrace = 100 * time.Millisecond

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
		{"-debug", c.debugListen, p.listenDebug},
	} {
		for _, address := range l.addresses {
			err := l.open(address)
			if err != nil && hasNoIPv6(address, err) && len(l.addresses) > 1 {
				p.log.Warn("not listening: this host has no IPv6", "at", address)
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", l.flag, err)
			}
		}
	}
	return nil
}

// hasNoIPv6 reports whether an address cannot be listened at since this host has no IPv6:
// where it has, it has its loopback address.
func hasNoIPv6(address netip.AddrPort, err error) bool {
	return address.Addr().Is6() && (errors.Is(err, syscall.EAFNOSUPPORT) ||
		address.Addr().IsLoopback() && errors.Is(err, syscall.EADDRNOTAVAIL))
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
	l, err := p.listenApart(address)
	if err == nil {
		p.listeners = append(p.listeners, newMetricsListener(l, p.metrics))
	}
	return err
}

func (p *proxy) listenDebug(address netip.AddrPort) error {
	l, err := p.listenApart(address)
	if err == nil {
		p.listeners = append(p.listeners, newDebugListener(l, p.page))
	}
	return err
}

// listenApart listens for those who look at the proxy, whom its metrics are not about.
func (p *proxy) listenApart(address netip.AddrPort) (net.Listener, error) {
	l, err := net.Listen(network("tcp", address), address.String())
	if err != nil {
		return nil, err
	}
	limited := newLimitedListener(l, p.handler, min(maxReaders, p.config.connections()))
	limited.open = new(atomic.Int64)
	p.limited = append(p.limited, limited)
	return limited, nil
}

func (p *proxy) listenTCP(address netip.AddrPort, onlyClients bool) (net.Listener, error) {
	l, err := net.Listen(network("tcp", address), address.String())
	if err != nil {
		return nil, err
	}
	limited := newLimitedListener(l, p.handler, p.config.connections())
	limited.onlyClients = onlyClients
	p.limited = append(p.limited, limited)
	return limited, nil
}

// network names the network of an address: at [::] there is no IPv4, which has an
// address of its own.
func network(transport string, address netip.AddrPort) string {
	if address.Addr().Is4() {
		return transport + "4"
	}
	return transport + "6"
}
