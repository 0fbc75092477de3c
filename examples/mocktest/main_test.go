package main

import (
	"errors"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// The root, com. and all that is not written are made up as needed.
const internet = `
-- zone example.com. at 198.51.100.1 198.51.100.2 --
@     MX  20 backup
@     MX  10 mail
-- zone example.net. --
www   A   192.0.2.80
-- zone example.org. --
@     MX  0 .
`

func TestMailHosts(t *testing.T) {
	r := resolvertest.New(t, internet).Resolver(t)
	tests := []struct {
		domain string
		want   []string
		err    error
	}{
		{"example.com", []string{"mail.example.com.", "backup.example.com."}, nil},
		{"example.net", []string{"example.net."}, nil},
		{"example.org", nil, errNoMail},
		{"nosuch.example.com", nil, errNoDomain},
	}
	for _, test := range tests {
		got, err := mailHosts(t.Context(), r, test.domain)
		if !slices.Equal(got, test.want) || !errors.Is(err, test.err) {
			t.Errorf("%s: got %q, %v, want %q, %v", test.domain, got, err, test.want, test.err)
		}
	}
}

// One of two servers fails: nobody notices.
func TestOneServerFails(t *testing.T) {
	in := resolvertest.New(t, internet)
	in.Fault("198.51.100.1", resolvertest.Rcode(dns.RcodeServerFailure))
	got, err := mailHosts(t.Context(), in.Resolver(t), "example.com")
	if err != nil || len(got) != 2 {
		t.Errorf("got %q, %v, want both hosts", got, err)
	}
	if in.Count(resolvertest.To("198.51.100.2")) == 0 {
		t.Errorf("the working server got no query:\n%s", resolvertest.Table(in.Log()))
	}
}

// Both fail: that is an error, not a domain without mail.
func TestAllServersFail(t *testing.T) {
	in := resolvertest.New(t, internet)
	in.Fault("example.com.", resolvertest.LameRefused())
	got, err := mailHosts(t.Context(), in.Resolver(t), "example.com")
	var failure *resolver.Error
	if !errors.As(err, &failure) || failure.Zone != "example.com." {
		t.Errorf("got %q, %v, want a *resolver.Error about example.com.", got, err)
	}
}
