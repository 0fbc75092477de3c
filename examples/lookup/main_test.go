package main

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func TestLookup(t *testing.T) {
	in := resolvertest.New(t, `
-- zone shop.example. signed --
www   CNAME  host.plain.example.
host  60 A   192.0.2.80
host  AAAA   2001:db8::80
old   TXT    "no address any more"
-- zone plain.example. --
host  A      192.0.2.80
host  AAAA   2001:db8::80
-- zone broken.example. --
www   A      192.0.2.81
-- fault broken.example. --
rcode SERVFAIL
`)
	r := in.Resolver(t)
	tests := []struct {
		name, want string
		failure    *net.DNSError // its flags; nil: none
		says       []string
	}{
		{"www.shop.example", "192.0.2.80\n2001:db8::80\nmay be kept for 5m0s, insecure\n", nil, nil},
		{"host.shop.example.", "192.0.2.80\n2001:db8::80\nmay be kept for 1m0s, secure\n", nil, nil},
		{"old.shop.example", "", &net.DNSError{IsNotFound: true}, []string{"lookup old.shop.example: no such host\n", "the name exists, but has no records of the type"}},
		{"nosuch.shop.example", "", &net.DNSError{IsNotFound: true}, []string{"lookup nosuch.shop.example: no such host\n", "the name does not exist"}},
		{"www.broken.example", "", &net.DNSError{IsTemporary: true}, []string{
			"lookup www.broken.example on ", ": server misbehaving: zone broken.example.: no reachable server: ", ": answered SERVFAIL",
			"no name server sent a usable answer", "only their operator can mend that",
		}},
	}
	for _, test := range tests {
		var out bytes.Buffer
		err := lookup(t.Context(), r, test.name, &out)
		if out.String() != test.want {
			t.Errorf("%s: got %q, want %q", test.name, &out, test.want)
		}
		for _, text := range test.says {
			if err == nil || !strings.Contains(report(err), text) {
				t.Errorf("%s: got %v, want %q in what is said", test.name, err, text)
			}
		}
		var failure *net.DNSError
		switch errors.As(err, &failure); {
		case test.failure == nil && err != nil:
			t.Errorf("%s: got %v, want no error", test.name, err)
		case test.failure == nil:
		case failure == nil || failure.IsNotFound != test.failure.IsNotFound || failure.IsTemporary != test.failure.IsTemporary:
			t.Errorf("%s: got %#v, want the flags of %#v", test.name, err, test.failure)
		}
	}
}
