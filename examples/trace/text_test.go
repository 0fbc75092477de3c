package main

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
)

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
