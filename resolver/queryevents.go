package resolver

import (
	"time"
)

// tellQuery numbers the query that is about to be sent, and calls events.Query.
func (x *exchange) tellQuery() int {
	x.querySent.Store(true)
	id := int(x.budget.queries.Add(1))
	x.events.Query(x.walk, queryEvent{
		ID: id, Zone: x.cut.Zone, Server: x.to.addr, ServerName: x.to.name,
		Network: x.label(x.network), Asked: x.q, Minimised: x.minimised, Reason: x.why,
	})
	return id
}

// label names the network as listeners know it: the transport only knows that it is a stream.
func (x *exchange) label(network string) string {
	if x.streamOnly() {
		return x.to.forwarder.network
	}
	return network
}

// tellFailure calls events.Response for a send without an acceptable reply.
func (x *exchange) tellFailure(id int, network string, rtt time.Duration, msg []byte, err error) {
	e := x.response(id, network, rtt, msg)
	e.Err = err
	x.events.Response(x.walk, e)
}

// tellResponse calls events.Response with what handleReply made of the reply.
func (x *exchange) tellResponse(id int, network string, rtt time.Duration, msg []byte, out exchangeResult) {
	e := x.response(id, network, rtt, msg)
	e.Err = out.err
	switch {
	case out.reply != nil:
		e.Kind, e.Rcode = out.reply.kind.String(), out.reply.Rcode
	case x.accepted != nil:
		e.Kind, e.Rcode = "asked again", x.accepted.Rcode()
	default:
		e.Kind = "truncated"
	}
	x.events.Response(x.walk, e)
}

func (x *exchange) response(id int, network string, rtt time.Duration, msg []byte) responseEvent {
	return responseEvent{
		ID: id, Zone: x.cut.Zone, Server: x.to.addr, ServerName: x.to.name,
		Network: x.label(network), RTT: rtt, Message: msg,
	}
}
