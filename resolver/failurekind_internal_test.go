package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
)

// TestFailureTable: each kind is known by a sentinel of its own or by a type.
func TestFailureTable(t *testing.T) {
	typed := map[failure.Kind]error{
		failure.Refusal: &failure.RefusedError{Err: failure.ErrLame}, failure.Hook: &failure.HookError{Err: failure.ErrLame}, failure.Bogus: &failure.BogusError{},
		failure.QuestionLimit: limits.Sends.Reached(1), failure.DataLimit: limits.Records.Reached(1), failure.ResolverLimit: limits.Sockets.Reached(1),
		failure.Time: limits.Time.Reached(1), failure.Timeout: &net.DNSError{IsTimeout: true}, failure.Held: &failure.HeldError{Limit: limits.Sockets.Reached(1), Cause: failure.ErrLame},
	}
	seen := make(map[error]failure.Kind)
	for k := failure.Other + 1; int(k) < len(failure.Table); k++ {
		err := failure.Table[k].Sentinel
		if err == nil {
			err = typed[k]
		}
		if err == nil {
			t.Errorf("kind %d: neither a sentinel nor a type", k)
			continue
		}
		if other, ok := seen[err]; ok {
			t.Errorf("kinds %d and %d have the same sentinel", k, other)
		}
		seen[err] = k
		if f := failure.Of(fmt.Errorf("wrapped: %w", failure.Join([]error{failure.ErrLame, err}))); !f.Is(k) || f.Traits&failure.Table[k].Traits != failure.Table[k].Traits {
			t.Errorf("kind %d: %v is not read", k, err)
		}
		if failure.Table[k].Traits&failure.Explaining != 0 && failure.Table[k].Sentinel == nil {
			t.Errorf("kind %d: there are no words to explain it with", k)
		}
	}
}

// likeDeadline is an error that says of itself what it is, as those of package net do.
type likeDeadline struct{}

func (likeDeadline) Error() string        { return "late" }
func (likeDeadline) Is(target error) bool { return target == context.DeadlineExceeded }

// TestFailureOf: what is read of joined errors.
func TestFailureOf(t *testing.T) {
	inZone := func(errs ...error) error {
		return fmt.Errorf("wrapped: %w", &failure.ZoneError{Err: failure.Join(errs)})
	}
	for _, tt := range []struct {
		about                 string
		err                   error
		outage, leader, lasts bool // is an outage, is of the leader, is worth remembering
		lastsBelow, ofZone    bool // likewise of a sub-question; is about a zone's servers
		counted               failure.Kind
		reason                FailureReason
		code                  uint16
	}{
		{"none", nil, false, false, true, true, false, failure.Other, FailureOther, dns.ExtendedErrorCodeNoReachableAuthority},
		{"silent servers", inZone(failure.ErrNoReachableServer, context.DeadlineExceeded), true, false, true, true, true, failure.NoReachableServer, FailureUnreachable, dns.ExtendedErrorCodeNoReachableAuthority},
		{"the end of time", likeDeadline{}, true, true, true, true, false, failure.Deadline, FailureTimeout, dns.ExtendedErrorCodeNoReachableAuthority},
		{"the limit of time", inZone(limits.Time.Reached(1)), true, true, true, false, false, failure.Time, FailureTimeout, dns.ExtendedErrorCodeOther},
		{"a budget", inZone(failure.ErrNoReachableServer, limits.Sends.Reached(1)), true, true, true, false, false, failure.QuestionLimit, FailureLimit, dns.ExtendedErrorCodeOther},
		{"a limit of the data", inZone(failure.ErrNoReachableServer, limits.Records.Reached(1)), false, false, true, false, true, failure.DataLimit, FailureLimit, dns.ExtendedErrorCodeOther},
		{"a reply that is too large", inZone(failure.ErrNoReachableServer, limits.MessageRecords.Reached(1)), true, false, true, false, true, failure.DataLimit, FailureLimit, dns.ExtendedErrorCodeOther},
		{"a limit of all questions", &failure.HeldError{Limit: limits.Sockets.Reached(1), Cause: limits.Time.Reached(1)}, true, true, true, false, false, failure.ResolverLimit, FailureLimit, dns.ExtendedErrorCodeOther},
		{"a circle", inZone(failure.ErrNoServerAddress, failure.ErrCircular), true, false, true, false, true, failure.Circular, FailureLoop, dns.ExtendedErrorCodeOther},
		{"an alias loop", failure.ErrAliasLoop, false, false, true, true, false, failure.AliasLoop, FailureLoop, dns.ExtendedErrorCodeOther},
		{"nobody waits", inZone(failure.ErrNoReachableServer, context.Canceled), false, true, false, false, false, failure.Canceled, FailureCanceled, dns.ExtendedErrorCodeNoReachableAuthority},
		{"no descriptors", inZone(failure.ErrNoReachableServer, failure.ErrNoDescriptors), true, false, false, false, true, failure.NoDescriptors, FailureDescriptors, dns.ExtendedErrorCodeOther},
		{"aborted", inZone(failure.ErrNoReachableServer, failure.ErrAborted), true, false, false, false, false, failure.NoReachableServer, FailureUnreachable, dns.ExtendedErrorCodeOther},
		{"bogus", failure.Join([]error{failure.ErrLame, &failure.BogusError{Reason: dnssec.Reason{Code: dnssec.ReasonExpired}}}), false, false, true, true, true, failure.Bogus, FailureBogus, dns.ExtendedErrorCodeSignatureExpired},
		{"keys that could not be had", &failure.BogusError{Reason: dnssec.Reason{Code: dnssec.ReasonUnavailable}}, true, false, true, true, true, failure.Bogus, FailureBogus, dns.ExtendedErrorCodeNoReachableAuthority},
		{"a blocked network, where addresses depend on themselves", inZone(failure.ErrBlocked, failure.ErrNoReachableServer, failure.ErrCircular), true, false, true, false, true, failure.Blocked, FailureNetwork, dns.ExtendedErrorCodeNetworkError},
		{"a route", &routes.Error{Zone: "example.", Err: failure.WrapCause(failure.ErrNoReachableServer, &failure.CertificateError{What: "expired", Err: failure.ErrLame})}, true, false, true, true, false, failure.Certificate, FailureCertificate, dns.ExtendedErrorCodeNoReachableAuthority},
		{"an error of a hook", &failure.HookError{Err: errors.New("no")}, false, false, true, true, false, failure.Other, FailureOther, dns.ExtendedErrorCodeOther},
	} {
		f := failure.Of(tt.err)
		if f.IsOutage() != tt.outage || f.IsOfLeader() != tt.leader || f.IsWorthRemembering(false) != tt.lasts || f.IsWorthRemembering(true) != tt.lastsBelow || f.IsOfZone() != tt.ofZone {
			t.Errorf("%s: outage %t, of the leader %t, worth remembering %t, of a sub-question %t, of a zone %t", tt.about,
				f.IsOutage(), f.IsOfLeader(), f.IsWorthRemembering(false), f.IsWorthRemembering(true), f.IsOfZone())
		}
		if k := f.Counted(); k != tt.counted {
			t.Errorf("%s: counted as kind %d, want %d", tt.about, k, tt.counted)
		}
		if reason := failureReasons[f.Counted()]; reason != tt.reason {
			t.Errorf("%s: counted as %s, want %s", tt.about, reason, tt.reason)
		}
		if e := f.Extended(); e.Code != tt.code {
			t.Errorf("%s: got %v, want the code %d", tt.about, e, tt.code)
		}
	}
}
