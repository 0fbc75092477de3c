package main

import (
	"fmt"
	"testing"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func TestLookup(t *testing.T) {
	in := resolvertest.New(t, `
-- zone shop.example. --
www   CNAME  host
host  A      192.0.2.80
host  AAAA   2001:db8::80
old   TXT    "no address any more"
-- zone broken.example. --
www   A      192.0.2.81
-- fault broken.example. --
rcode SERVFAIL
`)
	r := in.Resolver(t)
	tests := []struct {
		name, want string
		fails      bool
	}{
		{"www.shop.example", "[192.0.2.80 2001:db8::80]", false},
		{"host.shop.example.", "[192.0.2.80 2001:db8::80]", false},
		{"old.shop.example", "[]", false},
		{"nosuch.shop.example", "[]", false},
		{"www.broken.example", "[]", true},
	}
	for _, test := range tests {
		addrs, err := lookup(t.Context(), r, test.name)
		if got := fmt.Sprint(addrs); got != test.want || (err != nil) != test.fails {
			t.Errorf("%s: got %s, %v, want %s and an error: %t", test.name, got, err, test.want, test.fails)
		}
	}
}
