package resolver

import (
	"context"
	"net/netip"

	"github.com/iterdns/iterdns/internal/transport"
)

// Exchanger carries one query to one server address and brings one reply back.
//
// It sends once: retries, TCP after a truncated reply and the choice of server are
// the caller's business, who counts them. network is "udp" or "tcp"; query is a
// whole message without TCP's length. It does not look into the messages: whether
// the reply belongs to the query is checked above it. It returns when ctx ends, and
// is called concurrently. An error whose Timeout method says true is a lost packet,
// any other a failed send; neither ends the question while another server is left.
// The reply becomes the caller's.
type Exchanger interface {
	Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error)
}

// sender is an Exchanger that asks whether what arrived is the reply, so that it
// can go on waiting when it is not.
type sender interface {
	Send(ctx context.Context, network string, server netip.AddrPort, query []byte, w transport.Watch) ([]byte, error)
}

// checked makes a sender of an Exchanger: it has only one reply to offer, so a
// wrong one is as good as none.
type checked struct{ Exchanger }

func (c checked) Send(ctx context.Context, network string, server netip.AddrPort, query []byte, w transport.Watch) ([]byte, error) {
	w.Sent() // it knows best, and does not say
	reply, err := c.Exchange(ctx, network, server, query)
	if err != nil {
		return nil, err
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
