package serve

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/wire"
)

// Every SERVFAIL has a reason: that of the failure, or else what is known of its kind, if only
// "resolution failed".
func TestRFC8914Servfail(t *testing.T) {
	for _, test := range []struct {
		err  error
		want failure.ExtendedError
	}{
		{failure.ErrNoReachableServer, failure.ExtendedError{Code: dns.ExtendedErrorCodeNoReachableAuthority, Text: "no reachable server"}},
		{&failure.BogusError{Err: errors.New("bogus"), Reason: dnssec.Reason{}}, failure.ExtendedError{Code: dns.ExtendedErrorCodeDNSBogus}},
		{&failure.RefusedError{Rcode: dns.RcodeServerFailure}, failure.ExtendedError{Text: "resolution failed"}},
	} {
		if got := servfail(failure.Of(test.err)); got != test.want {
			t.Errorf("%v: got %+v, want %+v", test.err, got, test.want)
		}
	}
}

// Extended errors are sent once each, in few words, and to clients with EDNS.
func TestRFC8914Extend(t *testing.T) {
	const code = dns.ExtendedErrorCodeOther
	for _, test := range []struct {
		name string
		add  []failure.ExtendedError
		want []string
	}{
		{"none", []failure.ExtendedError{{}}, nil},
		{"twice the same", []failure.ExtendedError{{Code: code, Text: "a"}, {Code: code, Text: "a"}}, []string{"a"}},
		{"two", []failure.ExtendedError{{Code: code, Text: "a"}, {Code: code, Text: "b"}}, []string{"a", "b"}},
		{"long", []failure.ExtendedError{{Code: code, Text: strings.Repeat("x", 300)}}, []string{strings.Repeat("x", maxExtraText)}},
		{"cut inside a character", []failure.ExtendedError{{Code: code, Text: strings.Repeat("é", 150) + "x"}}, []string{strings.Repeat("é", maxExtraText/2)}},
		{"cut inside a character of three bytes", []failure.ExtendedError{{Code: code, Text: strings.Repeat("€", 150)}}, []string{strings.Repeat("€", maxExtraText/3)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
			query.SetEdns0(1232, false)
			var res response
			for _, e := range test.add {
				res.extend(e)
			}
			x := requestOf(query)
			var got []string
			for _, o := range x.message(query.Question, &res, new(Server).options(&x, &res, nil, wire.MaxLen)).IsEdns0().Option {
				got = append(got, o.(*dns.EDNS0_EDE).ExtraText)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	plain := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
	x := requestOf(plain)
	res := x.failed(dns.RcodeServerFailure, failure.ExtendedError{Code: code, Text: "a"})
	if reply := x.message(plain.Question, &res, new(Server).options(&x, &res, nil, wire.MaxLen)); len(reply.Extra) != 0 {
		t.Errorf("without EDNS: got %v", reply.Extra)
	}
}
