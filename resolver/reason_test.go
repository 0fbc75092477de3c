package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec/anchorfile"
	"github.com/iterdns/iterdns/resolver"
)

// TestReason: each way to fail has its reason, also when the failure is remembered and when the
// error is wrapped, and from the methods that package net has too.
func TestReason(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 signed break=corrupt:bad/A --
www     A       192.0.2.80
bad     A       192.0.2.66
inside  A       10.0.0.1
many    A       192.0.2.81
many    A       192.0.2.82
many    A       192.0.2.83
loop    CNAME   loop
-- zone dead.example. at 198.51.100.4 --
www     A       192.0.2.80
-- fault 198.51.100.4 --
dead
`, func(w *world) {
		for _, tt := range []struct {
			name       string
			qtype      uint16
			reason     resolver.FailureReason
			remembered bool
		}{
			{"www.shop.example.", dns.TypeA, "", false},
			{"www.dead.example.", dns.TypeA, resolver.FailureUnreachable, true},
			{"bad.shop.example.", dns.TypeA, resolver.FailureBogus, true},
			{"loop.shop.example.", dns.TypeA, resolver.FailureLoop, false},
			{"many.shop.example.", dns.TypeA, resolver.FailureLimit, true},
			{"inside.shop.example.", dns.TypeA, resolver.FailureFiltered, false},
			{"a..example.", dns.TypeA, resolver.FailureQuestion, false},
			{"www.shop.example.", dns.TypeAXFR, resolver.FailureQuestion, false},
		} {
			for _, when := range []string{"first", "again"} {
				_, err := w.r.Resolve(w.Context(), tt.name, tt.qtype)
				if err != nil {
					err = fmt.Errorf("wrapped: %w", err)
				}
				if got := resolver.Reason(err); got != tt.reason {
					t.Errorf("%s %s, %s: got %q of %v, want %q", tt.name, dns.Type(tt.qtype), when, got, err, tt.reason)
				}
				if when == "again" && errors.Is(err, resolver.ErrCached) != tt.remembered {
					t.Errorf("%s: got %v, want it remembered: %t", tt.name, err, tt.remembered)
				}
			}
		}
		for name, reason := range map[string]resolver.FailureReason{
			"nosuch.shop.example.": resolver.FailureNotFound, "no..such": resolver.FailureQuestion, "inside.shop.example.": resolver.FailureFiltered,
			"x.dead.example.": resolver.FailureUnreachable, "bad.shop.example.": resolver.FailureBogus,
		} {
			_, lookup := w.r.LookupNetIP(w.Context(), "ip4", name)
			if got := resolver.Reason(lookup); got != reason {
				t.Errorf("LookupNetIP %s: got %q of %v, want %q", name, got, lookup, reason)
			}
			_, _, detailed := w.r.Detailed().LookupNetIP(w.Context(), "ip4", name)
			if got := resolver.Reason(detailed); got != reason {
				t.Errorf("Detailed.LookupNetIP %s: got %q of %v, want %q", name, got, detailed, reason)
			}
		}
	}, func(o *resolver.Options) {
		o.Limits.Records, o.RebindingProtection = 2, true
	})
}

// TestReasonOfErrors: what no question of a working resolver ends with.
func TestReasonOfErrors(t *testing.T) {
	for _, tt := range []struct {
		err    error
		reason resolver.FailureReason
	}{
		{nil, ""},
		{resolver.ErrClosed, resolver.FailureClosed},
		{&resolver.RouteError{Zone: ".", Err: errors.Join(resolver.ErrNoReachableServer, resolver.ErrRouteLoop)}, resolver.FailureLoop},
		{&resolver.Refusal{Rcode: dns.RcodeRefused}, resolver.FailureHook},
		{&net.DNSError{Name: "x.example", IsNotFound: true}, resolver.FailureNotFound},
		{&net.DNSError{IsTimeout: true}, resolver.FailureTimeout},
		{&resolver.LimitError{Limit: "Time", Value: 1}, resolver.FailureTimeout},
		{&resolver.Error{Err: resolver.ErrCached}, resolver.FailureCached},
		{&resolver.Error{Err: resolver.ErrCached, Extended: resolver.ExtendedError{Text: (&resolver.LimitError{Limit: "Time", Value: 1}).Error()}}, resolver.FailureTimeout},
		{&resolver.Error{Err: resolver.ErrCached, Extended: resolver.ExtendedError{Code: dns.ExtendedErrorCodeNoReachableAuthority}}, resolver.FailureUnreachable},
		{&resolver.Error{Err: resolver.ErrCached, Extended: resolver.ExtendedError{Code: dns.ExtendedErrorCodeNetworkError}}, resolver.FailureNetwork},
		{&resolver.LocalRootError{Fault: resolver.LocalRootSourceFailed, Err: context.DeadlineExceeded}, resolver.FailureLocalRoot},
		{&resolver.LocalRootError{Fault: resolver.LocalRootSignature, Err: resolver.ErrClock}, resolver.FailureClock},
		{&resolver.Error{Err: &resolver.OptionError{Option: "Port", Err: context.Canceled}}, resolver.FailureCanceled},
		{fmt.Errorf("wrapped: %w", &resolver.Error{Err: resolver.ErrOutsideZone}), resolver.FailureQuestion},
		{&resolver.Error{Err: resolver.ErrNoZone}, resolver.FailureQuestion},
		{&resolver.Error{Err: resolver.ErrRecordType}, resolver.FailureQuestion},
		{resolver.ErrAborted, resolver.FailureOther},
		{io.EOF, resolver.FailureOther},
	} {
		if got := resolver.Reason(tt.err); got != tt.reason {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.reason)
		}
	}
}

// TestReasonOfOptions: what is wrong before there is a resolver is the options' fault, or that of a text
// that stands for one.
func TestReasonOfOptions(t *testing.T) {
	_, port := resolver.New(resolver.Options{Family: 9})
	_, store := resolver.New(resolver.Options{AnchorStore: anchorfile.New("/nowhere/at/all")})
	_, route := resolver.ParseRoute("corp=https://192.0.2.53")
	_, form := resolver.ParseRoute("corp")
	_, tls := resolver.ParseTLSRequirement("corp,key=x")
	_, zone := resolver.ParseLocalZone("corp", strings.NewReader("www A nonsense\n"))
	_, hosts := resolver.ParseHosts(iotest.ErrReader(context.DeadlineExceeded))
	for what, err := range map[string]error{"port": port, "store": store, "route": route, "form": form, "tls": tls, "zone": zone, "hosts": hosts} {
		if got := resolver.Reason(fmt.Errorf("wrapped: %w", err)); got != resolver.FailureOptions {
			t.Errorf("%s: got %q of %v", what, got, err)
		}
	}
}
