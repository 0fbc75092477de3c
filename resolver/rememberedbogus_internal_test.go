package resolver

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
)

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
		q := answer.Question{Name: dnsname.MustParse(fmt.Sprintf("code%d.shop.example.", code)), Type: dns.TypeA}
		now := r.config.Now()
		r.routes.ViewOf(now, q).Cache.PutFailure(now, q.Name, q.Type, cache.Checked, code, "why")
		before := r.Stats()
		var failed *Error
		if _, err := r.Resolve(t.Context(), q.Name.String(), q.Type); !errors.As(err, &failed) || !errors.Is(err, ErrCached) {
			t.Errorf("code %d: got %v, want the failure remembered", code, err)
			continue
		}
		if _, err := r.Exchange(t.Context(), new(dns.Msg).SetQuestion(q.Name.String(), q.Type)); err != nil {
			t.Error(err)
		}
		status, reason := dnssec.Indeterminate, FailureCached
		if slices.Contains(bogus, code) {
			status, reason = dnssec.Bogus, FailureBogus
		}
		counted := r.Stats().Failures[reason] - before.Failures[reason]
		if outage := failure.Of(failed).IsOutage(); failed.Status != status || outage != (reason == FailureCached) || counted != 2 {
			t.Errorf("code %d: got %v, outage %t, counted as %s %d times; want %v", code, failed.Status, outage, reason, counted, status)
		}
	}
}
