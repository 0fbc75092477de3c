package upstream

import (
	"time"

	"github.com/iterdns/iterdns/internal/events"
)

// tellQuery numbers the query that is about to be sent, and calls events.Query.
func (x *exchange) tellQuery() int {
	if x.QuerySent != nil {
		x.QuerySent.Store(true)
	}
	id := int(x.Budget.Queries.Add(1))
	x.Events.Query(x.Walk, events.Query{
		ID: id, Zone: x.Cut.Zone, Server: x.to.Addr, ServerName: x.to.Name,
		Network: x.label(x.network), Asked: x.Q, Minimised: x.Minimised, Reason: x.why,
	})
	return id
}

// label names the network as listeners know it: the transport only knows that it is a stream.
func (x *exchange) label(network string) string {
	if x.to.Forwarder != nil && x.to.Forwarder.Stream {
		return x.to.Forwarder.Network
	}
	return network
}

// tellFailure calls events.Response for a send without an acceptable reply.
func (x *exchange) tellFailure(id int, network string, rtt time.Duration, msg []byte, err error) {
	e := x.response(id, network, rtt, msg)
	e.Err = err
	x.Events.Response(x.Walk, e)
}

// tellResponse calls events.Response with what handleReply made of the reply.
func (x *exchange) tellResponse(id int, network string, rtt time.Duration, msg []byte, out Result) {
	e := x.response(id, network, rtt, msg)
	e.Err = out.Err
	switch {
	case out.Reply != nil:
		e.Kind, e.Rcode = out.Reply.Kind.String(), out.Reply.Rcode
	case x.accepted != nil:
		e.Kind, e.Rcode = "asked again", x.accepted.Rcode()
	default:
		e.Kind = "truncated"
	}
	x.Events.Response(x.Walk, e)
}

func (x *exchange) response(id int, network string, rtt time.Duration, msg []byte) events.Response {
	return events.Response{
		ID: id, Zone: x.Cut.Zone, Server: x.to.Addr, ServerName: x.to.Name,
		Network: x.label(network), RTT: rtt, Message: msg,
	}
}
