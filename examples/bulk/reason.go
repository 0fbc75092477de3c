package main

import (
	"context"
	"errors"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// reason says in one word why a question has no answer. Each failure has exactly one.
type reason string

const (
	reasonInput        reason = "input"        // the line is no question
	reasonName         reason = "name"         // the resolver refuses the name or the type
	reasonBogus        reason = "bogus"        // the answer fails validation
	reasonLoop         reason = "loop"         // aliases or name servers depend on themselves
	reasonLimit        reason = "limit"        // the answer needs more work than a question may cause
	reasonTimeout      reason = "timeout"      // time ran out
	reasonUnreachable  reason = "unreachable"  // no server of the zone sent a usable answer
	reasonNoAddress    reason = "no-address"   // no server of the zone has an address
	reasonNetwork      reason = "network"      // the root servers cannot be asked from here
	reasonDescriptors  reason = "descriptors"  // this host has no sockets left
	reasonRate         reason = "rate"         // a server's rate was used up, again and again
	reasonDisagreement reason = "disagreement" // servers of the zone disagree whether the name exists
	reasonRcode        reason = "rcode"        // the answer has another response code
	reasonOther        reason = "other"
)

// reasons lists them all, in the order in which they are shown. It never changes.
var reasons = []reason{
	reasonInput, reasonName, reasonBogus, reasonLoop, reasonLimit, reasonTimeout, reasonUnreachable, reasonNoAddress,
	reasonNetwork, reasonDescriptors, reasonRate, reasonDisagreement, reasonRcode, reasonOther,
}

// passes reports whether a failure may pass, so that the question is tried again later.
func (r reason) passes() bool {
	return slices.Contains([]reason{
		reasonTimeout, reasonUnreachable, reasonNoAddress, reasonNetwork, reasonDescriptors, reasonRate, reasonDisagreement, reasonOther,
	}, r)
}

// ownLimits are the limits that all questions share, by the name of the field of
// resolver.Limits: reaching one says nothing about the question.
var ownLimits = []string{"QueriesPerZone", "QueriesPerServer", "Questions", "Sockets", "Connections", "Time"}

// reasonOf returns the reason of an error of Resolve. The first that applies counts: what
// authoritative servers said tells more than that others did not answer.
func reasonOf(err error) reason {
	var failure *resolver.Error
	errors.As(err, &failure)
	var limit *resolver.LimitError
	switch {
	case errors.Is(err, errRate):
		return reasonRate
	case errors.Is(err, errDisagreement):
		return reasonDisagreement
	case errors.Is(err, resolver.ErrName), errors.Is(err, resolver.ErrMetaType):
		return reasonName
	case failure != nil && failure.Status == dnssec.Bogus:
		return reasonBogus
	case errors.Is(err, resolver.ErrAliasLoop), errors.Is(err, resolver.ErrCircular):
		return reasonLoop
	case errors.Is(err, resolver.ErrNoDescriptors):
		return reasonDescriptors
	case errors.Is(err, resolver.ErrBlocked), errors.Is(err, resolver.ErrIntercepted):
		return reasonNetwork
	case errors.As(err, &limit) && slices.Contains(ownLimits, limit.Limit):
		return reasonTimeout
	case limit != nil:
		return reasonLimit
	case errors.Is(err, resolver.ErrNoReachableServer):
		return reasonUnreachable
	case errors.Is(err, resolver.ErrNoServerAddress):
		return reasonNoAddress
	case errors.Is(err, context.DeadlineExceeded), failure != nil && failure.Timeout():
		return reasonTimeout
	case errors.Is(err, resolver.ErrCached) && failure != nil:
		return reasonOfExtended(failure.Extended)
	}
	return reasonOther
}

// reasonOfExtended returns the reason of a failure that the resolver remembers, which keeps no more
// of it than an extended error. Its text is the first cause's.
func reasonOfExtended(e resolver.ExtendedError) reason {
	for _, known := range []struct {
		cause error
		is    reason
	}{
		{resolver.ErrNoReachableServer, reasonUnreachable},
		{resolver.ErrNoServerAddress, reasonNoAddress},
		{resolver.ErrCircular, reasonLoop},
		{resolver.ErrAliasLoop, reasonLoop},
		{resolver.ErrBlocked, reasonNetwork},
		{resolver.ErrIntercepted, reasonNetwork},
	} {
		if e.Text == known.cause.Error() {
			return known.is
		}
	}
	switch e.Code {
	case dns.ExtendedErrorCodeNoReachableAuthority:
		return reasonUnreachable
	case dns.ExtendedErrorCodeNetworkError:
		return reasonNetwork
	}
	return reasonOther
}
