package main

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestServer asks over both transports, as a stub resolver would.
func TestServer(t *testing.T) {
	in := resolvertest.New(t, `
-- zone shop.example. --
www  A  192.0.2.80
-- zone broken.example. --
www  A  192.0.2.81
-- fault broken.example. --
rcode SERVFAIL
`)
	tests := []struct {
		name    string
		rcode   int
		records int
	}{
		{"www.shop.example.", dns.RcodeSuccess, 1},
		{"nosuch.shop.example.", dns.RcodeNameError, 0},
		{"www.broken.example.", dns.RcodeServerFailure, 0},
	}
	for _, server := range servers("127.0.0.1:0", in.Resolver(t)) {
		address := start(t, server)
		client := &dns.Client{Net: server.Net}
		for _, test := range tests {
			query := new(dns.Msg).SetQuestion(test.name, dns.TypeA)
			reply, _, err := client.ExchangeContext(t.Context(), query, address)
			if err != nil {
				t.Fatalf("%s over %s: %v", test.name, server.Net, err)
			}
			if reply.Rcode != test.rcode || len(reply.Answer) != test.records || !reply.RecursionAvailable {
				t.Errorf("%s over %s: got\n%v\nwant %s, %d records and RA", test.name, server.Net, reply,
					dns.RcodeToString[test.rcode], test.records)
			}
		}
	}
}

// start runs a server until the end of the test, and gives the address it got.
func start(t *testing.T, server *dns.Server) string {
	t.Helper()
	running, ended := make(chan struct{}), make(chan error, 1)
	server.NotifyStartedFunc = func() { close(running) }
	go func() { ended <- server.ListenAndServe() }()
	select {
	case <-running:
	case err := <-ended:
		t.Fatalf("%s: %v", server.Net, err)
	}
	t.Cleanup(func() {
		if err := server.Shutdown(); err != nil {
			t.Errorf("%s: %v", server.Net, err)
		}
		<-ended
	})
	if server.Net == "udp" {
		return server.PacketConn.LocalAddr().String()
	}
	return server.Listener.Addr().String()
}
