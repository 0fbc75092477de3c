package main

import (
	"testing"

	"github.com/miekg/dns"
)

func message(t *testing.T, rcode int, ad bool, answer, authority []string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
	m.Rcode, m.AuthenticatedData = rcode, ad
	for _, section := range []struct {
		lines []string
		to    *[]dns.RR
	}{{answer, &m.Answer}, {authority, &m.Ns}} {
		for _, line := range section.lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			*section.to = append(*section.to, rr)
		}
	}
	return m
}

const (
	testA    = "www.shop.example. 300 IN A 192.0.2.80"
	testSig  = "www.shop.example. 300 IN RRSIG A 13 3 300 20300101000000 20200101000000 1 shop.example. AAAA"
	testSOA  = "shop.example. 300 IN SOA ns hostmaster 1 3600 600 86400 300"
	testNSEC = "shop.example. 300 IN NSEC a.shop.example. SOA"
	nsecSig  = "shop.example. 300 IN RRSIG NSEC 13 2 300 20300101000000 20200101000000 1 shop.example. AAAA"
)

func TestCompare(t *testing.T) {
	positive := newOutcome(message(t, dns.RcodeSuccess, true, []string{testA, testSig}, nil))
	negative := newOutcome(message(t, dns.RcodeNameError, true, nil, []string{testSOA, testNSEC, nsecSig}))
	failure := newOutcome(message(t, dns.RcodeServerFailure, false, nil, nil))
	for _, test := range []struct {
		name         string
		ours, theirs outcome
		want         string
	}{
		{"the same", positive, positive, ""},
		{"order, TTL and letter case", newOutcome(message(t, 0, false, []string{testA, "www.shop.example. 300 IN A 192.0.2.81"}, nil)),
			newOutcome(message(t, 0, false, []string{"WWW.shop.example. 1 IN A 192.0.2.81", testA}, nil)), ""},
		{"AD", positive, newOutcome(message(t, 0, false, []string{testA, testSig}, nil)), "ad yes > no"},
		{"signature", positive, newOutcome(message(t, 0, true, []string{testA}, nil)), "signatures some > none"},
		{"another record", positive, newOutcome(message(t, 0, true, []string{"www.shop.example. 300 IN A 192.0.2.81", testSig}, nil)),
			"answer some > others"},
		{"failure", failure, positive, "rcode SERVFAIL > NOERROR"},
		{"no reply is a failure", failure, outcome{rcode: noReply}, ""},
		{"no reply", positive, outcome{rcode: noReply}, "rcode NOERROR > SERVFAIL"},
		{"proof", negative, newOutcome(message(t, dns.RcodeNameError, true, nil, []string{testSOA})), "proof nsec+sig,soa > soa"},
		{"denial", positive, negative, "answer some > none; proof none > nsec+sig,soa; rcode NOERROR > NXDOMAIN; signatures some > none"},
	} {
		if got := compare(test.ours, test.theirs).String(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// TTLs of ours are held against what the zones say, and a day.
func TestTTLsTooLong(t *testing.T) {
	w := &world{ttls: map[rrsetKey]uint32{{"www.shop.example.", dns.TypeA}: 300}}
	for text, want := range map[string]int{
		testA:                                   0,
		"www.shop.example. 301 IN A 192.0.2.80": 1,
		"other.shop.example. 86400 IN A 192.0.2.80": 0,
		"other.shop.example. 86401 IN A 192.0.2.80": 1,
	} {
		if got := w.tooLong(message(t, 0, false, []string{text}, nil)); len(got) != want {
			t.Errorf("%s: got %q, want %d", text, got, want)
		}
	}
}
