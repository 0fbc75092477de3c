package main

import (
	"context"
	"testing"
	"time"

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
		client := &dns.Client{Net: server.Net, Timeout: time.Minute} // more than a busy machine takes
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

// start runs a server until the end of the test, and returns the address it got.
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

// Queries under way when the server gets the signal to end are answered, over both transports.
func TestServeDrains(t *testing.T) {
	in := resolvertest.New(t, `
-- zone slow.example. at 198.51.100.3 --
*  A  192.0.2.80
-- fault 198.51.100.3 --
latency 300ms
`)
	r := in.Resolver(t)
	asked := make(chan struct{}, 2)
	list := servers("127.0.0.1:0", dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		asked <- struct{}{}
		r.ServeDNS(w, m)
	}))
	var started []chan struct{}
	for _, server := range list {
		up := make(chan struct{})
		server.NotifyStartedFunc = func() { close(up) }
		started = append(started, up)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, list) }()
	replies := make(chan *dns.Msg, len(list))
	for i, server := range list {
		<-started[i]
		address := ""
		if server.Net == "udp" {
			address = server.PacketConn.LocalAddr().String()
		} else {
			address = server.Listener.Addr().String()
		}
		go func() {
			client := &dns.Client{Net: server.Net, Timeout: time.Minute}
			reply, _, err := client.Exchange(new(dns.Msg).SetQuestion("www-"+server.Net+".slow.example.", dns.TypeA), address)
			if err != nil {
				t.Errorf("%s: %v", server.Net, err)
			}
			replies <- reply
		}()
	}
	<-asked
	<-asked
	end()
	for range list {
		if reply := <-replies; reply == nil || reply.Rcode != dns.RcodeSuccess {
			t.Errorf("got\n%v\nwant the answer", reply)
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}
