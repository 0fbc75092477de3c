package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const serviceWorld = `
-- zone svc.example. at 198.51.100.3 --
_http._tcp.web  60 SRV 10 0 8080 pod-1
_http._tcp.web  60 SRV 20 0 8081 pod-2
_http._tcp.web  60 SRV 30 0 8082 gone
pod-1           30 A   192.0.2.1
pod-1          300 AAAA 2001:db8::1
pod-2          300 A   192.0.2.2
alias.web      300 CNAME _http._tcp.web
_off._tcp.web      SRV 0 0 0 .
_lost._tcp.web     SRV 0 0 80 gone
_lost._tcp.web     SRV 1 0 80 gone-too
_bad._tcp.web      SRV 0 0 80 b\ d
_half._tcp.web     SRV 0 0 80 b\ d
_half._tcp.web     SRV 0 0 80 pod-2
`

// serviceText writes servers with their addresses or errors.
func serviceText(s resolver.Service) string {
	var lines []string
	for _, server := range s.Servers {
		lines = append(lines, fmt.Sprintf("%s:%d %v %v", server.Target, server.Port, server.Addrs, server.Err))
	}
	return strings.Join(lines, "\n")
}

func TestLookupService(t *testing.T) {
	r := resolvertest.New(t, serviceWorld).Resolver(t, plain)
	const servers = `pod-1.svc.example.:8080 [192.0.2.1:8080 [2001:db8::1]:8080] <nil>
pod-2.svc.example.:8081 [192.0.2.2:8081] <nil>
gone.svc.example.:8082 [] lookup gone.svc.example.: no such host`
	for _, c := range []struct{ service, proto, name string }{
		{"http", "tcp", "web.svc.example"}, {"", "", "_http._tcp.web.svc.example."}, {"", "", "alias.web.svc.example"},
	} {
		s, err := r.LookupService(t.Context(), c.service, c.proto, c.name)
		if err != nil || serviceText(s) != servers {
			t.Errorf("%v: got\n%s\n%v, want\n%s", c, serviceText(s), err, servers)
		}
		if s.TTL != 30*time.Second || s.Status != dnssec.Indeterminate || s.Canonical != "_http._tcp.web.svc.example." {
			t.Errorf("%v: got TTL %v, %v, %s, want those of the address that lives shortest", c, s.TTL, s.Status, s.Canonical)
		}
	}
}

func TestLookupServiceErrors(t *testing.T) {
	r := resolvertest.New(t, serviceWorld).Resolver(t, plain)
	for service, want := range map[string]string{
		"none": "lookup _none._tcp.web.svc.example: no such host",
		"off":  "lookup _off._tcp.web.svc.example: no such host",
		"lost": "lookup gone.svc.example.: no such host",
		"bad":  "lookup _bad._tcp.web.svc.example: DNS response contained records which contain invalid names",
	} {
		s, err := r.LookupService(t.Context(), service, "tcp", "web.svc.example")
		if e := new(net.DNSError); !errors.As(err, &e) || err.Error() != want {
			t.Errorf("%s: got %+v %v, want %s", service, s, err, want)
		}
	}
	s, err := r.LookupService(t.Context(), "half", "tcp", "web.svc.example")
	if err != nil || len(s.Servers) != 1 || s.Servers[0].Target != "pod-2.svc.example." {
		t.Errorf("half: got %s %v, want the good one", serviceText(s), err)
	}
}

// Hundreds of pods are looked up some at a time, and a caller that gives up does not get
// half an answer.
func TestLookupServiceMany(t *testing.T) {
	var zone strings.Builder
	zone.WriteString("-- zone svc.example. at 198.51.100.3 --\n")
	for i := range 100 {
		fmt.Fprintf(&zone, "_http._tcp.web SRV 10 0 80 pod-%d\npod-%d A 192.0.2.%d\n", i, i, i)
	}
	zone.WriteString("-- fault * --\nlatency 20ms\n")
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, zone.String())
		r := in.Resolver(t, plain)
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		if s, err := r.LookupService(ctx, "http", "tcp", "web.svc.example"); err == nil {
			for _, server := range s.Servers {
				if (server.Err == nil) != (len(server.Addrs) > 0) {
					t.Errorf("given up: got %+v, want addresses or an error", server)
				}
			}
		}
		s, err := r.LookupService(t.Context(), "http", "tcp", "web.svc.example")
		if err != nil || len(s.Servers) != 100 {
			t.Fatalf("got %d servers, %v, want 100", len(s.Servers), err)
		}
		for _, server := range s.Servers {
			if len(server.Addrs) != 1 || server.Err != nil {
				t.Errorf("got %+v, want one address", server)
			}
		}
	})
}

const bindingWorld = `
-- zone shop.example. at 198.51.100.3 --
@            HTTPS 2 . alpn=h2 port=8443
@            HTTPS 1 svc alpn=h3,h2 no-default-alpn ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1 ech=AEX+
alias        CNAME @
apex         HTTPS 0 pool.example.
mixed        HTTPS 1 . alpn=h2
mixed        HTTPS 0 pool.example.
off          HTTPS 0 .
odd          HTTPS 1 . mandatory=key65000 key65000=x
odd          HTTPS 2 . no-default-alpn
odd          HTTPS 3 . mandatory=alpn alpn=h2 key65001=y
_8443._https HTTPS 1 other
_dns.res     SVCB  1 dot.example. alpn=h2 dohpath=/q{?dns} port=443
`

func TestLookupHTTPS(t *testing.T) {
	r := resolvertest.New(t, bindingWorld).Resolver(t, plain)
	for _, c := range []struct {
		host string
		port uint16
		want string
	}{
		{"shop.example", 443, " [1 svc.shop.example. [h3 h2] true 0 [192.0.2.1 192.0.2.2] [2001:db8::1] 0045fe][2 shop.example. [h2] false 8443 [] [] ]"},
		{"alias.shop.example", 80, " [1 svc.shop.example. [h3 h2] true 0 [192.0.2.1 192.0.2.2] [2001:db8::1] 0045fe][2 shop.example. [h2] false 8443 [] [] ]"},
		{"shop.example.", 8443, " [1 other.shop.example. [] false 0 [] [] ]"},
		{"apex.shop.example", 0, "pool.example. "},
		{"mixed.shop.example", 443, "pool.example. "},
		{"off.shop.example", 443, ". "},
		{"odd.shop.example", 443, " [3 odd.shop.example. [h2] false 0 [] [] ]"},
		{"missing.shop.example", 443, " "},
	} {
		b, err := r.LookupHTTPS(t.Context(), c.host, c.port)
		if err != nil {
			t.Errorf("%s: %v", c.host, err)
		}
		var got strings.Builder
		got.WriteString(b.Alias + " ")
		for _, s := range b.Services {
			got.WriteString(fmt.Sprintf("[%d %s %v %t %d %v %v %x]", s.Priority, s.Target, s.ALPN, s.NoDefaultALPN, s.Port, s.IPv4Hint, s.IPv6Hint, s.ECH))
		}
		if got.String() != c.want {
			t.Errorf("%s port %d: got\n\t%s\nwant\n\t%s", c.host, c.port, got.String(), c.want)
		}
	}
	b, err := r.LookupHTTPS(t.Context(), "odd.shop.example", 443)
	if err != nil || len(b.Services) != 1 || len(b.Services[0].Other) != 1 {
		t.Errorf("got %+v %v, want the parameter that is not known among Other", b.Services, err)
	}
	if b.TTL != 5*time.Minute || b.Canonical != "odd.shop.example." || b.Rcode != dns.RcodeSuccess || b.Result == nil {
		t.Errorf("got %+v, want what Records would say", b)
	}
}

func TestLookupSVCB(t *testing.T) {
	r := resolvertest.New(t, bindingWorld).Resolver(t, plain)
	b, err := r.LookupSVCB(t.Context(), "_dns.res.shop.example")
	if err != nil || len(b.Services) != 1 {
		t.Fatalf("got %+v %v, want one binding", b, err)
	}
	if s := b.Services[0]; s.Target != "dot.example." || s.DoHPath != "/q{?dns}" || s.Port != 443 {
		t.Errorf("got %+v, want target, path and port", s)
	}
}
