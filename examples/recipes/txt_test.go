package recipes

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// multiaddrResolver is what go-multiaddr-dns calls BasicResolver and TXTWithTTLResolver.
type multiaddrResolver interface {
	LookupIPAddr(context.Context, string) ([]net.IPAddr, error)
	LookupTXT(context.Context, string) ([]string, error)
	LookupTXTWithTTL(ctx context.Context, name string) ([]string, time.Duration, error)
}

func TestMultiaddr(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r multiaddrResolver = Multiaddr{resolvertest.New(t, `
-- zone example.com. --
_dnsaddr  120  TXT  "dnsaddr=/ip4/192.0.2.1/tcp/4001" "/p2p/Qm"
`).Resolver(t)}
		want := []string{"dnsaddr=/ip4/192.0.2.1/tcp/4001/p2p/Qm"}
		got, ttl, err := r.LookupTXTWithTTL(t.Context(), "_dnsaddr.example.com")
		if err != nil || !slices.Equal(got, want) || ttl != 120*time.Second {
			t.Errorf("got %q for %v, %v, want %q for 2m", got, ttl, err, want)
		}
		time.Sleep(50 * time.Second)
		if _, ttl, err := r.LookupTXTWithTTL(t.Context(), "_dnsaddr.example.com"); err != nil || ttl != 70*time.Second {
			t.Errorf("50 s later: got %v, %v, want 1m10s", ttl, err)
		}
		_, _, err = r.LookupTXTWithTTL(t.Context(), "nosuch.example.com")
		var dnsError *net.DNSError
		if !errors.As(err, &dnsError) || !dnsError.IsNotFound {
			t.Errorf("got %v, want a *net.DNSError that says not found", err)
		}
	})
}
