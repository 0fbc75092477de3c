package resolver

import (
	"net/netip"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/transport"
)

// upstreamClient asks servers, within the limits on what may be under way at the same time.
type upstreamClient struct {
	*env
	routes    *router
	keyCache  *keyCache
	sender    sender
	transport *transport.Transport // nil with an Exchanger of the caller's

	serverSlots        *concurrencyLimits[netip.AddrPort] // queries to one server
	zoneSlots          *concurrencyLimits[dnsname.Name]   // queries to the servers of one zone
	socketSlots        *concurrencyLimits[struct{}]       // queries over UDP in all
	unknownServerSlots *concurrencyLimits[struct{}]       // queries over UDP to servers that are not known to answer
	connectionSlots    *concurrencyLimits[dnsname.Name]   // queries over TCP to the servers of one zone
}

func newUpstreamClient(e *env, r *router, s sender, t *transport.Transport) *upstreamClient {
	limits := &e.settings.Limits
	return &upstreamClient{
		env: e, routes: r, keyCache: newKeyCache(), sender: s, transport: t,
		serverSlots:        newConcurrencyLimits[netip.AddrPort](limits.QueriesPerServer),
		zoneSlots:          newConcurrencyLimits[dnsname.Name](limits.QueriesPerZone),
		socketSlots:        newConcurrencyLimits[struct{}](limits.Sockets),
		unknownServerSlots: newConcurrencyLimits[struct{}](max(1, limits.Sockets-quarter(limits.Sockets))),
		connectionSlots:    newConcurrencyLimits[dnsname.Name](quarter(limits.Connections)),
	}
}

// keyCacheNow returns the key cache as the views of now divide it.
func (r *upstreamClient) keyCacheNow() keyCacheView {
	return r.keyCache.dividedBy(r.routes.currentRoutes())
}

// close closes the connections to servers, except those of routes.
func (r *upstreamClient) close() error {
	if r.transport == nil {
		return nil
	}
	return r.transport.Close()
}

// open returns how many sockets and connections to servers are open, except those of routes.
func (r *upstreamClient) open() (sockets, connections int) {
	if r.transport == nil {
		return 0, 0
	}
	return r.transport.Open()
}
