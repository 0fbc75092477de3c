package limits

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/wire"
)

// Limit is one of the bounds on the work for a question: a field of Limits, or a bound that
// every message has to keep.
type Limit uint8

const (
	Unknown Limit = iota // a LimitError that a hook made, with any name

	Sends
	Bytes
	Time
	SendsPerServer
	FailedServerLookups
	AddressesPerServer
	Depth
	Aliases
	Minimised
	Referrals
	Records
	SignatureChecks
	FailedSignatureChecks
	SignatureCost
	SignaturesPerRRset
	KeysPerTag
	DSPerZone
	NSEC3Iterations
	NSEC3Hashes
	QueriesPerZone
	QueriesPerServer
	Questions
	Sockets
	Connections

	// The bounds of messages (attacks.md 31-33). They are no fields of Limits, since real
	// messages are far below them.
	MessageRecords
	MessageNames
	NamePointers
	EDNSOptions
)

// limitScope says what a limit bounds, and so which questions reach it.
type limitScope uint8

const (
	OfQuestion limitScope = iota // the budget of one question: another one has its own
	OfData                       // the data or the reply: every question reaches it
	OfResolver                   // shared by all questions: what is full now is free later
)

// Table describes each limit. It never changes.
var Table = [...]struct {
	name    string // in Limits, LimitError and Stats
	value   int    // the default, or the bound of messages; for Time in milliseconds
	Scope   limitScope
	Refutes bool  // a question that reaches it has an answer, which is unusable: no outage (RFC 8767 §4)
	breach  error // of a message that goes beyond it
}{
	Unknown: {},

	Sends:                 {name: "Sends", value: 100},
	Bytes:                 {name: "Bytes", value: 256 << 10},
	Time:                  {name: "Time", value: 10_000},
	SendsPerServer:        {name: "SendsPerServer", value: 3, Scope: OfData},
	FailedServerLookups:   {name: "FailedServerLookups", value: 5},
	AddressesPerServer:    {name: "AddressesPerServer", value: 6},
	Depth:                 {name: "Depth", value: 7},
	Aliases:               {name: "Aliases", value: 11, Refutes: true},
	Minimised:             {name: "Minimised", value: 10},
	Referrals:             {name: "Referrals", value: 40},
	Records:               {name: "Records", value: 256, Scope: OfData, Refutes: true},
	SignatureChecks:       {name: "SignatureChecks", value: 64, Refutes: true},
	FailedSignatureChecks: {name: "FailedSignatureChecks", value: 16, Refutes: true},
	SignatureCost:         {name: "SignatureCost", value: 200, Refutes: true},
	SignaturesPerRRset:    {name: "SignaturesPerRRset", value: dnssec.DefaultSignaturesPerRRset, Scope: OfData, Refutes: true},
	KeysPerTag:            {name: "KeysPerTag", value: dnssec.DefaultKeysPerTag, Scope: OfData, Refutes: true},
	DSPerZone:             {name: "DSPerZone", value: dnssec.DefaultDSPerZone, Scope: OfData, Refutes: true},
	NSEC3Iterations:       {name: "NSEC3Iterations", value: 50},
	NSEC3Hashes:           {name: "NSEC3Hashes", value: 600, Refutes: true},
	QueriesPerZone:        {name: "QueriesPerZone", value: 200, Scope: OfResolver},
	QueriesPerServer:      {name: "QueriesPerServer", value: 100, Scope: OfResolver},
	Questions:             {name: "Questions", value: 10_000, Scope: OfResolver},
	Sockets:               {name: "Sockets", value: 1_000, Scope: OfResolver},
	Connections:           {name: "Connections", value: 200, Scope: OfResolver},

	MessageRecords: {name: "MessageRecords", value: wire.MaxRecords, Scope: OfData, breach: wire.ErrTooMany},
	MessageNames:   {name: "MessageNames", value: wire.MaxExpanded, Scope: OfData, breach: wire.ErrExpansion},
	NamePointers:   {name: "NamePointers", value: wire.MaxHops, Scope: OfData, breach: wire.ErrHops},
	EDNSOptions:    {name: "EDNSOptions", value: wire.MaxOptions, Scope: OfData, breach: wire.ErrTooManyOpts},
}

func (l Limit) String() string { return Table[l].name }

// Named returns the limit that a LimitError names.
func Named(name string) Limit {
	for l := range Table {
		if Table[l].name == name {
			return Limit(l)
		}
	}
	return Unknown
}

// field returns the field of limits; nil for Time, which is no int, and for limits that are
// not a field.
func (l Limit) field(limits *Limits) *int {
	switch l {
	case Sends:
		return &limits.Sends
	case Bytes:
		return &limits.Bytes
	case SendsPerServer:
		return &limits.SendsPerServer
	case FailedServerLookups:
		return &limits.FailedServerLookups
	case AddressesPerServer:
		return &limits.AddressesPerServer
	case Depth:
		return &limits.Depth
	case Aliases:
		return &limits.Aliases
	case Minimised:
		return &limits.Minimised
	case Referrals:
		return &limits.Referrals
	case Records:
		return &limits.Records
	case SignatureChecks:
		return &limits.SignatureChecks
	case FailedSignatureChecks:
		return &limits.FailedSignatureChecks
	case SignatureCost:
		return &limits.SignatureCost
	case SignaturesPerRRset:
		return &limits.SignaturesPerRRset
	case KeysPerTag:
		return &limits.KeysPerTag
	case DSPerZone:
		return &limits.DSPerZone
	case NSEC3Iterations:
		return &limits.NSEC3Iterations
	case NSEC3Hashes:
		return &limits.NSEC3Hashes
	case QueriesPerZone:
		return &limits.QueriesPerZone
	case QueriesPerServer:
		return &limits.QueriesPerServer
	case Questions:
		return &limits.Questions
	case Sockets:
		return &limits.Sockets
	case Connections:
		return &limits.Connections
	case Unknown, Time, MessageRecords, MessageNames, NamePointers, EDNSOptions:
	}
	return nil
}

// In returns what limits allow; for Time in milliseconds.
func (l Limit) In(limits *Limits) int {
	if l == Time {
		return int(limits.Time.Milliseconds())
	}
	if field := l.field(limits); field != nil {
		return *field
	}
	return Table[l].value
}

// Reached returns the error that says that the limit of that value has been reached.
func (l Limit) Reached(value int) *Error { return &Error{Limit: l.String(), Value: value} }

// Counters counts how often each limit was reached. A nil *Counters counts nothing.
type Counters [len(Table)]atomic.Uint64

// Count counts that a limit was reached.
func (r *Counters) Count(l Limit) {
	if r != nil {
		r[l].Add(1)
	}
}

// Exceeded counts that a limit was reached, and returns the error that says so.
func (r *Counters) Exceeded(l Limit, value int) *Error {
	r.Count(l)
	return l.Reached(value)
}

// OfValidator returns the limit that sets one of the validator's. The bound on NSEC3
// records is none of Limits, as no more of them come this far than are looked at.
func OfValidator(l dnssec.Limit) Limit {
	switch l {
	case dnssec.LimitSignatureChecks:
		return SignatureChecks
	case dnssec.LimitSignaturesPerRRset:
		return SignaturesPerRRset
	case dnssec.LimitKeysPerTag:
		return KeysPerTag
	case dnssec.LimitDSPerZone:
		return DSPerZone
	case dnssec.LimitFailedChecks:
		return FailedSignatureChecks
	case dnssec.LimitCostUnits:
		return SignatureCost
	case dnssec.LimitNSEC3Hashes, dnssec.LimitNSEC3Records:
		return NSEC3Hashes
	}
	return Unknown
}

// OfMessage returns the limit that a reply goes beyond, by the error of parsing it, and its
// value; false when the reply is malformed.
func OfMessage(err error) (Limit, int, bool) {
	for l := range Table {
		if breach := Table[l].breach; breach != nil && errors.Is(err, breach) {
			return Limit(l), Table[l].value, true
		}
	}
	return Unknown, 0, false
}

// Error is the error of a question that reached a limit. Its fields are those of
// resolver.LimitError, so that the one converts to the other.
type Error struct {
	Limit string // the name
	Value int    // for Time in milliseconds
}

func (e *Error) Error() string {
	if e.Which() == Time {
		return fmt.Sprintf("limit %s (%v) reached", e.Limit, time.Duration(e.Value)*time.Millisecond)
	}
	return fmt.Sprintf("limit %s (%d) reached", e.Limit, e.Value)
}

// OfText returns the limit of which text is an Error's, as a remembered failure keeps it; Unknown: it
// is no such text.
func OfText(text string) Limit {
	name, _, ok := strings.Cut(strings.TrimPrefix(text, "limit "), " (")
	if !ok || !strings.HasSuffix(text, ") reached") {
		return Unknown
	}
	return Named(name)
}

// Which returns what the error names.
func (e *Error) Which() Limit { return Named(e.Limit) }
