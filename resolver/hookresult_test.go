package resolver_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// unsendable are results that cannot be sent to a client.
func unsendable() map[string]*resolver.Result {
	one := func(rr dns.RR) *resolver.Result { return &resolver.Result{Answer: []dns.RR{rr}} }
	header := func(owner string, rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 60}
	}
	return map[string]*resolver.Result{
		"nil record":            one(nil),
		"nil of a type":         one((*dns.A)(nil)),
		"nil authority":         {Rcode: dns.RcodeNameError, Authority: []dns.RR{nil}},
		"nil parameter":         one(&dns.SVCB{Hdr: header("www.plain.example.", dns.TypeSVCB), Target: ".", Value: []dns.SVCBKeyValue{nil}}),
		"private without data":  one(&dns.PrivateRR{Hdr: header("www.plain.example.", 0xff01)}),
		"owner without dot":     one(&dns.A{Hdr: header("www.plain.example", dns.TypeA), A: []byte{192, 0, 2, 1}}),
		"no owner":              one(&dns.A{Hdr: header("", dns.TypeA), A: []byte{192, 0, 2, 1}}),
		"label too long":        one(&dns.A{Hdr: header(strings.Repeat("a", 64)+".example.", dns.TypeA), A: []byte{192, 0, 2, 1}}),
		"address of no length":  one(&dns.A{Hdr: header("www.plain.example.", dns.TypeA), A: []byte{192, 0, 2}}),
		"response code":         {Rcode: 0x1000},
		"negative":              {Rcode: -1},
		"record among good one": {Answer: []dns.RR{record("www.plain.example. 60 A 192.0.2.1"), nil}},
	}
}

// A hook's result that cannot be sent makes the question fail, so that every client gets an
// answer, over whichever method it asks.
func TestHookResultCannotBeSent(t *testing.T) {
	for name, bad := range unsendable() {
		for hook, hooks := range map[string]resolver.Hooks{
			"Before": {Before: func(context.Context, dns.Question) (*resolver.Result, error) { return bad, nil }},
			"After": {After: func(context.Context, dns.Question, *resolver.Result, error) (*resolver.Result, error) {
				return bad, nil
			}},
			"After, in place": {After: func(_ context.Context, _ dns.Question, given *resolver.Result, err error) (*resolver.Result, error) {
				given.Rcode, given.Answer, given.Authority = bad.Rcode, bad.Answer, bad.Authority
				return given, err
			}},
		} {
			t.Run(name+"/"+hook, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { checkUnsendable(t, hooks) })
			})
		}
	}
}

func checkUnsendable(t *testing.T, hooks resolver.Hooks) {
	r := resolvertest.New(t, clientWorld).Resolver(t, plain, func(o *resolver.Options) { o.Hooks = hooks })
	result, err := r.Resolve(t.Context(), "www.plain.example", dns.TypeA)
	var told *resolver.Error
	if !errors.Is(err, resolver.ErrHookResult) || !errors.As(err, &told) || told.Extended.Code != dns.ExtendedErrorCodeOther {
		t.Errorf("Resolve: got %v, error %v, want ErrHookResult with extended error Other", result, err)
	}
	if addrs, err := r.LookupHost(t.Context(), "www.plain.example"); err == nil {
		t.Errorf("LookupHost: got %v, want an error", addrs)
	}
	reply := served(r, overUDP, ask("www.plain.example.", dns.TypeA, withEDNS))
	if reply == nil || reply.Rcode != dns.RcodeServerFailure || !slices.Equal(codes(reply), []uint16{dns.ExtendedErrorCodeOther}) {
		t.Fatalf("ServeDNS: got\n%v\nwant SERVFAIL, Other", reply)
	}
	wireLength(t, reply)
	if got := r.Stats().Failures[resolver.FailureHook]; got < 3 {
		t.Errorf("counted %d failures of hooks, want one for each question", got)
	}
}

// A refusal with a code that no reply can carry still gets an answer.
func TestHookRefusesWithNoCode(t *testing.T) {
	for _, rcode := range []int{-1, 0x1000, 1 << 20} {
		r := resolvertest.New(t, clientWorld).Resolver(t, func(o *resolver.Options) {
			o.Hooks.Before = func(context.Context, dns.Question) (*resolver.Result, error) {
				return nil, &resolver.Refusal{Rcode: rcode}
			}
		})
		reply := served(r, overUDP, ask("www.plain.example.", dns.TypeA, withEDNS))
		if reply == nil || reply.Rcode != dns.RcodeServerFailure {
			t.Fatalf("code %d: got\n%v\nwant SERVFAIL", rcode, reply)
		}
		wireLength(t, reply)
	}
}

// Records of a program's own that have nil parts are an error in local zones too.
func TestLocalZoneOfNilRecords(t *testing.T) {
	for name, rr := range map[string]dns.RR{
		"nil": nil, "nil of a type": (*dns.A)(nil),
		"nil parameter": &dns.SVCB{
			Hdr:    dns.RR_Header{Name: "www.corp.example.", Rrtype: dns.TypeSVCB, Class: dns.ClassINET},
			Target: ".", Value: []dns.SVCBKeyValue{nil},
		},
	} {
		r, err := resolver.New(resolver.Options{LocalZones: []resolver.LocalZone{{Zone: "corp.example", Records: []dns.RR{rr}}}})
		if err == nil {
			r.Close()
			t.Errorf("%s: got a resolver, want an error", name)
		}
	}
}
