package resolver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
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
		if got := failureOf(test.err).servfail(); got != test.want {
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

// A failure that is remembered is one of validation when its code says what the validator
// found wrong (RFC 8914 §4.2, §4.3, §4.7-4.13, RFC 9276 §5): then the Status is Bogus, and no
// expired answer may be given. Where validation was Indeterminate (§4.6) nothing was found
// wrong. Resolve, Exchange and Stats agree about it.
func TestRFC8914RememberedBogus(t *testing.T) {
	bogus := []uint16{
		dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, dns.ExtendedErrorCodeUnsupportedDSDigestType,
		dns.ExtendedErrorCodeDNSBogus, dns.ExtendedErrorCodeSignatureExpired, dns.ExtendedErrorCodeSignatureNotYetValid,
		dns.ExtendedErrorCodeDNSKEYMissing, dns.ExtendedErrorCodeRRSIGsMissing, dns.ExtendedErrorCodeNoZoneKeyBitSet,
		dns.ExtendedErrorCodeNSECMissing, dns.ExtendedErrorCodeSignatureExpiredBeforeValid,
		dns.ExtendedErrorCodeUnsupportedNSEC3IterValue,
	}
	r, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for code := range uint16(31) {
		q := question{dnsname.MustParse(fmt.Sprintf("code%d.shop.example.", code)), dns.TypeA}
		now := r.config.Now()
		r.routes.viewOf(now, q).cache.PutFailure(now, q.name, q.rrtype, cache.Checked, code, "why")
		before := r.Stats()
		var failed *Error
		if _, err := r.Resolve(t.Context(), q.name.String(), q.rrtype); !errors.As(err, &failed) || !errors.Is(err, ErrCached) {
			t.Errorf("code %d: got %v, want the failure remembered", code, err)
			continue
		}
		if _, err := r.Exchange(t.Context(), new(dns.Msg).SetQuestion(q.name.String(), q.rrtype)); err != nil {
			t.Error(err)
		}
		status, reason := dnssec.Indeterminate, FailureCached
		if slices.Contains(bogus, code) {
			status, reason = dnssec.Bogus, FailureBogus
		}
		counted := r.Stats().Failures[reason] - before.Failures[reason]
		if outage := failureOf(failed).isOutage(); failed.Status != status || outage != (reason == FailureCached) || counted != 2 {
			t.Errorf("code %d: got %v, outage %t, counted as %s %d times; want %v", code, failed.Status, outage, reason, counted, status)
		}
	}
}
