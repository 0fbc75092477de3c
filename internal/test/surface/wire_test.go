package main

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func TestWire(t *testing.T) {
	r := resolvertest.New(t, shopWorld).Resolver(t)
	query, err := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	replies := 0
	check := func(reply []byte) {
		replies++
		m := new(dns.Msg)
		if err := m.Unpack(reply); err != nil || len(m.Answer) != 1 {
			t.Errorf("got %v, %v", m, err)
		}
	}
	r.ServeWire(query, resolver.WireClient{MaxSize: 1232}, check)
	reply, err := r.ExchangeWire(t.Context(), nil, query, 0)
	if err != nil {
		t.Fatal(err)
	}
	if check(reply); replies != 2 {
		t.Errorf("%d replies, want 2", replies)
	}
}

func TestWhatIsKnown(t *testing.T) {
	r := resolvertest.New(t, shopWorld).Resolver(t)
	if _, err := r.Resolve(t.Context(), "www.shop.example", dns.TypeA); err != nil {
		t.Fatal(err)
	}
	servers := 0
	r.WalkServers(func(s resolver.KnownServer) bool {
		if s.Addr.IsValid() {
			servers++
		}
		return true
	})
	if servers == 0 || r.Options().Cache == nil {
		t.Errorf("%d servers are known, options are %+v", servers, r.Options())
	}
}
