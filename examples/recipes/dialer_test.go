package recipes

import (
	"errors"
	"net"
	"testing"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// A customDialer is the interface that NATS has for it.
type customDialer interface {
	Dial(network, address string) (net.Conn, error)
}

func TestDialer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := resolvertest.New(t, "-- zone example.com. --\nnats  A  127.0.0.1\n").Resolver(t)
	var dialer customDialer = Dialer{Resolver: r}
	conn, err := dialer.Dial("tcp", "nats.example.com:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	_, err = dialer.Dial("tcp", "nosuch.example.com:"+port)
	var dnsError *net.DNSError
	if !errors.As(err, &dnsError) || !dnsError.IsNotFound {
		t.Errorf("got %v, want a *net.DNSError that says not found", err)
	}
}
