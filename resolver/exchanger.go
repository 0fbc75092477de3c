package resolver

import (
	"context"
	"net/netip"

	"github.com/iterdns/iterdns/internal/transport"
)

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
