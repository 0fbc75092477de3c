package transport

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Sends to one address share a connection if their peers are equal, and only then.
func TestPeersShareNothing(t *testing.T) {
	var mu sync.Mutex
	dialed := make(map[any]int)
	open := func(peer any) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		dialed[peer]++
		here, there := net.Pipe()
		go func() {
			conn := &dns.Conn{Conn: there}
			for {
				query, err := conn.ReadMsg()
				if err != nil {
					return
				}
				conn.WriteMsg(query)
			}
		}()
		return here, nil
	}
	tr := New(Options{
		Dial:     func(context.Context, string, string) (net.Conn, error) { return open(nil) },
		DialPeer: func(_ context.Context, peer any, _, _ string) (net.Conn, error) { return open(peer) },
	})
	defer tr.Close()
	server := netip.MustParseAddrPort("192.0.2.1:853")
	for i, peer := range []any{nil, "ns1", "ns2", "ns1", nil, "ns2"} {
		query := new(dns.Msg).SetQuestion("example.", dns.TypeA)
		query.Id = uint16(i)
		packed, err := query.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Send(t.Context(), "tcp", server, packed, Watch{Peer: peer}); err != nil {
			t.Error(err)
		}
	}
	if dialed[nil] != 1 || dialed["ns1"] != 1 || dialed["ns2"] != 1 || len(dialed) != 3 {
		t.Errorf("got connections %v, want one for each peer", dialed)
	}
}
