package resolver

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/wire"
)

// limit is one of the bounds on the work for a question: a field of Limits, or a bound that
// every message has to keep.
type limit uint8

const (
	limitUnknown limit = iota // a LimitError that a hook made, with any name

	limitSends
	limitBytes
	limitTime
	limitSendsPerServer
	limitFailedServerLookups
	limitAddressesPerServer
	limitDepth
	limitAliases
	limitMinimised
	limitReferrals
	limitRecords
	limitSignatureChecks
	limitFailedSignatureChecks
	limitSignatureCost
	limitSignaturesPerRRset
	limitKeysPerTag
	limitDSPerZone
	limitNSEC3Iterations
	limitNSEC3Hashes
	limitQueriesPerZone
	limitQueriesPerServer
	limitQuestions
	limitSockets
	limitConnections

	// The bounds of messages (attacks.md 31-33). They are no fields of Limits, since real
	// messages are far below them.
	limitMessageRecords
	limitMessageNames
	limitNamePointers
	limitEDNSOptions
)

// limitScope says what a limit bounds, and so which questions reach it.
type limitScope uint8

const (
	ofQuestion limitScope = iota // the budget of one question: another one has its own
	ofData                       // the data or the reply: every question reaches it
	ofResolver                   // shared by all questions: what is full now is free later
)

// limitTable describes each limit. It never changes.
var limitTable = [...]struct {
	name    string // in Limits, LimitError and Stats
	value   int    // the default, or the bound of messages; for Time in milliseconds
	scope   limitScope
	refutes bool  // a question that reaches it has an answer, which is unusable: no outage (RFC 8767 §4)
	breach  error // of a message that goes beyond it
}{
	limitUnknown: {},

	limitSends:                 {name: "Sends", value: 100},
	limitBytes:                 {name: "Bytes", value: 256 << 10},
	limitTime:                  {name: "Time", value: 10_000},
	limitSendsPerServer:        {name: "SendsPerServer", value: 3, scope: ofData},
	limitFailedServerLookups:   {name: "FailedServerLookups", value: 5},
	limitAddressesPerServer:    {name: "AddressesPerServer", value: 6},
	limitDepth:                 {name: "Depth", value: 7},
	limitAliases:               {name: "Aliases", value: 11, refutes: true},
	limitMinimised:             {name: "Minimised", value: 10},
	limitReferrals:             {name: "Referrals", value: 40},
	limitRecords:               {name: "Records", value: 256, scope: ofData, refutes: true},
	limitSignatureChecks:       {name: "SignatureChecks", value: 64, refutes: true},
	limitFailedSignatureChecks: {name: "FailedSignatureChecks", value: 16, refutes: true},
	limitSignatureCost:         {name: "SignatureCost", value: 200, refutes: true},
	limitSignaturesPerRRset:    {name: "SignaturesPerRRset", value: dnssec.DefaultSignaturesPerRRset, scope: ofData, refutes: true},
	limitKeysPerTag:            {name: "KeysPerTag", value: dnssec.DefaultKeysPerTag, scope: ofData, refutes: true},
	limitDSPerZone:             {name: "DSPerZone", value: dnssec.DefaultDSPerZone, scope: ofData, refutes: true},
	limitNSEC3Iterations:       {name: "NSEC3Iterations", value: 50},
	limitNSEC3Hashes:           {name: "NSEC3Hashes", value: 600, refutes: true},
	limitQueriesPerZone:        {name: "QueriesPerZone", value: 200, scope: ofResolver},
	limitQueriesPerServer:      {name: "QueriesPerServer", value: 100, scope: ofResolver},
	limitQuestions:             {name: "Questions", value: 10_000, scope: ofResolver},
	limitSockets:               {name: "Sockets", value: 1_000, scope: ofResolver},
	limitConnections:           {name: "Connections", value: 200, scope: ofResolver},

	limitMessageRecords: {name: "MessageRecords", value: wire.MaxRecords, scope: ofData, breach: wire.ErrTooMany},
	limitMessageNames:   {name: "MessageNames", value: wire.MaxExpanded, scope: ofData, breach: wire.ErrExpansion},
	limitNamePointers:   {name: "NamePointers", value: wire.MaxHops, scope: ofData, breach: wire.ErrHops},
	limitEDNSOptions:    {name: "EDNSOptions", value: wire.MaxOptions, scope: ofData, breach: wire.ErrTooManyOpts},
}

func (l limit) String() string { return limitTable[l].name }

// limitNamed returns the limit that a LimitError names.
func limitNamed(name string) limit {
	for l := range limitTable {
		if limitTable[l].name == name {
			return limit(l)
		}
	}
	return limitUnknown
}

// field returns the field of limits; nil for Time, which is no int, and for limits that are
// not a field.
func (l limit) field(limits *limits) *int {
	switch l {
	case limitSends:
		return &limits.Sends
	case limitBytes:
		return &limits.Bytes
	case limitSendsPerServer:
		return &limits.SendsPerServer
	case limitFailedServerLookups:
		return &limits.FailedServerLookups
	case limitAddressesPerServer:
		return &limits.AddressesPerServer
	case limitDepth:
		return &limits.Depth
	case limitAliases:
		return &limits.Aliases
	case limitMinimised:
		return &limits.Minimised
	case limitReferrals:
		return &limits.Referrals
	case limitRecords:
		return &limits.Records
	case limitSignatureChecks:
		return &limits.SignatureChecks
	case limitFailedSignatureChecks:
		return &limits.FailedSignatureChecks
	case limitSignatureCost:
		return &limits.SignatureCost
	case limitSignaturesPerRRset:
		return &limits.SignaturesPerRRset
	case limitKeysPerTag:
		return &limits.KeysPerTag
	case limitDSPerZone:
		return &limits.DSPerZone
	case limitNSEC3Iterations:
		return &limits.NSEC3Iterations
	case limitNSEC3Hashes:
		return &limits.NSEC3Hashes
	case limitQueriesPerZone:
		return &limits.QueriesPerZone
	case limitQueriesPerServer:
		return &limits.QueriesPerServer
	case limitQuestions:
		return &limits.Questions
	case limitSockets:
		return &limits.Sockets
	case limitConnections:
		return &limits.Connections
	case limitUnknown, limitTime, limitMessageRecords, limitMessageNames, limitNamePointers, limitEDNSOptions:
	}
	return nil
}

// in returns what limits allow; for Time in milliseconds.
func (l limit) in(limits *limits) int {
	if l == limitTime {
		return int(limits.Time.Milliseconds())
	}
	if field := l.field(limits); field != nil {
		return *field
	}
	return limitTable[l].value
}

// reached returns the error that says that the limit of that value has been reached.
func (l limit) reached(value int) *limitError { return &limitError{Limit: l.String(), Value: value} }

// refusals counts how often each limit was reached. A nil *refusals counts nothing.
type refusals [len(limitTable)]atomic.Uint64

func (r *refusals) count(l limit) {
	if r != nil {
		r[l].Add(1)
	}
}

// refuse counts that a limit was reached, and returns the error that says so.
func (r *refusals) refuse(l limit, value int) *limitError {
	r.count(l)
	return l.reached(value)
}

// limitOfValidator returns the limit that sets one of the validator's. The bound on NSEC3
// records is none of Limits, as no more of them come this far than are looked at.
func limitOfValidator(l dnssec.Limit) limit {
	switch l {
	case dnssec.LimitSignatureChecks:
		return limitSignatureChecks
	case dnssec.LimitSignaturesPerRRset:
		return limitSignaturesPerRRset
	case dnssec.LimitKeysPerTag:
		return limitKeysPerTag
	case dnssec.LimitDSPerZone:
		return limitDSPerZone
	case dnssec.LimitFailedChecks:
		return limitFailedSignatureChecks
	case dnssec.LimitCostUnits:
		return limitSignatureCost
	case dnssec.LimitNSEC3Hashes, dnssec.LimitNSEC3Records:
		return limitNSEC3Hashes
	}
	return limitUnknown
}

// limitOfMessage returns the limit that a reply goes beyond, by the error of parsing it, and its
// value; false when the reply is malformed.
func limitOfMessage(err error) (limit, int, bool) {
	for l := range limitTable {
		if breach := limitTable[l].breach; breach != nil && errors.Is(err, breach) {
			return limit(l), limitTable[l].value, true
		}
	}
	return limitUnknown, 0, false
}

// limitError is the error of a question that reached a limit. Its fields are those of
// resolver.LimitError, so that the one converts to the other.
type limitError struct {
	Limit string // the name
	Value int    // for Time in milliseconds
}

func (e *limitError) Error() string { return fmt.Sprintf("limit %s (%d) reached", e.Limit, e.Value) }

// limit returns what the error names.
func (e *limitError) limit() limit { return limitNamed(e.Limit) }
