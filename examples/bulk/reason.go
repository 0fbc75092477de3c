package main

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/iterdns/iterdns/resolver"
)

// reason says in one word why a question has no answer. Each failure has exactly one.
type reason string

const (
	reasonInput        reason = "input"        // the line is no question
	reasonDuplicate    reason = "duplicate"    // the question is in the lists before, with -duplicates error
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
	reasonInput, reasonDuplicate, reasonName, reasonBogus, reasonLoop, reasonLimit, reasonTimeout, reasonUnreachable, reasonNoAddress,
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
	case errors.As(err, &limit) && slices.Contains(ownLimits, limit.Limit):
		return reasonTimeout
	}
	why := cmp.Or(byFailure[resolver.Reason(err)], reasonOther)
	if failure == nil {
		return why
	}
	// The text is left of a failure that is remembered, too.
	text := failure.Extended.Text
	switch {
	case why == reasonUnreachable && text == resolver.ErrNoServerAddress.Error():
		return reasonNoAddress
	case why == reasonLimit && slices.ContainsFunc(ownLimits, func(l string) bool { return strings.HasPrefix(text, "limit "+l+" ") }):
		return reasonTimeout
	}
	return why
}

// byFailure is what the library's reasons are called here. Those that are missing are the reason other.
var byFailure = map[resolver.FailureReason]reason{
	resolver.FailureQuestion:    reasonName,
	resolver.FailureBogus:       reasonBogus,
	resolver.FailureClock:       reasonBogus,
	resolver.FailureLoop:        reasonLoop,
	resolver.FailureLimit:       reasonLimit,
	resolver.FailureTimeout:     reasonTimeout,
	resolver.FailureUnreachable: reasonUnreachable,
	resolver.FailureNetwork:     reasonNetwork,
	resolver.FailureDescriptors: reasonDescriptors,
}
