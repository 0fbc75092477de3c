package upstream

import (
	"net/netip"

	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/keycache"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/transport"
)

// Client asks servers, within the limits on what may be under way at the same time.
type Client struct {
	*env.Env
	routes    *routes.Router
	KeyCache  *keycache.Cache
	sender    routes.Sender
	transport *transport.Transport // nil with an Exchanger of the caller's
	// DialsAtOnce: opening a socket is not waited for, as it is with a Dial function of the
	// caller's, so that the first query can go out in the goroutine of the search. Tests set it for
	// networks in memory.
	DialsAtOnce bool

	serverSlots        *budget.ConcurrencyLimits[netip.AddrPort] // queries to one server
	zoneSlots          *budget.ConcurrencyLimits[dnsname.Name]   // queries to the servers of one zone
	socketSlots        *budget.ConcurrencyLimits[struct{}]       // queries over UDP in all
	unknownServerSlots *budget.ConcurrencyLimits[struct{}]       // queries over UDP to servers that are not known to answer
	connectionSlots    *budget.ConcurrencyLimits[dnsname.Name]   // queries over TCP to the servers of one zone
}

func New(e *env.Env, r *routes.Router, s routes.Sender, t *transport.Transport) *Client {
	most := &e.Settings.Limits
	return &Client{
		Env: e, routes: r, KeyCache: keycache.New(), sender: s, transport: t, DialsAtOnce: e.Settings.Dial == nil,
		serverSlots:        budget.NewConcurrencyLimits[netip.AddrPort](most.QueriesPerServer),
		zoneSlots:          budget.NewConcurrencyLimits[dnsname.Name](most.QueriesPerZone),
		socketSlots:        budget.NewConcurrencyLimits[struct{}](most.Sockets),
		unknownServerSlots: budget.NewConcurrencyLimits[struct{}](max(1, most.Sockets-limits.Quarter(most.Sockets))),
		connectionSlots:    budget.NewConcurrencyLimits[dnsname.Name](limits.Quarter(most.Connections)),
	}
}

// OwnSockets reports whether queries are sent over sockets of the host, rather than by a function of
// the caller's.
func (r *Client) OwnSockets() bool { return r.transport != nil && r.Settings.Dial == nil }

// KeyCacheNow returns the key cache as the views of now divide it.
func (r *Client) KeyCacheNow() keycache.View {
	return r.KeyCache.DividedBy(r.routes.CurrentRoutes())
}

// Close closes the connections to servers, except those of routes.
func (r *Client) Close() error {
	if r.transport == nil {
		return nil
	}
	return r.transport.Close()
}

// Open returns how many sockets and connections to servers are open, except those of routes.
func (r *Client) Open() (sockets, connections int) {
	if r.transport == nil {
		return 0, 0
	}
	return r.transport.Open()
}
