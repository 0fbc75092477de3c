package resolver

import (
	"errors"
	"net"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/stub"
)

// FailureReason says in one word why a question failed. Stats counts failures by it, and
// Reason returns that of an error. The words do not change; new ones may be added.
type FailureReason string

// The reasons why a question fails.
const (
	// FailureBogus: the answer failed validation.
	FailureBogus FailureReason = "bogus"
	// FailureClock: the answer failed validation because the clock of this host is wrong (ErrClock).
	FailureClock FailureReason = "clock"
	// FailureLimit: a limit other than time was reached.
	FailureLimit FailureReason = "limit"
	// FailureTimeout: Limits.Time, or the caller's time, ran out.
	FailureTimeout FailureReason = "timeout"
	// FailureCanceled: the caller gave up.
	FailureCanceled FailureReason = "canceled"
	// FailureUnreachable: no server sent a usable answer, or none has an address.
	FailureUnreachable FailureReason = "unreachable"
	// FailureNetwork: the root servers are blocked or intercepted.
	FailureNetwork FailureReason = "network"
	// FailureLoop: aliases or name servers depend on themselves.
	FailureLoop FailureReason = "loop"
	// FailureCached: the question failed a moment ago.
	FailureCached FailureReason = "cached"
	// FailureRefused: it could be answered from the cache only (RD=0), which has no answer.
	FailureRefused FailureReason = "refused"
	// FailureHook: one of Options.Hooks returned something that cannot be used
	// (ErrHookResult).
	FailureHook FailureReason = "hook"
	// FailureClosed: the resolver was closed.
	FailureClosed FailureReason = "closed"
	// FailureDescriptors: no file descriptors were left to open sockets with
	// (ErrNoDescriptors).
	FailureDescriptors FailureReason = "descriptors"
	// FailureCertificate: a server's certificate is not valid (ErrCertificate).
	FailureCertificate FailureReason = "certificate"
	// FailureTLS: servers have to be asked over TLS, and could not be (ErrTLSRequired), for another
	// reason than their certificates.
	FailureTLS FailureReason = "tls"
	// FailureOther: all else.
	FailureOther FailureReason = "other"

	// The following are returned by Reason, and are no keys of Stats.Failures.

	// FailureNotFound: the name does not exist, or has no records of the type.
	FailureNotFound FailureReason = "not-found"
	// FailureQuestion: what was asked for is no domain name, no type of data, or not in the zone whose
	// servers are to be asked (ErrName, ErrMetaType, ErrRecordType, ErrOutsideZone, ErrNoZone).
	FailureQuestion FailureReason = "question"
	// FailureFiltered: every address of the answer is filtered (ErrFiltered).
	FailureFiltered FailureReason = "filtered"
	// FailureOptions: an option makes no sense, or cannot be used (an *OptionError), or a text that
	// stands for one cannot be parsed (ParseRoute, ParseTLSRequirement, ParseLocalZone, ParseHosts).
	FailureOptions FailureReason = "options"
	// FailureLocalRoot: the copy of the root zone could not be fetched, verified or kept (a
	// *LocalRootError, whose Fault says which), unless the clock of this host is wrong (FailureClock).
	FailureLocalRoot FailureReason = "local-root"
)

// failureReasons lists the reason of each kind of failure that is counted. It never changes.
var failureReasons = [len(failure.Table)]FailureReason{
	failure.Other:             FailureOther,
	failure.Closed:            FailureClosed,
	failure.NotCached:         FailureRefused,
	failure.HookResult:        FailureHook,
	failure.Clock:             FailureClock,
	failure.Bogus:             FailureBogus,
	failure.Cached:            FailureCached,
	failure.QuestionLimit:     FailureLimit,
	failure.DataLimit:         FailureLimit,
	failure.ResolverLimit:     FailureLimit,
	failure.Canceled:          FailureCanceled,
	failure.NoDescriptors:     FailureDescriptors,
	failure.Certificate:       FailureCertificate,
	failure.TLSRequired:       FailureTLS,
	failure.Intercepted:       FailureNetwork,
	failure.NoNetwork:         FailureNetwork,
	failure.Blocked:           FailureNetwork,
	failure.AliasLoop:         FailureLoop,
	failure.Circular:          FailureLoop,
	failure.NoServerAddress:   FailureUnreachable,
	failure.NoReachableServer: FailureUnreachable,
	failure.Time:              FailureTimeout,
	failure.Deadline:          FailureTimeout,
}

// Reason returns in one word why a function or method of this package failed, for programs that count or
// sort failures; Explain says it in a paragraph, and (*Error).Temporary whether asking again may help.
// Wrapped errors are read too. It returns "" for nil, and FailureOther for unknown errors, and for known
// ones that have no reason of their own, such as ErrAborted and ErrZoneDenied. Of a context that ended with
// a cause (context.Cause) the methods return the cause, and its reason counts.
//
// Of questions, Stats counts the same reasons, with three differences. The reason of a remembered failure
// (ErrCached) is that of the original failure, or FailureCached where that was not kept. A denial is
// FailureNotFound, which Stats does not count as a failure. And FailureQuestion, FailureFiltered, refusals
// by Options.Hooks (FailureHook) and loops of routes (FailureLoop) are distinguished from FailureOther.
func Reason(err error) FailureReason {
	if err == nil {
		return ""
	}
	f := failure.Of(handedIn(err))
	counted := f.Counted()
	var told *Error
	var missing *NotFoundError
	var lookup *net.DNSError
	if !errors.As(err, &told) {
		if reason := reasonBeforeQuestions(err, f); reason != "" {
			return reason
		}
	}
	switch {
	case f.Is(failure.RouteLoop):
		return FailureLoop
	case counted == failure.Cached && told != nil:
		return rememberedReason(told.Extended)
	case counted != failure.Other:
		return failureReasons[counted]
	case f.Is(failure.MetaType), f.Is(failure.Name), f.Is(failure.OutsideZone), f.Is(failure.NoZone), errors.Is(err, ErrRecordType):
		return FailureQuestion
	case f.Is(failure.Filtered):
		return FailureFiltered
	case f.Is(failure.Refusal), f.Is(failure.Hook):
		return FailureHook
	case f.Is(failure.Timeout), f.Is(failure.Held):
		return FailureTimeout
	case errors.As(err, &missing):
		return FailureNotFound
	case errors.As(err, &lookup) && lookup.IsNotFound:
		if isMistake(lookup) {
			return FailureQuestion
		}
		return FailureNotFound
	}
	return FailureOther
}

// reasonBeforeQuestions returns the reason of an error that no question led to; "": it is another one.
func reasonBeforeQuestions(err error, f failure.Failure) FailureReason {
	var option *OptionError
	var text *textError
	var root *LocalRootError
	switch {
	case errors.As(err, &option), errors.As(err, &text):
		return FailureOptions
	case errors.As(err, &root) && !f.Is(failure.Clock):
		return FailureLocalRoot
	}
	return ""
}

// isMistake reports whether a name was not looked up because it is no domain name, of which package net
// says "no such host".
func isMistake(e *net.DNSError) bool {
	what, _ := stub.Mistake(e.Name)
	return e.UnwrapErr == nil && e.Server == "" && what != ""
}

// rememberedReason returns the reason of a failure of which the extended error is left, whose text is
// the first cause's.
func rememberedReason(e ExtendedError) FailureReason {
	if l := limits.OfText(e.Text); l != limits.Unknown {
		return failureReasons[failure.Of(l.Reached(0)).Counted()]
	}
	for k, row := range failure.Table {
		if row.Sentinel != nil && row.Sentinel.Error() == e.Text && failureReasons[k] != "" {
			return failureReasons[k]
		}
	}
	switch e.Code {
	case dns.ExtendedErrorCodeNoReachableAuthority:
		return FailureUnreachable
	case dns.ExtendedErrorCodeNetworkError:
		return FailureNetwork
	}
	return FailureCached
}
