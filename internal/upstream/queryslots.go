package upstream

import (
	"context"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/limits"
)

// querySlots are the slots of an exchange: one among the queries under way to a zone, and one
// among those to a server.
type querySlots struct {
	zone   budget.Slot[dnsname.Name] // none for a forwarder, which serves many zones as one
	server budget.Slot[netip.AddrPort]
}

func (s *querySlots) leave() {
	s.server.Leave()
	s.zone.Leave()
}

// waitQuerySlots waits for the slots of the exchange.
func (x *exchange) waitQuerySlots(ctx context.Context) (err error) {
	if !x.Cut.Source.Forwards() {
		if x.slots.zone, err = budget.Acquire(ctx, x.Budget, x.r.zoneSlots, x.Cut.Zone, limits.QueriesPerZone); err != nil {
			return err
		}
	}
	if x.slots.server, err = budget.Acquire(ctx, x.Budget, x.r.serverSlots, x.to.Addr, limits.QueriesPerServer); err != nil {
		x.slots.leave()
	}
	return err
}

// tryQuerySlots is waitQuerySlots that does not wait, for a server that is no forwarder.
func (x *exchange) tryQuerySlots() (ok bool) {
	if x.slots.zone, ok = x.r.zoneSlots.TryEnter(x.Cut.Zone); !ok {
		return false
	}
	if x.slots.server, ok = x.r.serverSlots.TryEnter(x.to.Addr); !ok {
		x.slots.leave()
	}
	return ok
}

// quickServer is the round-trip time of servers that some sockets are reserved for: nearly
// all servers on this planet that are not behind a satellite need less.
const quickServer = 400 * time.Millisecond

// sendSlots are the slots of one send.
type sendSlots struct {
	unknown    budget.Slot[struct{}] // of a socket for a server that is not known to answer soon
	socket     budget.Slot[struct{}]
	connection budget.Slot[dnsname.Name]
}

func (s *sendSlots) leave() {
	s.connection.Leave()
	s.socket.Leave()
	s.unknown.Leave()
}

// waitSocketSlot waits for the slots of the socket or connection that the next send needs.
// That is not part of the time that the server has to answer.
func (x *exchange) waitSocketSlot(ctx context.Context) (s sendSlots, err error) {
	switch {
	case x.to.MustBeTLS(): // a hostile zone may have chosen it
		s.connection, err = budget.Acquire(ctx, x.Budget, x.r.connectionSlots, x.Cut.Zone, limits.Connections)
		return s, err
	case x.to.Forwarder != nil && x.to.Forwarder.Sender != nil, x.r.transport == nil:
		return s, nil // its own transport limits itself
	case x.network == "tcp" && x.Cut.Source.Forwards():
		return s, nil // the caller has chosen the server, not a hostile zone
	case x.network == "tcp":
		s.connection, err = budget.Acquire(ctx, x.Budget, x.r.connectionSlots, x.Cut.Zone, limits.Connections)
		return s, err
	case !x.isQuick():
		if s.unknown, err = budget.Acquire(ctx, x.Budget, x.r.unknownServerSlots, struct{}{}, limits.Sockets); err != nil {
			return s, err
		}
	}
	if s.socket, err = budget.Acquire(ctx, x.Budget, x.r.socketSlots, struct{}{}, limits.Sockets); err != nil {
		s.leave()
	}
	return s, err
}

// trySocketSlot is waitSocketSlot for a query over UDP to a server that is no forwarder, and does
// not wait.
func (x *exchange) trySocketSlot() (s sendSlots, ok bool) {
	if !x.isQuick() {
		if s.unknown, ok = x.r.unknownServerSlots.TryEnter(struct{}{}); !ok {
			return s, false
		}
	}
	if s.socket, ok = x.r.socketSlots.TryEnter(struct{}{}); !ok {
		s.leave()
	}
	return s, ok
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
