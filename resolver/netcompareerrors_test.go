package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// netMethods are the methods that take a name, each called with it.
var netMethods = []struct {
	name string
	call func(ctx context.Context, l lookups, name string) (any, error)
}{
	{"LookupHost", func(ctx context.Context, l lookups, name string) (any, error) { return l.LookupHost(ctx, name) }},
	{"LookupIPAddr", func(ctx context.Context, l lookups, name string) (any, error) { return l.LookupIPAddr(ctx, name) }},
	{"LookupIP", func(ctx context.Context, l lookups, name string) (any, error) { return l.LookupIP(ctx, "ip", name) }},
	{"LookupNetIP", func(ctx context.Context, l lookups, name string) (any, error) { return l.LookupNetIP(ctx, "ip", name) }},
	{"LookupCNAME", func(ctx context.Context, l lookups, name string) (any, error) { return l.LookupCNAME(ctx, name) }},
	{"LookupSRV", func(ctx context.Context, l lookups, name string) (any, error) {
		canonical, records, err := l.LookupSRV(ctx, "", "", name)
		return fmt.Sprint(canonical, netValues(records)), err
	}},
	{"LookupMX", func(ctx context.Context, l lookups, name string) (any, error) { return l.LookupMX(ctx, name) }},
	{"LookupNS", func(ctx context.Context, l lookups, name string) (any, error) { return l.LookupNS(ctx, name) }},
	{"LookupTXT", func(ctx context.Context, l lookups, name string) (any, error) { return l.LookupTXT(ctx, name) }},
	{"LookupAddr", func(ctx context.Context, l lookups, name string) (any, error) { return l.LookupAddr(ctx, name) }},
}

// netFailures are the ways in which a look-up can come to nothing.
var netFailures = []struct {
	name string
	host string
	addr string // for LookupAddr
	ctx  func(context.Context) (context.Context, context.CancelFunc)
}{
	{name: "name error", host: "missing.shop.example", addr: "192.0.2.99"},
	{name: "absolute name error", host: "missing.shop.example.", addr: "2001:db8::99"},
	{name: "no data", host: "ipmx.wild.mail-only.shop.example", addr: "192.0.2.98"},
	{name: "server failure", host: "www.broken.example", addr: "198.51.100.1"},
	{name: "no host name", host: "a b", addr: "a b"},
	{name: "empty", host: "", addr: ""},
	{name: "too long", host: strings.Repeat("a.", 127) + "example", addr: "1.2.3.4.5"},
	{name: "onion", host: "shop.onion", addr: "192.0.2"},
	{name: "cancelled before", host: "never.shop.example", addr: "192.0.2.97", ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return ctx, cancel
	}},
	{name: "deadline before", host: "never.shop.example", addr: "192.0.2.97", ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithDeadline(ctx, time.Unix(1, 0))
	}},
}

// netErrorDifference returns why our error differs from package net's; "" when it must not.
func netErrorDifference(failure, method, host string) string {
	_, literal := netip.ParseAddr(host)
	switch {
	case method == "LookupAddr" && literal == nil:
		return "Name is the address that the caller passed; net has the name below arpa. there"
	case failure == "onion" && method != "LookupAddr":
		return "no such host; net has no error, or one about a message that there is not"
	}
	return ""
}

// TestNetErrorDifferences lets every method fail in every way through both resolvers.
func TestNetErrorDifferences(t *testing.T) {
	in := resolvertest.New(t, netWorld+`
-- zone 100.51.198.in-addr.arpa. at 198.51.100.8 --
1 PTR www.shop.example.
-- fault 198.51.100.8 --
rcode SERVFAIL
`)
	r := in.Resolver(t, plain)
	theirs := r.NetResolver()
	for _, failure := range netFailures {
		for _, method := range netMethods {
			t.Run(failure.name+" "+method.name, func(t *testing.T) {
				host := failure.host
				if method.name == "LookupAddr" {
					host = failure.addr
				}
				outcome := func(l lookups) string {
					ctx := t.Context()
					if failure.ctx != nil {
						var cancel context.CancelFunc
						ctx, cancel = failure.ctx(ctx)
						defer cancel()
					}
					_, err := method.call(ctx, l, host)
					return netErrorFields(err)
				}
				got, want := outcome(r), outcome(theirs)
				why := netErrorDifference(failure.name, method.name, host)
				if (got != want) != (why != "") {
					t.Errorf("%q: got\n\t%s\nwant, as package net:\n\t%s\nthe difference that is known: %q", host, got, want, why)
				}
			})
		}
	}
}

// netErrorFields writes all that a caller can ask an error of package net for.
func netErrorFields(err error) string {
	if err == nil {
		return "no error"
	}
	var text strings.Builder
	text.WriteString(fmt.Sprintf("%T", err))
	var ne net.Error
	if errors.As(err, &ne) {
		text.WriteString(fmt.Sprintf(" net.Error(timeout %t)", ne.Timeout()))
	}
	if e := new(net.DNSError); errors.As(err, &e) {
		text.WriteString(fmt.Sprintf(" DNSError{%q %q timeout %t temporary %t not found %t}", netWords(e), e.Name, e.IsTimeout, e.IsTemporary, e.IsNotFound))
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			text.WriteString(" is " + ended.Error())
		}
	}
	return text.String()
}
