package upstream

import (
	"context"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
)

// waitQuerySlots waits for a slot among the queries under way to a zone, and for one among
// those to a server.
func (r *Client) waitQuerySlots(ctx context.Context, b *budget.Budget, cut *routes.ZoneCut, server netip.AddrPort) (leave func(), err error) {
	leaveZone := func() {}
	if !cut.Source.Forwards() { // a forwarder serves many zones as one
		if leaveZone, err = budget.Acquire(ctx, b, r.zoneSlots, cut.Zone, limits.QueriesPerZone); err != nil {
			return nil, err
		}
	}
	leaveServer, err := budget.Acquire(ctx, b, r.serverSlots, server, limits.QueriesPerServer)
	if err != nil {
		leaveZone()
		return nil, err
	}
	return func() {
		leaveServer()
		leaveZone()
	}, nil
}

// tryQuerySlots is waitQuerySlots that does not wait.
func (x *exchange) tryQuerySlots() (leave func(), ok bool) {
	leaveZone, ok := x.r.zoneSlots.TryEnter(x.Cut.Zone)
	if !ok {
		return nil, false
	}
	leaveServer, ok := x.r.serverSlots.TryEnter(x.to.Addr)
	if !ok {
		leaveZone()
		return nil, false
	}
	return func() {
		leaveServer()
		leaveZone()
	}, true
}

// quickServer is the round-trip time of servers that some sockets are reserved for: nearly
// all servers on this planet that are not behind a satellite need less.
const quickServer = 400 * time.Millisecond

// waitSocketSlot waits for the slot of the socket or connection that the next send needs.
// That is not part of the time that the server has to answer.
func (x *exchange) waitSocketSlot(ctx context.Context) (leave func(), err error) {
	switch {
	case x.to.Forwarder != nil && x.to.Forwarder.Sender != nil, x.r.transport == nil:
		return func() {}, nil // its own transport limits itself
	case x.network == "tcp" && x.Cut.Source.Forwards():
		return func() {}, nil // the caller has chosen the server, not a hostile zone
	case x.network == "tcp":
		return budget.Acquire(ctx, x.Budget, x.r.connectionSlots, x.Cut.Zone, limits.Connections)
	case x.isQuick():
		return budget.Acquire(ctx, x.Budget, x.r.socketSlots, struct{}{}, limits.Sockets)
	}
	leaveUnknown, err := budget.Acquire(ctx, x.Budget, x.r.unknownServerSlots, struct{}{}, limits.Sockets)
	if err != nil {
		return nil, err
	}
	leaveSockets, err := budget.Acquire(ctx, x.Budget, x.r.socketSlots, struct{}{}, limits.Sockets)
	if err != nil {
		leaveUnknown()
		return nil, err
	}
	return func() {
		leaveSockets()
		leaveUnknown()
	}, nil
}

// trySocketSlot is waitSocketSlot for a query over UDP to a server that is no forwarder, and does
// not wait.
func (x *exchange) trySocketSlot() (leave func(), ok bool) {
	if x.isQuick() {
		return x.r.socketSlots.TryEnter(struct{}{})
	}
	leaveUnknown, ok := x.r.unknownServerSlots.TryEnter(struct{}{})
	if !ok {
		return nil, false
	}
	leaveSockets, ok := x.r.socketSlots.TryEnter(struct{}{})
	if !ok {
		leaveUnknown()
		return nil, false
	}
	return func() {
		leaveSockets()
		leaveUnknown()
	}, true
}

// isQuick reports whether the server is known to answer, and soon.
func (x *exchange) isQuick() bool {
	return x.to.Estimate.Known && x.to.Estimate.Timeouts == 0 && x.to.Estimate.RTT <= quickServer
}

// noteConnectionWait is called when all connections are in use, so that the budget knows
// what its question waits for.
func (x *exchange) noteConnectionWait() (release func()) {
	return x.Budget.NoteWait(limits.Connections)
}
