package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestFewRootsOverTCP: where there are so few root servers that all have been silent before that is
// seen, as with a private root, they are asked again over TCP.
func TestFewRootsOverTCP(t *testing.T) {
	const all = "198.41.0.1 198.41.0.2 198.41.0.3 198.41.0.4 2001:db8:41::1 2001:db8:41::2 2001:db8:41::3 2001:db8:41::4"
	for n := 1; n <= 4; n++ {
		for seed := range uint64(8) {
			t.Run(fmt.Sprintf("%d servers, seed %d", n, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					few := strings.Join(strings.Fields(all)[:n], " ")
					in := resolvertest.New(t, strings.Replace(severalRoots, all, few, 1), resolvertest.Seed(seed))
					in.Update("-- fault * --\nwhen udp: drop")
					r := in.Resolver(t)
					wantSecure(t, r, "www.shop.example.")
					wantSecure(t, r, "www.test.")
					if s := r.Stats(); s.TurnsToClosed != 0 {
						t.Errorf("taken for closed %d times", s.TurnsToClosed)
					}
				})
			})
		}
	}
}

// TestForbiddenHere: a filter of this host that forbids UDP and lets TCP through is as good as a
// network's. One that forbids both is told as ever, and costs no waiting once that is known.
func TestForbiddenHere(t *testing.T) {
	for i := range 20 { // which servers are drawn must not matter
		all := i%2 > 0
		filter := func(o *resolver.Options) {
			dial := o.Dial
			o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				switch {
				case strings.HasPrefix(network, "udp"):
					return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.EPERM}
				case all:
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return dial(ctx, network, addr)
			}
		}
		inNetwork(t, filter, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
			if !all {
				wantSecure(t, r, "www.shop.example.")
				askRoot(t, r, 3, time.Second)
				if s := r.Stats(); s.Network != resolver.NetworkOnlyTCP {
					t.Errorf("got network %s", s.Network)
				}
				return
			}
			for i := range 4 {
				began := time.Now()
				if _, err := r.Resolve(t.Context(), topLevel(i), dns.TypeA); !errors.Is(err, resolver.ErrNoNetwork) {
					t.Errorf("got %v", err)
				}
				if took := time.Since(began); took > 6*time.Second || i > 2 && took > time.Second {
					t.Errorf("question %d took %v", i, took)
				}
			}
		})
	}
}
