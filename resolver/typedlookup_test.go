package resolver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const typedWorld = `
-- zone shop.example. at 198.51.100.3 --
www        300 A     192.0.2.80
www        300 A     192.0.2.81
alias       60 CNAME www
_25._tcp.mx    TLSA  3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
_443._udp.www  TLSA  3 1 1 fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210
host           SSHFP 4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
@              CAA   0 issue "ca.example"
own            CAA   0 issue ";"
deep.er.www    A     192.0.2.82
caa-alias      CNAME own
odd            TYPE65280 \# 4 0a000001
-- zone free.example. at 198.51.100.4 --
www            A     192.0.2.83
-- zone broken.example. at 198.51.100.5 --
-- fault 198.51.100.5 --
rcode SERVFAIL
`

// In the bubble no time passes, by which a TTL would be shorter.
func TestLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, typedWorld).Resolver(t, plain)
		a, err := resolver.Lookup[*dns.A](t.Context(), r, "Alias.shop.example")
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Records) != 2 || a.Records[0].A.String() != "192.0.2.80" {
			t.Errorf("got %v, want both addresses", a.Records)
		}
		got := fmt.Sprint(a.Canonical, a.Rcode, a.TTL, a.Status, len(a.Result.Answer))
		if want := fmt.Sprint("www.shop.example.", dns.RcodeSuccess, time.Minute, dnssec.Indeterminate, 3); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		cname, err := resolver.Lookup[*dns.CNAME](t.Context(), r, "alias.shop.example.")
		if err != nil || len(cname.Records) != 1 || cname.Records[0].Target != "www.shop.example." || cname.Canonical != "alias.shop.example." {
			t.Errorf("CNAME: got %+v %v, want the alias itself", cname, err)
		}
	})
}

// No such name and no such type are told apart, and no errors.
func TestLookupNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, typedWorld).Resolver(t, plain)
		for name, rcode := range map[string]int{"missing.shop.example": dns.RcodeNameError, "www.shop.example": dns.RcodeSuccess} {
			mx, err := resolver.Lookup[*dns.MX](t.Context(), r, name)
			if err != nil || mx.Rcode != rcode || mx.Records != nil || mx.TTL != 5*time.Minute || mx.Canonical != name+"." {
				t.Errorf("%s: got %+v %v, want no records and rcode %d", name, mx, err, rcode)
			}
		}
	})
}

func TestLookupErrors(t *testing.T) {
	r := resolvertest.New(t, typedWorld).Resolver(t, plain)
	_, err := resolver.Lookup[*dns.A](t.Context(), r, "www.broken.example")
	failed := new(resolver.Error)
	if !errors.As(err, &failed) || !failed.Temporary() {
		t.Errorf("server failure: got %v, want a temporary *resolver.Error", err)
	}
	if _, err = resolver.Lookup[*dns.A](t.Context(), r, "www..example"); !errors.Is(err, resolver.ErrName) {
		t.Errorf("no name: got %v, want ErrName", err)
	}
	_, ofAny := resolver.Lookup[*dns.ANY](t.Context(), r, "www.shop.example")
	_, ofOPT := resolver.Lookup[*dns.OPT](t.Context(), r, "www.shop.example")
	_, ofAll := resolver.Lookup[dns.RR](t.Context(), r, "www.shop.example")
	_, ofUnknown := resolver.Lookup[*dns.RFC3597](t.Context(), r, "odd.shop.example")
	for what, err := range map[string]error{"ANY": ofAny, "OPT": ofOPT, "dns.RR": ofAll, "RFC3597": ofUnknown} {
		if !errors.Is(err, resolver.ErrRecordType) || !errors.As(err, &failed) {
			t.Errorf("%s: got %v, want ErrRecordType in a *resolver.Error", what, err)
		}
	}
}

func TestLookupTLSAAndSSHFP(t *testing.T) {
	r := resolvertest.New(t, typedWorld).Resolver(t, plain)
	tlsa, err := r.LookupTLSA(t.Context(), "tcp", "mx.shop.example.", 25)
	if err != nil || len(tlsa.Records) != 1 || tlsa.Records[0].Usage != 3 {
		t.Errorf("TLSA over TCP: got %+v %v, want one record", tlsa.Records, err)
	}
	tlsa, err = r.LookupTLSA(t.Context(), "udp", "www.shop.example.", 443)
	if err != nil || len(tlsa.Records) != 1 || tlsa.Canonical != "_443._udp.www.shop.example." {
		t.Errorf("TLSA over UDP: got %+v %v, want one record", tlsa, err)
	}
	sshfp, err := r.LookupSSHFP(t.Context(), "host.shop.example")
	if err != nil || len(sshfp.Records) != 1 || sshfp.Records[0].Algorithm != 4 {
		t.Errorf("SSHFP: got %+v %v, want one record", sshfp.Records, err)
	}
}

func TestLookupCAA(t *testing.T) {
	in := resolvertest.New(t, typedWorld)
	r := in.Resolver(t, plain)
	for _, c := range []struct{ domain, at, issue string }{
		{"own.shop.example.", "own.shop.example.", ";"},
		{"*.own.shop.example.", "own.shop.example.", ";"},
		{"caa-alias.shop.example.", "own.shop.example.", ";"},
		{"www.shop.example", "shop.example.", "ca.example"},
		{"deep.er.www.shop.example.", "shop.example.", "ca.example"},
		{"no.such.name.shop.example.", "shop.example.", "ca.example"},
		{"www.free.example.", "example.", ""},
	} {
		caa, err := r.LookupCAA(t.Context(), c.domain)
		var issue strings.Builder
		for _, record := range caa.Records {
			issue.WriteString(record.Value)
		}
		if err != nil || caa.Canonical != c.at || issue.String() != c.issue {
			t.Errorf("%s: got %q at %s %v, want %q at %s", c.domain, issue.String(), caa.Canonical, err, c.issue, c.at)
		}
	}
	// A record that cannot be fetched may say anything, so that the whole fails.
	if caa, err := r.LookupCAA(t.Context(), "www.broken.example."); err == nil {
		t.Errorf("got %+v, want an error", caa)
	}
	if _, err := r.LookupCAA(t.Context(), "www..example."); !errors.Is(err, resolver.ErrName) {
		t.Errorf("no name: got %v, want ErrName", err)
	}
	if n := in.Count(resolvertest.Name("."), resolvertest.Type(dns.TypeCAA)); n != 0 {
		t.Errorf("the root was asked %d times, want never", n)
	}
}
