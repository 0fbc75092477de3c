package recipes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

const (
	// raceDelay is when the next address is tried beside those before (RFC 8305 §5).
	raceDelay = 250 * time.Millisecond
	// maxRaced is how many addresses of a host are tried.
	maxRaced = 8
)

// RaceUDP resolves a host and races its addresses for a protocol over UDP, such as QUIC: there a
// socket that is "connected" says nothing, only the handshake does. handshake makes a connection
// to one address and returns soon after its context ends, quic.Transport.Dial for example. A new
// attempt begins every 250 ms, and at once when one fails, in the order of RFC 6724 with the
// families in turn (RFC 8305 §4). The first connection is returned; discard gets those that were
// made too late.
func RaceUDP[C any](ctx context.Context, r *resolver.Resolver, host string, port uint16,
	handshake func(ctx context.Context, server netip.AddrPort) (C, error), discard func(C),
) (C, error) {
	var none C
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return none, err
	}
	addrs = inTurn(addrs)
	if len(addrs) > maxRaced {
		addrs = addrs[:maxRaced]
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type attempt struct {
		conn C
		err  error
	}
	ended := make(chan attempt)
	next := time.NewTimer(0)
	defer next.Stop()
	begun, running := 0, 0
	var failures []error
	for begun < len(addrs) || running > 0 {
		select {
		case <-next.C:
			if begun == len(addrs) {
				continue
			}
			server := netip.AddrPortFrom(addrs[begun], port)
			begun, running = begun+1, running+1
			go func() {
				conn, err := handshake(ctx, server)
				if err != nil {
					err = fmt.Errorf("%v: %w", server, err)
				}
				ended <- attempt{conn, err}
			}()
			next.Reset(raceDelay)
		case a := <-ended:
			running--
			if a.err != nil {
				failures = append(failures, a.err)
				next.Reset(0)
				continue
			}
			cancel()
			for range running {
				if late := <-ended; late.err == nil {
					discard(late.conn)
				}
			}
			return a.conn, nil
		}
	}
	return none, errors.Join(failures...)
}

// inTurn orders addresses so that the families take turns, beginning with that of the first.
func inTurn(addrs []netip.Addr) []netip.Addr {
	var ordered, first, second []netip.Addr
	for _, a := range addrs {
		if a.Is4() == addrs[0].Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	for i := range first {
		ordered = append(ordered, first[i])
		if i < len(second) {
			ordered = append(ordered, second[i])
		}
	}
	if len(second) > len(first) {
		ordered = slices.Concat(ordered, second[len(first):])
	}
	return ordered
}
