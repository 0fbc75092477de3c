package resolver

import (
	"errors"
	"fmt"
	"slices"

	"github.com/iterdns/iterdns/internal/wire"
)

// messageBounds are the bounds that every message has to keep (attacks.md 31-33). They
// are no fields of Limits: real messages are far below them.
var messageBounds = [...]struct {
	err   error
	limit LimitError
}{
	{wire.ErrTooMany, LimitError{"MessageRecords", wire.MaxRecords}},
	{wire.ErrExpansion, LimitError{"MessageNames", wire.MaxExpanded}},
	{wire.ErrHops, LimitError{"NamePointers", wire.MaxHops}},
	{wire.ErrTooManyOpts, LimitError{"EDNSOptions", wire.MaxOptions}},
}

// messageError says why a reply cannot be taken apart: it goes beyond a bound, which is
// counted, or is malformed.
func (r *Resolver) messageError(err error) error {
	for _, bound := range messageBounds {
		if errors.Is(err, bound.err) {
			return fmt.Errorf("%w: %w", r.counts.refusals.refuse(bound.limit.Limit, bound.limit.Value), err)
		}
	}
	return fmt.Errorf("%w: %w", errUnreadable, err)
}

// ofData reports whether the limit says something about the data or the reply, rather than
// about what is left of somebody's budget: everybody else would reach it too.
func (e *LimitError) ofData() bool {
	switch e.Limit {
	case "SendsPerServer", "Records", "SignaturesPerRRset", "KeysPerTag", "DSPerZone",
		"MessageRecords", "MessageNames", "NamePointers", "EDNSOptions":
		return true
	}
	return false
}

// ownLimit reports whether a limit of the caller's budget is among the causes of an error.
func ownLimit(err error) bool {
	if limit, ok := err.(*LimitError); ok {
		return !limit.ofData()
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return ownLimit(err.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(err.Unwrap(), ownLimit)
	}
	return false
}

// LimitError says that a question needed more work than its Limits allow, or that
// nothing but replies came that go beyond what a message may have.
type LimitError struct {
	// Limit is the field of Limits, or a bound of messages, which is none: MessageRecords
	// (records of a message), MessageNames (octets of its names, written out),
	// NamePointers (compression pointers in one name) or EDNSOptions.
	Limit string
	Value int // what it allows; for Time in milliseconds
}

func (e *LimitError) Error() string { return fmt.Sprintf("limit %s (%d) reached", e.Limit, e.Value) }
