package resolver

import (
	"context"
	"net/netip"
	"time"
)

// enter waits for a place among the queries under way to a zone and to a server.
func (r *Resolver) enter(ctx context.Context, b *budget, cut *zoneCut, server netip.AddrPort) (leave func(), err error) {
	leaveZone := func() {}
	if !cut.from.forwards() { // a forwarder's zone is many zones
		if leaveZone, err = pass(ctx, b, r.zones, cut.Zone, limitZone, r.config.limits.QueriesPerZone); err != nil {
			return nil, err
		}
	}
	leaveServer, err := pass(ctx, b, r.servers, server, limitServer, r.config.limits.QueriesPerServer)
	if err != nil {
		leaveZone()
		return nil, err
	}
	return func() {
		leaveServer()
		leaveZone()
	}, nil
}

// quickServer is the round-trip time of servers for which some sockets are kept: of those on
// this planet that are not behind a satellite nearly all need less.
const quickServer = 400 * time.Millisecond

// connect waits until there is room for what the next send needs of this host. That is no
// part of the time that the server has to answer.
func (c *conversation) connect(ctx context.Context) (leave func(), err error) {
	limits := &c.r.config.limits
	switch {
	case c.to.hop != nil && c.to.hop.sender != nil, c.r.transport == nil:
		return func() {}, nil // a sender with room of its own
	case c.network == "tcp" && c.cut.from.forwards():
		return func() {}, nil // the caller's own choice, and not one of a hostile zone
	case c.network == "tcp":
		return pass(ctx, c.t.budget, c.r.streams, c.cut.Zone, limitConnections, limits.Connections)
	case c.to.estimate.Known && c.to.estimate.Timeouts == 0 && c.to.estimate.RTT <= quickServer:
		return pass(ctx, c.t.budget, c.r.sockets, struct{}{}, limitSockets, limits.Sockets)
	}
	leaveStrangers, err := pass(ctx, c.t.budget, c.r.strangers, struct{}{}, limitSockets, limits.Sockets)
	if err != nil {
		return nil, err
	}
	leaveSockets, err := pass(ctx, c.t.budget, c.r.sockets, struct{}{}, limitSockets, limits.Sockets)
	if err != nil {
		leaveStrangers()
		return nil, err
	}
	return func() {
		leaveSockets()
		leaveStrangers()
	}, nil
}

// waits is called when all connections are in use.
func (c *conversation) waits() (release func()) {
	return c.t.budget.hold(limitConnections, c.r.config.limits.Connections)
}
