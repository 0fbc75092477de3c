package resolver

import (
	"context"
	"net/netip"
	"time"
)

// waitQuerySlots waits for a slot among the queries under way to a zone, and for one among
// those to a server.
func (r *upstreamClient) waitQuerySlots(ctx context.Context, b *budget, cut *zoneCut, server netip.AddrPort) (leave func(), err error) {
	leaveZone := func() {}
	if !cut.source.forwards() { // a forwarder serves many zones as one
		if leaveZone, err = acquire(ctx, b, r.zoneSlots, cut.Zone, limitQueriesPerZone); err != nil {
			return nil, err
		}
	}
	leaveServer, err := acquire(ctx, b, r.serverSlots, server, limitQueriesPerServer)
	if err != nil {
		leaveZone()
		return nil, err
	}
	return func() {
		leaveServer()
		leaveZone()
	}, nil
}

// quickServer is the round-trip time of servers that some sockets are reserved for: nearly
// all servers on this planet that are not behind a satellite need less.
const quickServer = 400 * time.Millisecond

// waitSocketSlot waits for the slot of the socket or connection that the next send needs.
// That is not part of the time that the server has to answer.
func (x *exchange) waitSocketSlot(ctx context.Context) (leave func(), err error) {
	switch {
	case x.to.forwarder != nil && x.to.forwarder.sender != nil, x.r.transport == nil:
		return func() {}, nil // its own transport limits itself
	case x.network == "tcp" && x.cut.source.forwards():
		return func() {}, nil // the caller has chosen the server, not a hostile zone
	case x.network == "tcp":
		return acquire(ctx, x.budget, x.r.connectionSlots, x.cut.Zone, limitConnections)
	case x.to.estimate.Known && x.to.estimate.Timeouts == 0 && x.to.estimate.RTT <= quickServer:
		return acquire(ctx, x.budget, x.r.socketSlots, struct{}{}, limitSockets)
	}
	leaveUnknown, err := acquire(ctx, x.budget, x.r.unknownServerSlots, struct{}{}, limitSockets)
	if err != nil {
		return nil, err
	}
	leaveSockets, err := acquire(ctx, x.budget, x.r.socketSlots, struct{}{}, limitSockets)
	if err != nil {
		leaveUnknown()
		return nil, err
	}
	return func() {
		leaveSockets()
		leaveUnknown()
	}, nil
}

// noteConnectionWait is called when all connections are in use, so that the budget knows
// what its question waits for.
func (x *exchange) noteConnectionWait() (release func()) {
	return x.budget.noteWait(limitConnections)
}
