package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const reasonWorld = `
-- zone shop.example. at 198.51.100.3 198.51.100.4 signed --
www A 192.0.2.1
-- zone late.example. at 198.51.100.5 signed break=expired --
www A 192.0.2.1
`

// TestNetErrorReasons: the methods of package net say why there is no answer, package net's words
// first, and name only servers that were asked.
func TestNetErrorReasons(t *testing.T) {
	for _, test := range []struct {
		about, fault, host string
		err                string // of DNSError.Err; {…} are alternatives for the order of servers
		cause              error
		timeout            bool
	}{
		{"bogus", "", "www.late.example", "server misbehaving: DNSSEC bogus: signature expired: late.example. DNSKEY", nil, false},
		{"SERVFAIL", "-- fault shop.example. --\nrcode SERVFAIL\n", "www.shop.example",
			"server misbehaving: zone shop.example.: no reachable server: ", resolver.ErrNoReachableServer, false},
		{"silence", "-- fault shop.example. --\ndead\n", "www.shop.example",
			"i/o timeout: zone shop.example.: no reachable server: ", resolver.ErrNoReachableServer, true},
		{"blocked", "-- fault * --\ndead\n", "www.shop.example", "i/o timeout: port 53 is blocked (asked ", resolver.ErrBlocked, true},
		{"no network", "-- fault * --\nunreachable\n", "www.shop.example", "server misbehaving: no network (tried ", resolver.ErrNoNetwork, false},
		{"intercepted", "-- intercept --\nset ra\nclear aa\n", "www.shop.example", "server misbehaving: port 53 is intercepted (asked ", resolver.ErrIntercepted, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := resolvertest.New(t, reasonWorld+test.fault).Resolver(t)
			e, err := lookupError(t, t.Context(), r, test.host)
			// One family may find that there is no network while the other has tried one server only, which is e.Server then.
			alone := func(e *net.DNSError) bool {
				return test.cause == resolver.ErrNoNetwork && e.Server != "" && strings.HasSuffix(e.Err, "no network")
			}
			if !strings.HasPrefix(e.Err, test.err) && !alone(e) || e.IsNotFound || !e.IsTemporary || e.IsTimeout != test.timeout {
				t.Errorf("%s: got %+v, want the text %q, a timeout: %t", test.about, e, test.err, test.timeout)
			}
			if test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("%s: got %v, want %v behind it", test.about, err, test.cause)
			}
			if test.cause == resolver.ErrNoNetwork && !errors.Is(err, resolver.ErrBlocked) {
				t.Errorf("%s: got %v, want ErrBlocked behind it too", test.about, err)
			}
			if strings.Contains(err.Error(), "context deadline exceeded") {
				t.Errorf("%s: an attempt's own timeout reads as the caller's: %v", test.about, err)
			}
			// A moment later the failure is cached; its reason is the same.
			for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
				if _, err := r.Resolve(t.Context(), test.host, rrtype); err == nil {
					t.Errorf("%s: got an answer", test.about)
				}
			}
			if test.cause != nil && test.cause != resolver.ErrNoReachableServer && test.cause != resolver.ErrIntercepted {
				again, _ := lookupError(t, t.Context(), r, test.host)
				short, _, _ := strings.Cut(strings.TrimPrefix(test.err, "i/o timeout: "), " (")
				if !strings.Contains(again.Err, strings.TrimPrefix(short, "server misbehaving: ")+" (") && !alone(again) {
					t.Errorf("%s, cached: got %q, want in it %q and the servers", test.about, again.Err, short)
				}
			}
		})
	}
}

// TestNetResolverReason: package net names a server of resolv.conf in its errors. The text says
// which servers were asked instead, for the second of its attempts too.
func TestNetResolverReason(t *testing.T) {
	in := resolvertest.New(t, reasonWorld+"-- zone broken.example. at 198.51.100.6 --\nwww A 192.0.2.1\n-- fault 198.51.100.6 --\nrcode SERVFAIL\n")
	r := in.Resolver(t)
	for range 2 {
		for host, want := range map[string]string{
			"www.late.example.":    "server misbehaving: DNSSEC bogus: signature expired: late.example. DNSKEY",
			"www.broken.example.":  "server misbehaving: zone broken.example.: no reachable server: 198.51.100.6: answered SERVFAIL",
			"none.broken.example.": "server misbehaving: zone broken.example.: no reachable server: 198.51.100.6: answered SERVFAIL",
		} {
			_, err := r.NetResolver().LookupMX(t.Context(), host)
			var e *net.DNSError
			if !errors.As(err, &e) || !e.IsTemporary || e.IsNotFound || !strings.HasPrefix(e.Err, want) {
				t.Fatalf("%s: got %v, want %q", host, err, want)
			}
			if !strings.Contains(e.Err, " (asked 198.51.100.") || !strings.HasSuffix(e.Err, ":53, and no server of resolv.conf)") {
				t.Errorf("%s: got %q, want the servers that were asked", host, e.Err)
			}
		}
	}
	// A name that does not exist is as before.
	_, err := r.NetResolver().LookupMX(t.Context(), "none.shop.example.")
	if e := new(net.DNSError); !errors.As(err, &e) || e.Err != "no such host" || !e.IsNotFound {
		t.Errorf("got %v, want no such host", err)
	}
}

// impatient is an Exchanger whose client reports the end of its context as net/http does.
type impatient struct{}

func (impatient) Exchange(ctx context.Context, _ string, server netip.AddrPort, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("Post \"https://%s/dns-query\": %w", server, ctx.Err())
}

// TestOwnTimeoutText: "context deadline exceeded" is the end of the caller's context, and of no
// attempt's; each attempt says that it timed out.
func TestOwnTimeoutText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, reasonWorld)
		for name, change := range map[string]func(*resolver.Options){
			"exchanger": func(o *resolver.Options) { o.Exchanger = impatient{} },
			"silence":   func(*resolver.Options) { in.Fault("*", resolvertest.Dead()) },
		} {
			r := in.Resolver(t, change)
			var replies int
			ctx := resolver.WithTrace(t.Context(), &resolver.Trace{Response: func(i resolver.ResponseInfo) {
				if i.Err == nil || !strings.Contains(i.Err.Error(), "timed out") || strings.Contains(i.Err.Error(), "context deadline exceeded") {
					t.Errorf("%s: the response is %v, want that it timed out", name, i.Err)
				}
				var ne net.Error
				if !errors.As(i.Err, &ne) || !ne.Timeout() {
					t.Errorf("%s: got %v, want a timeout", name, i.Err)
				}
				replies++
			}})
			_, err := r.Resolve(ctx, "www.shop.example.", dns.TypeA)
			if replies == 0 || err == nil || strings.Contains(err.Error(), "context deadline exceeded") {
				t.Errorf("%s: got %v after %d attempts", name, err, replies)
			}
		}
		r := in.Resolver(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := r.Resolve(ctx, "www.shop.example.", dns.TypeA); err == nil || !strings.Contains(err.Error(), "context deadline exceeded") {
			t.Errorf("got %v, want the end of the caller's context", err)
		}
	})
}
