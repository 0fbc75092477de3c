package resolvertest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

// dnsPort is the only port that servers are at.
const dnsPort = 53

// Dial connects to a server of this Internet in memory, as resolver.Options.Dial
// and net.Resolver.Dial want it. network is "udp" or "tcp", with or without the
// number of a family, and address an IP address with port 53.
//
// A "udp" connection keeps message boundaries and is a net.PacketConn too; a "tcp"
// connection carries messages behind two-byte lengths, any number at once. At an
// address without a server nothing answers, and opening a TCP connection waits for
// ctx to end. No goroutine is started: what a server does happens in Write, what
// takes time is waited for in Read. It can be used inside testing/synctest also
// when the Internet was made outside.
func (in *Internet) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	addr, err := parseAddress(network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if h := in.handlerAt(addr); h != nil {
		return in.dialHandler(h, network[:3], addr), nil
	}
	if strings.HasPrefix(network, "udp") {
		if err := in.route(addr, "udp"); err != nil {
			return nil, err
		}
		return newDatagramConn(in, addr), nil
	}
	if err := in.connect(ctx, addr); err != nil {
		return nil, err
	}
	return newStreamConn(in, addr), nil
}

func dialError(network string, addr netip.AddrPort, err error) error {
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError("connect", errno)
	}
	return &net.OpError{Op: "dial", Net: network, Addr: netAddr(network, addr), Err: err}
}

func parseAddress(network, address string) (netip.AddrPort, error) {
	switch network {
	case "udp", "udp4", "udp6", "tcp", "tcp4", "tcp6":
	default:
		return netip.AddrPort{}, net.UnknownNetworkError(network)
	}
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("resolvertest: %w", err)
	}
	return netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port()), nil
}

// route fails where the host has no route to the address.
func (in *Internet) route(addr netip.AddrPort, network string) error {
	x := in.connecting(addr, network, atDial)
	if !x.unreachable {
		return nil
	}
	in.log.append(x.query)
	return dialError(network, addr, syscall.ENETUNREACH)
}

// connect does what a TCP handshake meets: it takes a round trip, or never ends.
func (in *Internet) connect(ctx context.Context, addr netip.AddrPort) error {
	if err := in.route(addr, "tcp"); err != nil {
		return err
	}
	x := in.connecting(addr, "tcp", atTCPConnect)
	if x.silent || x.refused {
		in.log.append(x.query)
	}
	if x.silent {
		<-ctx.Done()
		return dialError("tcp", addr, ctx.Err())
	}
	if x.latency > 0 {
		timer := time.NewTimer(x.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return dialError("tcp", addr, ctx.Err())
		}
	}
	if x.refused {
		return dialError("tcp", addr, syscall.ECONNREFUSED)
	}
	if ctx.Err() != nil {
		return dialError("tcp", addr, ctx.Err())
	}
	return nil
}

// connecting asks the faults of a host about a connection that is being made.
func (in *Internet) connecting(addr netip.AddrPort, network string, m moment) *exchange {
	v := in.viewOf(addr)
	x := v.begin(Query{Time: time.Now(), Server: addr.Addr(), Network: network, Unconnected: true}, nil, m)
	x.silent = x.silent || !v.present
	return x
}

// view is a server as it is at one moment.
type view struct {
	server  *server
	zones   zoneSet
	faults  []*installedFault
	present bool // there is a host that answers
}

// viewOf finds who gets what is sent to an address.
func (in *Internet) viewOf(addr netip.AddrPort) view {
	in.mu.RLock()
	defer in.mu.RUnlock()
	s, ok := in.servers[addr.Addr()]
	if in.middlebox != nil {
		s, ok = in.middlebox, true
	}
	if !ok {
		s = in.stranger(addr.Addr())
	}
	return view{
		server: s, zones: s.zones, faults: s.faults,
		present: ok && addr.Port() == dnsPort && !in.closed,
	}
}

// stranger is an address with no server. Faults for a whole prefix are for it too,
// as a family without a route is.
func (in *Internet) stranger(addr netip.Addr) *server {
	s := newServer(addr, in.seed)
	for _, r := range in.rules {
		if r.target.includes(s, in.zones) && !r.fault.mends {
			s.faults = append(s.faults, &installedFault{fault: r.fault})
		}
	}
	return s
}

// handle takes one query to an address and returns what comes back.
func (in *Internet) handle(addr netip.AddrPort, network string, client netip.AddrPort, query []byte) []packet {
	v := in.viewOf(addr)
	packets, seen := v.handle(Query{Time: time.Now(), Server: addr.Addr(), Network: network, Client: client}, query)
	seen.Unmocked = in.isUnmocked(seen.Name)
	in.note(seen)
	if !v.present {
		return nil
	}
	return packets
}

func netAddr(network string, addr netip.AddrPort) net.Addr {
	if network == "udp" {
		return net.UDPAddrFromAddrPort(addr)
	}
	return net.TCPAddrFromAddrPort(addr)
}
