package resolver

import (
	"context"
	"net/netip"

	"github.com/iterdns/iterdns/internal/transport"
)

// Exchanger carries one query to one server address and brings one reply back.
//
// Exchange sends once: the resolver itself retries, moves to TCP after a truncated reply
// and chooses the server, and counts each call. network is "udp" or "tcp"; query is a whole
// message in wire format, without TCP's length. The implementation need not look into the
// messages: the resolver checks whether the reply belongs to the query. Exchange returns
// when ctx ends, and is called concurrently. An error whose Timeout method returns true is
// a lost packet, any other a failed send; neither ends the question while another server is
// left. The reply becomes the resolver's.
type Exchanger interface {
	Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error)
}

// sender is an Exchanger that has each message checked that arrives, and goes on waiting
// when it is not the reply.
type sender interface {
	Send(ctx context.Context, network string, server netip.AddrPort, query []byte, w transport.Watch) ([]byte, error)
}

// checked makes a sender of an Exchanger: since that returns only one reply, a wrong one is
// a failed query.
type checked struct{ Exchanger }

func (c checked) Send(ctx context.Context, network string, server netip.AddrPort, query []byte, w transport.Watch) ([]byte, error) {
	w.Sent() // an Exchanger does not say when it has sent
	reply, err := c.Exchange(ctx, network, server, query)
	if err != nil {
		return nil, handedIn(err)
	}
	switch w.Check(reply) {
	case transport.Accept:
		return reply, nil
	case transport.Abandon:
		return reply, transport.ErrAbandoned
	case transport.Ignore:
		return nil, errForeignReply
	}
	return nil, errForeignReply
}
