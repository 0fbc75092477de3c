package failure

import (
	"context"
	"net"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/limits"
)

// Failure is what went wrong with a question: the tree of its error, read once. All code
// that decides by an error decides by its failure.
type Failure struct {
	Kinds  uint64 // a bit for each Kind
	Traits trait  // of all of them

	// The first of each type in the tree; nil: there is none.
	Limit       *limits.Error
	Bogus       *BogusError
	cached      *CachedError
	Zone        *ZoneError
	certificate *CertificateError
	Refusal     *RefusedError
	Told        *ToldError

	fallback bool // the fallback was asked too, in vain

	network bool // a net.Error was read: the first one says whether it is a timeout
}

// Kind is one of the things that go wrong. A failure often has several: the servers
// of a zone fail in different ways, and so do the look-ups of their addresses. The kinds
// are in the order in which they explain a failure, the most telling first: an error of a
// hook, or an authoritative reply, tells more than that other servers did not answer.
type Kind uint8

const (
	Other Kind = iota // none of those that follow

	Refusal     // a hook refuses the question
	Hook        // a hook fails
	Closed      // the resolver is closed
	NotCached   // no server may be asked
	HookResult  // a hook returns what cannot be used
	Filtered    // no address of the answer is allowed
	Undecodable // records of the answer cannot be decoded
	Clock       // a response fails validation, and this host's clock is to blame
	Bogus       // a response fails validation
	Cached      // the question failed a moment ago

	QuestionLimit // a limit of one question's budget
	DataLimit     // of the data
	ResolverLimit // of the resources that all questions share

	Aborted       // a function of the program's did not return
	Canceled      // nobody waits any more
	NoDescriptors // this host has no sockets left
	Certificate   // of a server
	TLSRequired   // the servers have to be asked over TLS, and cannot be
	Intercepted   // the root servers cannot be asked from here
	NoNetwork     // likewise: this host sends nothing
	Blocked       // likewise
	AliasLoop
	Circular    // name servers depend on each other
	RouteLoop   // a route leads back
	MetaType    // the question cannot be asked
	Name        // likewise
	OutsideZone // likewise
	NoZone      // likewise
	ZoneDenied  // the servers of a zone deny its apex
	ServerNotAllowed
	NoServerAddress
	NoReachableServer
	Time     // Limits.Time ran out
	Deadline // the caller's time ran out, or that of a send
	Timeout  // a net.Error that is a timeout: a packet was lost
	Held     // time ran out while a query waited for a limit of the resolver
)

// trait is what a kind of failure means for what comes next.
type trait uint16

const (
	// unanswered: there was no answer, so that an expired one may be returned. answered:
	// there was one, or nobody waits for one, whatever else failed (RFC 8767 §4).
	unanswered trait = 1 << iota
	answered
	// ofLeader: it is about the budget of the question that led a flight, not of others.
	ofLeader
	// fleeting: it is not remembered (RFC 9520), as it says nothing about the question.
	fleeting
	// ofPath: it is not remembered of a sub-question, which may be asked on another path.
	ofPath
	// OwnMeans: the question or this host ran out of means, which says nothing about servers.
	OwnMeans
	// Permanent: asking again does not help.
	Permanent
	// Explaining: the text of the sentinel explains the failure to clients.
	Explaining
	// Named: Stats counts the failures of this kind by a reason of their own. Others are
	// counted by another kind that they have too, or as Other.
	Named
)

// noCode is the code of kinds that leave the extended error to others.
const noCode = ^uint16(0)

// Table describes each kind of failure. It never changes.
var Table = [...]struct {
	Sentinel error  // the error value of this kind; nil: it is recognised by its type
	code     uint16 // the extended error (RFC 8914)
	Traits   trait
}{
	Other: {nil, dns.ExtendedErrorCodeNoReachableAuthority, Named},

	Refusal:     {nil, dns.ExtendedErrorCodeBlocked, 0}, // or what it says itself
	Hook:        {nil, dns.ExtendedErrorCodeOther, 0},
	Closed:      {ErrClosed, dns.ExtendedErrorCodeNotReady, Named | answered | fleeting | Permanent | Explaining},
	NotCached:   {ErrNotCached, noCode, Named},
	HookResult:  {ErrHookResult, noCode, Named | Explaining},
	Filtered:    {ErrFiltered, dns.ExtendedErrorCodeBlocked, Explaining},
	Undecodable: {ErrUndecodable, dns.ExtendedErrorCodeInvalidData, 0},
	Clock:       {ErrClock, noCode, Named},                            // it is Bogus too
	Bogus:       {nil, dns.ExtendedErrorCodeDNSBogus, Named},          // or as the validator says
	Cached:      {ErrCached, dns.ExtendedErrorCodeCachedError, Named}, // or as it failed before

	QuestionLimit: {nil, dns.ExtendedErrorCodeOther, Named | ofLeader | ofPath | OwnMeans},
	DataLimit:     {nil, dns.ExtendedErrorCodeOther, Named | ofPath},
	ResolverLimit: {nil, dns.ExtendedErrorCodeOther, Named | ofLeader | ofPath | OwnMeans},

	Aborted:           {ErrAborted, dns.ExtendedErrorCodeOther, fleeting | OwnMeans | Explaining},
	Canceled:          {context.Canceled, noCode, Named | answered | ofLeader | fleeting},
	NoDescriptors:     {ErrNoDescriptors, dns.ExtendedErrorCodeOther, Named | fleeting | OwnMeans | Explaining},
	Certificate:       {ErrCertificate, noCode, Named},
	TLSRequired:       {ErrTLSRequired, dns.ExtendedErrorCodeNetworkError, Named | Explaining},
	Intercepted:       {ErrIntercepted, dns.ExtendedErrorCodeNetworkError, Named | Explaining},
	NoNetwork:         {ErrNoNetwork, dns.ExtendedErrorCodeNetworkError, Named | Explaining},
	Blocked:           {ErrBlocked, dns.ExtendedErrorCodeNetworkError, Named | Explaining},
	AliasLoop:         {ErrAliasLoop, dns.ExtendedErrorCodeOther, Named | answered | Explaining},
	Circular:          {ErrCircular, dns.ExtendedErrorCodeOther, Named | unanswered | ofPath | Explaining},
	RouteLoop:         {ErrRouteLoop, dns.ExtendedErrorCodeNetworkError, Explaining},
	MetaType:          {ErrMetaType, dns.ExtendedErrorCodeNotSupported, Permanent | Explaining},
	Name:              {ErrName, dns.ExtendedErrorCodeInvalidData, Permanent | Explaining},
	OutsideZone:       {ErrOutsideZone, dns.ExtendedErrorCodeInvalidData, Permanent | Explaining},
	NoZone:            {ErrNoZone, dns.ExtendedErrorCodeInvalidData, Permanent | Explaining},
	ZoneDenied:        {ErrZoneDenied, dns.ExtendedErrorCodeNotAuthoritative, answered | Explaining},
	ServerNotAllowed:  {ErrServerNotAllowed, dns.ExtendedErrorCodeProhibited, Permanent | Explaining},
	NoServerAddress:   {ErrNoServerAddress, noCode, Named | unanswered | Explaining},
	NoReachableServer: {ErrNoReachableServer, noCode, Named | unanswered | Explaining},
	Time:              {nil, dns.ExtendedErrorCodeOther, Named | ofLeader | ofPath | OwnMeans},
	Deadline:          {context.DeadlineExceeded, noCode, Named | unanswered},
	Timeout:           {nil, noCode, unanswered},
	Held:              {nil, noCode, 0},
}

// Of returns the failure in an error's tree; nil has none.
func Of(err error) Failure {
	var f Failure
	f.read(err)
	return f
}

// read adds the kinds of an error and of the errors that it wraps, as errors.Is and
// errors.As would find them.
func (f *Failure) read(err error) {
	if err == nil {
		return
	}
	f.readType(err)
	f.readSentinel(err)
	f.readAll(Wrapped(err))
}

func (f *Failure) readAll(errs []error) {
	for _, err := range errs {
		f.read(err)
	}
}

// readTold adds what an error that a resolver has returned says about itself.
func (f *Failure) readTold(told *ToldError) {
	f.Told = firstOf(f.Told, told)
	if f.Told == told && told.Bogus {
		f.add(Bogus)
	}
	f.readAll(told.Known)
}

func (f *Failure) readType(err error) {
	if e, ok := err.(net.Error); ok && !f.network {
		f.network = true
		if e.Timeout() {
			f.add(Timeout)
		}
	}
	switch err := err.(type) {
	case *limits.Error:
		f.Limit = firstOf(f.Limit, err)
		f.add(kindOfLimit(err.Which()))
	case *BogusError:
		f.Bogus = firstOf(f.Bogus, err)
		f.add(Bogus)
	case *CachedError:
		f.cached = firstOf(f.cached, err)
		if f.cached.isBogus() {
			f.add(Bogus)
		}
	case *ZoneError:
		f.Zone = firstOf(f.Zone, err)
	case *FallbackError:
		f.fallback = true
	case *CertificateError:
		f.certificate = firstOf(f.certificate, err)
	case *HeldError:
		f.add(Held)
	case *HookError:
		f.add(Hook)
		f.readAll(err.Known)
	case *OutsideError:
		f.readAll(err.Known)
	case *RefusedError:
		f.Refusal = firstOf(f.Refusal, err)
		f.add(Refusal)
	case interface{ As(any) bool }:
		var told *ToldError
		if err.As(&told) {
			f.readTold(told)
		}
	}
}

// readSentinel adds the kind of an error that is one of the sentinels, or whose Is method
// says so.
func (f *Failure) readSentinel(err error) {
	same, _ := err.(interface{ Is(error) bool })
	for k := range Table {
		if s := Table[k].Sentinel; s != nil && (err == s || same != nil && same.Is(s)) {
			f.add(Kind(k))
		}
	}
}

func (f *Failure) add(k Kind) {
	f.Kinds |= 1 << k
	f.Traits |= Table[k].Traits
}

func firstOf[T any](first, next *T) *T {
	if first != nil {
		return first
	}
	return next
}

// kindOfLimit returns the kind of failure of reaching the limit.
func kindOfLimit(l limits.Limit) Kind {
	if l == limits.Time {
		return Time
	}
	switch limits.Table[l].Scope {
	case limits.OfQuestion:
		return QuestionLimit
	case limits.OfData:
		return DataLimit
	case limits.OfResolver:
		return ResolverLimit
	}
	return QuestionLimit
}

// Is reports whether k is one of the kinds.
func (f Failure) Is(k Kind) bool { return f.Kinds>>k&1 != 0 }

// Has reports whether one of the kinds has the trait.
func (f Failure) Has(t trait) bool { return f.Traits&t != 0 }

// Reaches reports whether l is the first limit that was reached.
func (f Failure) Reaches(l limits.Limit) bool { return f.Limit != nil && f.Limit.Which() == l }

// IsBogus reports whether validation failed, now or when the question was asked before.
func (f Failure) IsBogus() bool { return f.Bogus != nil || f.cached != nil && f.cached.isBogus() }

// IsTimeout reports whether a packet was lost or a wait ran out of time.
func (f Failure) IsTimeout() bool { return f.Is(Timeout) || f.Is(Deadline) }

// IsOutage reports whether a question failed without an answer, so that an expired one may
// be returned instead: servers silent, not found, or answering with errors, and our own
// limits on how long to try.
//
// An authoritative reply is an answer, even a useless one, and hiding it would be wrong
// (RFC 8767 §4): an alias loop, more records or signatures than are looked at, and above
// all bogus data. It comes from the zone's owner, or an attacker, and validation is there
// to make that visible. Unbound and BIND cover some validation failures with expired data;
// we never do, except where keys could not be fetched.
func (f Failure) IsOutage() bool {
	switch {
	case f.fallback: // which is asked in an outage only, and what it says does not end that
		return !f.Is(Canceled) && !f.Is(Closed)
	case f.Bogus != nil:
		return f.Bogus.Reason.Code == dnssec.ReasonUnavailable
	case f.cached != nil:
		return !f.cached.isBogus()
	case f.Has(answered):
		return false
	case f.Limit != nil:
		return !limits.Table[f.Limit.Which()].Refutes
	}
	return f.Has(unanswered)
}

// Remembered returns the failure that the question had a moment ago; nil: it failed now.
func (f Failure) Remembered() *CachedError { return f.cached }

// IsOfLeader reports whether it is about the budget or the time of the question that led a
// flight, and so says nothing about the question to other callers. A limit that the data
// exceeds affects them all, and so does a timeout among the errors of a zone's servers: it
// is that of lost packets.
func (f Failure) IsOfLeader() bool {
	return f.Has(ofLeader) || f.Zone == nil && f.Is(Deadline)
}

// IsOfZone reports whether it is about the answers of a zone's servers, or their silence.
func (f Failure) IsOfZone() bool {
	return (f.Bogus != nil || f.Zone != nil) && !f.IsOfLeader() && !f.Is(Aborted)
}

// IsWorthRemembering reports whether the question will fail for others too (RFC 9520). A
// failure says nothing about that if it comes from how the question was asked: the caller's
// time or, of a sub-question, the path that led to it.
func (f Failure) IsWorthRemembering(sub bool) bool {
	return !f.Has(fleeting) && !(sub && f.Has(ofPath))
}

// Counted returns the kind whose reason Stats counts.
func (f Failure) Counted() Kind {
	for k := Other + 1; int(k) < len(Table); k++ {
		if f.Is(k) && Table[k].Traits&Named != 0 {
			return k
		}
	}
	return Other
}

// explained returns the kind whose extended error describes the failure best.
func (f Failure) explained() Kind {
	for k := Other + 1; int(k) < len(Table); k++ {
		if f.Is(k) && Table[k].code != noCode {
			return k
		}
	}
	return Other
}

// Extended returns the extended DNS error that describes the failure best.
func (f Failure) Extended() ExtendedError {
	k := f.explained()
	switch {
	case k == Refusal:
		return f.Refusal.Extended
	case k == Bogus && f.Bogus != nil:
		return ExtendedReason(f.Bogus.Reason)
	case (k == Bogus || k == Cached) && f.cached != nil:
		return f.cached.reason()
	case k == Bogus && f.Told != nil:
		return f.Told.Extended
	}
	return ExtendedError{Code: Table[k].code, Text: f.Summary()}
}

// Summary returns the first cause in a few words, without addresses.
func (f Failure) Summary() string {
	switch {
	case f.Limit != nil:
		return f.Limit.Error()
	case f.certificate != nil:
		return f.certificate.What
	}
	for k := range Table {
		if row := &Table[k]; row.Traits&Explaining != 0 && f.Is(Kind(k)) {
			return row.Sentinel.Error()
		}
	}
	return ""
}
