package iterdns

import (
	"context"
	_ "embed"
	"net"
	"net/netip"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// mock is an Internet of its own, in this process, for trying things out: its servers
// are on sockets of the loopback interface.
type mock struct {
	text string
}

// builtIn is the mock Internet that is there without a file.
//
//go:embed mock.txt
var builtIn string

// open puts the servers on sockets, and tells the options where they are. The function
// it returns closes them.
func (m *mock) open(o *resolver.Options) (func(), error) {
	in, err := resolvertest.NewInternet(m.text)
	if err != nil {
		return nil, err
	}
	if err := in.Listen(); err != nil {
		in.Close()
		return nil, err
	}
	its := in.Options()
	o.RootHints, o.TrustAnchors = its.RootHints, its.TrustAnchors
	o.AllowServer, o.DisableLocalZones = its.AllowServer, its.DisableLocalZones
	o.Dial, o.Now = dialBeside(in.LoopbackDial, o.Routes), its.Now
	if its.Validation == resolver.ValidateOff { // nothing in it is signed
		o.Validation = its.Validation
	}
	return in.Close, nil
}

// dialer connects to a server, as resolver.Options.Dial does.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// dialBeside lets the servers of routes be real ones: the Corefile names them. All other
// addresses are those of the mock Internet, or of nobody.
func dialBeside(mocked dialer, routes []resolver.Route) dialer {
	real := make(map[netip.Addr]bool)
	for _, route := range routes {
		for _, server := range route.Servers {
			real[server.Addr.Addr()] = true
		}
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if addr, err := netip.ParseAddrPort(address); err == nil && real[addr.Addr()] {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		return mocked(ctx, network, address)
	}
}
