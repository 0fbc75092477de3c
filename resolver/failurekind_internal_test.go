package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// TestFailureTable: each kind is known by a sentinel of its own or by a type.
func TestFailureTable(t *testing.T) {
	typed := map[failureKind]error{
		failRefusal: &refusedError{err: errLame}, failHook: &hookError{err: errLame}, failBogus: &bogusError{},
		failQuestionLimit: limitSends.reached(1), failDataLimit: limitRecords.reached(1), failResolverLimit: limitSockets.reached(1),
		failTime: limitTime.reached(1), failTimeout: &net.DNSError{IsTimeout: true}, failHeld: &heldError{limitSockets.reached(1), errLame},
	}
	seen := make(map[error]failureKind)
	for k := failOther + 1; int(k) < len(failureTable); k++ {
		err := failureTable[k].sentinel
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
		if f := failureOf(fmt.Errorf("wrapped: %w", join([]error{errLame, err}))); !f.is(k) || f.traits&failureTable[k].traits != failureTable[k].traits {
			t.Errorf("kind %d: %v is not read", k, err)
		}
		if failureTable[k].traits&explaining != 0 && failureTable[k].sentinel == nil {
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
	inZone := func(errs ...error) error { return fmt.Errorf("wrapped: %w", &zoneError{err: join(errs)}) }
	for _, tt := range []struct {
		about                 string
		err                   error
		outage, leader, lasts bool // is an outage, is of the leader, is worth remembering
		lastsBelow, ofZone    bool // likewise of a sub-question; is about a zone's servers
		counted               failureKind
		code                  uint16
	}{
		{"none", nil, false, false, true, true, false, failOther, dns.ExtendedErrorCodeNoReachableAuthority},
		{"silent servers", inZone(errNoReachableServer, context.DeadlineExceeded), true, false, true, true, true, failNoReachableServer, dns.ExtendedErrorCodeNoReachableAuthority},
		{"the end of time", likeDeadline{}, true, true, true, true, false, failDeadline, dns.ExtendedErrorCodeNoReachableAuthority},
		{"the limit of time", inZone(limitTime.reached(1)), true, true, true, false, false, failTime, dns.ExtendedErrorCodeOther},
		{"a budget", inZone(errNoReachableServer, limitSends.reached(1)), true, true, true, false, false, failQuestionLimit, dns.ExtendedErrorCodeOther},
		{"a limit of the data", inZone(errNoReachableServer, limitRecords.reached(1)), false, false, true, false, true, failDataLimit, dns.ExtendedErrorCodeOther},
		{"a reply that is too large", inZone(errNoReachableServer, limitMessageRecords.reached(1)), true, false, true, false, true, failDataLimit, dns.ExtendedErrorCodeOther},
		{"a limit of all questions", &heldError{limitSockets.reached(1), limitTime.reached(1)}, true, true, true, false, false, failResolverLimit, dns.ExtendedErrorCodeOther},
		{"a circle", inZone(errNoServerAddress, errCircular), true, false, true, false, true, failCircular, dns.ExtendedErrorCodeOther},
		{"an alias loop", errAliasLoop, false, false, true, true, false, failAliasLoop, dns.ExtendedErrorCodeOther},
		{"nobody waits", inZone(errNoReachableServer, context.Canceled), false, true, false, false, false, failCanceled, dns.ExtendedErrorCodeNoReachableAuthority},
		{"no descriptors", inZone(errNoReachableServer, errNoDescriptors), true, false, false, false, true, failNoDescriptors, dns.ExtendedErrorCodeOther},
		{"aborted", inZone(errNoReachableServer, errAborted), true, false, false, false, false, failNoReachableServer, dns.ExtendedErrorCodeOther},
		{"bogus", join([]error{errLame, &bogusError{reason: dnssec.Reason{Code: dnssec.ReasonExpired}}}), false, false, true, true, true, failBogus, dns.ExtendedErrorCodeSignatureExpired},
		{"keys that could not be had", &bogusError{reason: dnssec.Reason{Code: dnssec.ReasonUnavailable}}, true, false, true, true, true, failBogus, dns.ExtendedErrorCodeNoReachableAuthority},
		{"a blocked network, where addresses depend on themselves", inZone(errBlocked, errNoReachableServer, errCircular), true, false, true, false, true, failBlocked, dns.ExtendedErrorCodeNetworkError},
		{"a route", &routeError{Zone: "example.", Err: wrapCause(errNoReachableServer, &certificateError{"expired", errLame})}, true, false, true, true, false, failCertificate, dns.ExtendedErrorCodeNoReachableAuthority},
		{"an error of a hook", &hookError{err: errors.New("no")}, false, false, true, true, false, failOther, dns.ExtendedErrorCodeOther},
	} {
		f := failureOf(tt.err)
		if f.isOutage() != tt.outage || f.isOfLeader() != tt.leader || f.isWorthRemembering(false) != tt.lasts || f.isWorthRemembering(true) != tt.lastsBelow || f.isOfZone() != tt.ofZone {
			t.Errorf("%s: outage %t, of the leader %t, worth remembering %t, of a sub-question %t, of a zone %t", tt.about,
				f.isOutage(), f.isOfLeader(), f.isWorthRemembering(false), f.isWorthRemembering(true), f.isOfZone())
		}
		if k := f.counted(); k != tt.counted {
			t.Errorf("%s: counted as kind %d, want %d", tt.about, k, tt.counted)
		}
		if e := f.extended(); e.Code != tt.code {
			t.Errorf("%s: got %v, want the code %d", tt.about, e, tt.code)
		}
	}
}
