package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/resolver"
)

func TestOutcome(t *testing.T) {
	message := make([]byte, 40)
	rtt := 12345 * time.Microsecond
	tests := []struct {
		in   resolver.ResponseInfo
		want string
	}{
		{resolver.ResponseInfo{Err: context.Canceled}, "overtaken by another server"},
		{resolver.ResponseInfo{RTT: rtt, Err: os.ErrDeadlineExceeded}, "no reply within 12 ms"},
		{resolver.ResponseInfo{RTT: rtt, Network: "tcp", Err: context.DeadlineExceeded}, "no reply over TCP within 12 ms"},
		{resolver.ResponseInfo{Err: errors.New("no route\nat all")}, "failed: no route; at all"},
		{resolver.ResponseInfo{Kind: "lame", Rcode: dns.RcodeRefused, Message: message, RTT: rtt}, "lame, REFUSED, 40 bytes in 12 ms"},
		{resolver.ResponseInfo{Kind: "unusable", Rcode: 4000, Message: message}, "unusable, RCODE4000, 40 bytes in 0 ms"},
		{resolver.ResponseInfo{Message: message, Err: errors.New("wrong ID")}, "not accepted (wrong ID), 40 bytes in 0 ms"},
	}
	for _, test := range tests {
		if got := outcome(test.in); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestIsGlue(t *testing.T) {
	cut, err := glue.Referral{
		Zone: "\x07example\x00", Name: "\x04shop\x07example\x00",
		NS: []glue.NS{{Owner: "\x04shop\x07example\x00", Target: "\x02ns\x04shop\x07example\x00", TTL: 300}},
		Addresses: []glue.Address{
			{Owner: "\x02ns\x04shop\x07example\x00", Addr: netip.MustParseAddr("192.0.2.1"), TTL: 300},
			{Owner: "\x02ns\x04shop\x07example\x00", Addr: netip.MustParseAddr("2001:db8::1"), TTL: 300},
		},
	}.Delegation()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		record string
		want   bool
	}{
		{"ns.shop.example. 300 IN A 192.0.2.1", true},
		{"NS.Shop.Example. 300 IN AAAA 2001:db8::1", true},
		{"ns.shop.example. 300 IN A 192.0.2.2", false},
		{"ns.shop.example. 300 IN TXT x", false},
		{"www.shop.example. 300 IN A 192.0.2.1", false},
	}
	for _, test := range tests {
		rr, err := dns.NewRR(test.record)
		if err != nil {
			t.Fatal(err)
		}
		if got := isGlue(cut, rr); got != test.want {
			t.Errorf("%s: got %t, want %t", test.record, got, test.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	if got, want := oneLine("a\n\nb"), "a; b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := oneLine(strings.Repeat("ä", maxLine)); len(got) > maxLine+5 || !strings.HasSuffix(got, "ä …") {
		t.Errorf("got %d bytes, ending in %q, want at most %d of whole characters", len(got), got[len(got)-8:], maxLine)
	}
}

func TestBrief(t *testing.T) {
	tests := []struct {
		in   error
		want string
	}{
		{fmt.Errorf("zone a: %w", errors.Join(resolver.ErrNoServerAddress, resolver.ErrCircular)), resolver.ErrCircular.Error()},
		{errors.Join(resolver.ErrNoReachableServer, &resolver.LimitError{Limit: "Sends", Value: 3}), "limit Sends (3) reached"},
		{errors.New("a\nb"), "a; b"},
	}
	for _, test := range tests {
		if got := brief(test.in); got != test.want {
			t.Errorf("%v: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 query": count(1, "query"), "0 queries": count(0, "query"), "2 servers": count(2, "server"), "1 server": count(1, "server"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestPad: the TTL stands where dig puts it, and is always apart from the name.
func TestPad(t *testing.T) {
	for owner, want := range map[string]string{
		"me.":                              "me.\t\t\t",
		"draveness.me.":                    "draveness.me.\t\t",
		"f1g1ns1.dnspod.net.":              "f1g1ns1.dnspod.net.\t",
		"a-name-of-24-characters.":         "a-name-of-24-characters.\t",
		"a-name-that-is-longer-than-that.": "a-name-that-is-longer-than-that.\t",
	} {
		if got := pad(owner); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
