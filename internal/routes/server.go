package routes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/printable"
	"github.com/iterdns/iterdns/internal/transport"
)

// Route is a Spec that was checked and filled.
type Route struct {
	Zone        dnsname.Name
	Kind        Kind
	Unsigned    bool
	Forwarders  []*Forwarder
	watch       *resolvConf
	isFallback  bool
	fingerprint string // of all that decides which data is learnt through it
	View        *View  // nil for Iterate
	// cut is the delegation from which walks in the route begin. Its servers are those
	// whose addresses have to be looked up.
	Cut    *glue.Delegation
	Addrs  map[netip.Addr]bool // of its servers
	guards loopGuards          // of the servers whose addresses are looked up
}

// Forwarder is one server of a route, or one that has to be asked over TLS.
type Forwarder struct {
	Addr      netip.AddrPort
	Name      dnsname.Name // "" if it has none
	Network   string       // for traces: udp, tcp, tls, or https for an Exchanger
	Stream    bool         // never asked over UDP
	Sender    Sender       // nil: the resolver's own
	transport *transport.Transport
	key       tlsKey
	Guard     LoopGuard
	Required  bool // a server of a delegation that has to be asked over TLS, and not one of a route
}

// SamePeer reports whether f is how a server is asked that o asks, over the same connections; both
// may be nil, for servers that are asked in clear.
func (f *Forwarder) SamePeer(o *Forwarder) bool {
	if f == nil || o == nil {
		return f == o
	}
	return f.Required && o.Required && f.Addr == o.Addr && f.Sender == o.Sender
}

// IsDatagram reports whether a server is asked over UDP; the receiver is nil for those of a
// zone.
func (f *Forwarder) IsDatagram() bool { return f == nil || !f.Stream }

// Sender carries queries to servers, as an Exchanger does, but has each message that arrives
// checked, and goes on waiting when it is not the reply.
type Sender interface {
	Send(ctx context.Context, network string, server netip.AddrPort, query []byte, w transport.Watch) ([]byte, error)
}

// tlsKey identifies a server over TLS, so that its connections outlive a change of routes
// that keeps it.
type tlsKey struct {
	addr   netip.AddrPort
	name   string
	config *tls.Config
}

const (
	// DefaultPort is where name servers listen. RFC 1035 §4.2.
	DefaultPort = 53
	// tlsPort is the port of DNS over TLS. RFC 7858 §3.1.
	tlsPort = 853
	// tlsConnectTimeout is how long opening a connection may take: one round trip for
	// TCP and one or two for TLS, each of which may lose a packet.
	tlsConnectTimeout = 3 * time.Second
)

var (
	errNoRouteServer   = errors.New("no server")
	errRouteServers    = errors.New("an exempt zone has no servers of its own")
	errOwnName         = errors.New("the server's address is asked for by the route itself")
	errNamedServer     = errors.New("a server without address is asked over UDP at the usual port")
	errUnspecifiedAddr = errors.New("not the address of a server")
	errNoViewName      = errors.New("an Exchanger or TLSConfig beside a SecondLevel needs Options.ViewName")
)

// route checks and fills a Spec.
func (m *routeTableBuilder) route(given Spec) (*Route, error) {
	zone, err := dnsname.Parse(given.Zone)
	if err != nil {
		return nil, err
	}
	rt := &Route{Zone: zone, Kind: given.Kind, Unsigned: given.Unsigned, Addrs: make(map[netip.Addr]bool)}
	switch given.Kind {
	case Forward, Stub:
	case Iterate:
		if len(given.Servers) > 0 || given.ResolvConf != "" || given.Unsigned {
			return nil, errRouteServers
		}
		return rt, nil
	default:
		return nil, fmt.Errorf("unknown RouteKind %d", given.Kind)
	}
	servers := given.Servers
	if given.ResolvConf != "" {
		rt.watch = &resolvConf{path: given.ResolvConf}
		more, err := rt.watch.read()
		if err != nil {
			return nil, err
		}
		servers = append(servers[:len(servers):len(servers)], more...)
	}
	rt.Cut = &glue.Delegation{Zone: zone}
	for _, s := range servers {
		if err := m.server(rt, s); err != nil {
			return nil, fmt.Errorf("server %s: %w", s, err)
		}
	}
	if len(rt.Forwarders)+len(rt.Cut.Servers) == 0 {
		return nil, errNoRouteServer
	}
	rt.fingerprint = m.textOf(rt, servers)
	return rt, nil
}

// textOf writes down all that decides which data is learnt through a route.
func (m *routeTableBuilder) textOf(rt *Route, servers []ServerSpec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s unsigned %t", rt.Zone, rt.Kind, rt.Unsigned)
	for i, s := range servers {
		fmt.Fprintf(&b, " %s", s)
		if s.TLSConfig != nil && s.Sender == nil {
			fmt.Fprintf(&b, " config %s", m.identity(s.TLSConfig, i))
		}
		if s.Sender != nil {
			fmt.Fprintf(&b, " exchanger %s", m.identity(s.Sender, i))
		}
	}
	return b.String()
}

// server adds a server to a route.
func (m *routeTableBuilder) server(rt *Route, s ServerSpec) error {
	var name dnsname.Name
	if s.Name != "" {
		var err error
		if name, err = dnsname.Parse(s.Name); err != nil {
			return err
		}
	}
	switch s.Transport {
	case transportUDP, transportTCP, transportTLS:
	default:
		return fmt.Errorf("unknown RouteTransport %d", s.Transport)
	}
	addr := netip.AddrPortFrom(s.Addr.Addr().Unmap(), s.Addr.Port())
	if c := &m.r.Settings; c.SecondLevel != nil && c.ViewName == "" && (s.Sender != nil || s.TLSConfig != nil) {
		return errNoViewName
	}
	switch {
	case s.Sender != nil:
		rt.Forwarders = append(rt.Forwarders, &Forwarder{Addr: addr, Name: name, Network: "https", Stream: true, Sender: s.Sender})
		return nil
	case !addr.Addr().IsValid() && name == "":
		return errNoRouteServer
	case !addr.Addr().IsValid() && (s.Addr.Port() != 0 || s.Transport != transportUDP):
		return errNamedServer
	case !addr.Addr().IsValid() && name.IsAtOrBelow(rt.Zone):
		return errOwnName
	case !addr.Addr().IsValid():
		rt.Cut.Servers = append(rt.Cut.Servers, glue.Server{Name: name})
		return nil
	case addr.Addr().IsUnspecified() || addr.Addr().IsMulticast():
		return errUnspecifiedAddr
	case s.Transport != transportTLS && m.r.tlsRules != nil && m.r.tlsRules.ofAddr(addr.Addr()) != nil:
		return errPlainServer
	}
	rt.Addrs[addr.Addr()] = true
	rt.Forwarders = append(rt.Forwarders, m.forwarder(addr, name, s))
	return nil
}

// forwarder makes the forwarder for a server with an address.
func (m *routeTableBuilder) forwarder(addr netip.AddrPort, name dnsname.Name, s ServerSpec) *Forwarder {
	port := m.r.Settings.Port
	if s.Transport == transportTLS {
		port = tlsPort
	}
	if addr.Port() == 0 {
		addr = netip.AddrPortFrom(addr.Addr(), port)
	}
	f := &Forwarder{Addr: addr, Name: name, Network: s.Transport.String(), Stream: s.Transport != transportUDP}
	if s.Transport != transportTLS {
		return f
	}
	f.key = tlsKey{addr, s.Name, s.TLSConfig}
	if before, ok := m.forwarders[f.key]; ok {
		return before
	}
	f.transport = transport.New(transport.Options{
		Dial: m.r.tlsDial(tlsConfigOf(f.key)), ConnectTimeout: tlsConnectTimeout,
		MaxConns: m.r.Settings.Limits.Connections,
	})
	f.Sender = f.transport
	m.created = append(m.created, f)
	return f
}

// tlsConfigOf fills the configuration for a server: the name that its certificate must have,
// and that sessions are resumed.
func tlsConfigOf(k tlsKey) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12} // RFC 8310 §9, RFC 9325 §3.1.1
	if k.config != nil {
		config = k.config.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = strings.TrimSuffix(k.name, ".")
	}
	if config.ServerName == "" {
		config.ServerName = k.addr.Addr().WithZone("").String()
	}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return config
}

// tlsDial returns a function that opens TLS connections over Options.Dial.
func (r *Router) tlsDial(config *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	dial := r.Settings.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(raw, config)
		shaken := false
		defer func() {
			if !shaken { // it failed, or panicked in a function of the configuration
				raw.Close()
			}
		}()
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, printable.Error{Err: err} // certificates may hold any text
		}
		shaken = true
		return conn, nil
	}
}
