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
		want extendedError
	}{
		{&limitError{Limit: "Sends", Value: 100}, extendedError{dns.ExtendedErrorCodeOther, "limit Sends (100) reached"}},
		{errNoReachableServer, extendedError{dns.ExtendedErrorCodeNoReachableAuthority, "no reachable server"}},
		{errBlocked, extendedError{dns.ExtendedErrorCodeNetworkError, errBlocked.Error()}},
		{&bogusError{err: errors.New("bogus"), reason: dnssec.Reason{}}, extendedError{Code: dns.ExtendedErrorCodeDNSBogus}},
	} {
		if got := servfail(failureOf(test.err)); got != test.want {
			t.Errorf("%v: got %+v, want %+v", test.err, got, test.want)
		}
	}
}

// Extended errors are sent once each, in few words, and to clients with EDNS.
func TestRFC8914Extend(t *testing.T) {
	const code = dns.ExtendedErrorCodeOther
	for _, test := range []struct {
		name string
		add  []extendedError
		want []string
	}{
		{"none", []extendedError{{}}, nil},
		{"twice the same", []extendedError{{code, "a"}, {code, "a"}}, []string{"a"}},
		{"two", []extendedError{{code, "a"}, {code, "b"}}, []string{"a", "b"}},
		{"long", []extendedError{{code, strings.Repeat("x", 300)}}, []string{strings.Repeat("x", maxExtraText)}},
		{"cut inside a character", []extendedError{{code, strings.Repeat("é", 150) + "x"}}, []string{strings.Repeat("é", maxExtraText/2)}},
		{"cut inside a character of three bytes", []extendedError{{code, strings.Repeat("€", 150)}}, []string{strings.Repeat("€", maxExtraText/3)}},
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
	if plain.extend(extendedError{code, "a"}); len(plain.reply.Extra) != 0 {
		t.Errorf("without EDNS: got %v", plain.reply.Extra)
	}
}
