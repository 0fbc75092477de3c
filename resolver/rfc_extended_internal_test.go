package resolver

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// Every SERVFAIL has a reason, if only "resolution failed".
func TestRFC8914FailureOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		want ExtendedError
	}{
		{&LimitError{Limit: "Sends", Value: 100}, ExtendedError{dns.ExtendedErrorCodeOther, "limit Sends (100) reached"}},
		{ErrNoReachableServer, ExtendedError{dns.ExtendedErrorCodeNoReachableAuthority, "no reachable server"}},
		{ErrBlocked, ExtendedError{dns.ExtendedErrorCodeNetworkError, ErrBlocked.Error()}},
		{&bogusError{err: errors.New("bogus"), reason: dnssec.Reason{}}, ExtendedError{Code: dns.ExtendedErrorCodeDNSBogus}},
	} {
		if got := failureOf(test.err); got != test.want {
			t.Errorf("failureOf(%v) = %+v, want %+v", test.err, got, test.want)
		}
	}
}

// Extended errors are sent once each, in few words, and to clients with EDNS.
func TestRFC8914Extend(t *testing.T) {
	const code = dns.ExtendedErrorCodeOther
	for _, test := range []struct {
		name string
		add  []ExtendedError
		want []string
	}{
		{"none", []ExtendedError{{}}, nil},
		{"twice the same", []ExtendedError{{code, "a"}, {code, "a"}}, []string{"a"}},
		{"two", []ExtendedError{{code, "a"}, {code, "b"}}, []string{"a", "b"}},
		{"long", []ExtendedError{{code, strings.Repeat("x", 300)}}, []string{strings.Repeat("x", maxExtraText)}},
		{"cut inside a character", []ExtendedError{{code, strings.Repeat("é", 150) + "x"}}, []string{strings.Repeat("é", maxExtraText/2)}},
		{"cut inside a character of three bytes", []ExtendedError{{code, strings.Repeat("€", 150)}}, []string{strings.Repeat("€", maxExtraText/3)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
			query.SetEdns0(1232, false)
			x := newResponder(query)
			for _, e := range test.add {
				x.extend(e)
			}
			var got []string
			for _, o := range x.reply.IsEdns0().Option {
				got = append(got, o.(*dns.EDNS0_EDE).ExtraText)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	plain := newResponder(new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA))
	if plain.extend(ExtendedError{code, "a"}); len(plain.reply.Extra) != 0 {
		t.Errorf("without EDNS: got %v", plain.reply.Extra)
	}
}
