package resolver

import (
	"context"
	"net"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// failure is what went wrong with a question: the tree of its error, read once. All code
// that decides by an error decides by its failure.
type failure struct {
	kinds  uint64 // a bit for each failureKind
	traits trait  // of all of them

	// The first of each type in the tree; nil: there is none.
	limit       *limitError
	bogus       *bogusError
	cached      *cachedError
	zone        *zoneError
	certificate *certificateError
	refusal     *refusedError
	told        *toldError

	network bool // a net.Error was read: the first one says whether it is a timeout
}

// failureKind is one of the things that go wrong. A failure often has several: the servers
// of a zone fail in different ways, and so do the look-ups of their addresses. The kinds
// are in the order in which they explain a failure, the most telling first: an error of a
// hook, or an authoritative reply, tells more than that other servers did not answer.
type failureKind uint8

const (
	failOther failureKind = iota // none of those that follow

	failRefusal     // a hook refuses the question
	failHook        // a hook fails
	failClosed      // the resolver is closed
	failNotCached   // no server may be asked
	failHookResult  // a hook returns what cannot be used
	failFiltered    // no address of the answer is allowed
	failUndecodable // records of the answer cannot be decoded
	failBogus       // a response fails validation
	failCached      // the question failed a moment ago

	failQuestionLimit // a limit of one question's budget
	failDataLimit     // of the data
	failResolverLimit // of the resources that all questions share

	failAborted       // a function of the program's did not return
	failCanceled      // nobody waits any more
	failNoDescriptors // this host has no sockets left
	failCertificate   // of a server
	failIntercepted   // the root servers cannot be asked from here
	failBlocked       // likewise
	failAliasLoop
	failCircular  // name servers depend on each other
	failRouteLoop // a route leads back
	failMetaType  // the question cannot be asked
	failName      // likewise
	failNoServerAddress
	failNoReachableServer
	failTime     // Limits.Time ran out
	failDeadline // the caller's time ran out, or that of a send
	failTimeout  // a net.Error that is a timeout: a packet was lost
	failHeld     // time ran out while a query waited for a limit of the resolver
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
	// ownMeans: the question or this host ran out of means, which says nothing about servers.
	ownMeans
	// permanent: asking again does not help.
	permanent
	// explaining: the text of the sentinel explains the failure to clients.
	explaining
	// named: Stats counts the failures of this kind by a reason of their own. Others are
	// counted by another kind that they have too, or as failOther.
	named
)

// noCode is the code of kinds that leave the extended error to others.
const noCode = ^uint16(0)

// failureTable describes each kind of failure. It never changes.
var failureTable = [...]struct {
	sentinel error  // the error value of this kind; nil: it is recognised by its type
	code     uint16 // the extended error (RFC 8914)
	traits   trait
}{
	failOther: {nil, dns.ExtendedErrorCodeNoReachableAuthority, named},

	failRefusal:     {nil, dns.ExtendedErrorCodeBlocked, 0}, // or what it says itself
	failHook:        {nil, dns.ExtendedErrorCodeOther, 0},
	failClosed:      {errClosed, dns.ExtendedErrorCodeNotReady, named | answered | fleeting | permanent | explaining},
	failNotCached:   {errNotCached, noCode, named},
	failHookResult:  {errHookResult, noCode, named | explaining},
	failFiltered:    {errFiltered, dns.ExtendedErrorCodeBlocked, explaining},
	failUndecodable: {errUndecodable, dns.ExtendedErrorCodeInvalidData, 0},
	failBogus:       {nil, dns.ExtendedErrorCodeDNSBogus, named},          // or as the validator says
	failCached:      {errCached, dns.ExtendedErrorCodeCachedError, named}, // or as it failed before

	failQuestionLimit: {nil, dns.ExtendedErrorCodeOther, named | ofLeader | ofPath | ownMeans},
	failDataLimit:     {nil, dns.ExtendedErrorCodeOther, named | ofPath},
	failResolverLimit: {nil, dns.ExtendedErrorCodeOther, named | ofLeader | ofPath | ownMeans},

	failAborted:           {errAborted, dns.ExtendedErrorCodeOther, fleeting | ownMeans | explaining},
	failCanceled:          {context.Canceled, noCode, named | answered | ofLeader | fleeting},
	failNoDescriptors:     {errNoDescriptors, dns.ExtendedErrorCodeOther, named | fleeting | ownMeans | explaining},
	failCertificate:       {errCertificate, noCode, named},
	failIntercepted:       {errIntercepted, dns.ExtendedErrorCodeNetworkError, named | explaining},
	failBlocked:           {errBlocked, dns.ExtendedErrorCodeNetworkError, named | explaining},
	failAliasLoop:         {errAliasLoop, dns.ExtendedErrorCodeOther, named | answered | explaining},
	failCircular:          {errCircular, dns.ExtendedErrorCodeOther, named | unanswered | ofPath | explaining},
	failRouteLoop:         {errRouteLoop, dns.ExtendedErrorCodeNetworkError, explaining},
	failMetaType:          {errMetaType, dns.ExtendedErrorCodeNotSupported, permanent | explaining},
	failName:              {errName, dns.ExtendedErrorCodeInvalidData, permanent | explaining},
	failNoServerAddress:   {errNoServerAddress, noCode, named | unanswered | explaining},
	failNoReachableServer: {errNoReachableServer, noCode, named | unanswered | explaining},
	failTime:              {nil, dns.ExtendedErrorCodeOther, named | ofLeader | ofPath | ownMeans},
	failDeadline:          {context.DeadlineExceeded, noCode, named | unanswered},
	failTimeout:           {nil, noCode, unanswered},
	failHeld:              {nil, noCode, 0},
}

// failureOf returns the failure in an error's tree; nil has none.
func failureOf(err error) failure {
	var f failure
	f.read(err)
	return f
}

// read adds the kinds of an error and of the errors that it wraps, as errors.Is and
// errors.As would find them.
func (f *failure) read(err error) {
	if err == nil {
		return
	}
	f.readType(err)
	f.readSentinel(err)
	f.readAll(wrapped(err))
}

func (f *failure) readAll(errs []error) {
	for _, err := range errs {
		f.read(err)
	}
}

// readTold adds what an error that a resolver has returned says about itself.
func (f *failure) readTold(told *toldError) {
	f.told = firstOf(f.told, told)
	if f.told == told && told.bogus {
		f.add(failBogus)
	}
	f.readAll(told.known)
}

func (f *failure) readType(err error) {
	if e, ok := err.(net.Error); ok && !f.network {
		f.network = true
		if e.Timeout() {
			f.add(failTimeout)
		}
	}
	switch err := err.(type) {
	case *limitError:
		f.limit = firstOf(f.limit, err)
		f.add(kindOfLimit(err.limit()))
	case *bogusError:
		f.bogus = firstOf(f.bogus, err)
		f.add(failBogus)
	case *cachedError:
		f.cached = firstOf(f.cached, err)
		if f.cached.isBogus() {
			f.add(failBogus)
		}
	case *zoneError:
		f.zone = firstOf(f.zone, err)
	case *certificateError:
		f.certificate = firstOf(f.certificate, err)
	case *heldError:
		f.add(failHeld)
	case *hookError:
		f.add(failHook)
		f.readAll(err.known)
	case *outsideError:
		f.readAll(err.known)
	case *refusedError:
		f.refusal = firstOf(f.refusal, err)
		f.add(failRefusal)
	case interface{ As(any) bool }:
		var told *toldError
		if err.As(&told) {
			f.readTold(told)
		}
	}
}

// readSentinel adds the kind of an error that is one of the sentinels, or whose Is method
// says so.
func (f *failure) readSentinel(err error) {
	same, _ := err.(interface{ Is(error) bool })
	for k := range failureTable {
		if s := failureTable[k].sentinel; s != nil && (err == s || same != nil && same.Is(s)) {
			f.add(failureKind(k))
		}
	}
}

func (f *failure) add(k failureKind) {
	f.kinds |= 1 << k
	f.traits |= failureTable[k].traits
}

func firstOf[T any](first, next *T) *T {
	if first != nil {
		return first
	}
	return next
}

// kindOfLimit returns the kind of failure of reaching the limit.
func kindOfLimit(l limit) failureKind {
	if l == limitTime {
		return failTime
	}
	switch limitTable[l].scope {
	case ofQuestion:
		return failQuestionLimit
	case ofData:
		return failDataLimit
	case ofResolver:
		return failResolverLimit
	}
	return failQuestionLimit
}

func (f failure) is(k failureKind) bool { return f.kinds>>k&1 != 0 }

func (f failure) has(t trait) bool { return f.traits&t != 0 }

// reaches reports whether l is the first limit that was reached.
func (f failure) reaches(l limit) bool { return f.limit != nil && f.limit.limit() == l }

// isBogus reports whether validation failed, now or when the question was asked before.
func (f failure) isBogus() bool { return f.bogus != nil || f.cached != nil && f.cached.isBogus() }

// isTimeout reports whether a packet was lost or a wait ran out of time.
func (f failure) isTimeout() bool { return f.is(failTimeout) || f.is(failDeadline) }

// isOutage reports whether a question failed without an answer, so that an expired one may
// be returned instead: servers silent, not found, or answering with errors, and our own
// limits on how long to try.
//
// An authoritative reply is an answer, even a useless one, and hiding it would be wrong
// (RFC 8767 §4): an alias loop, more records or signatures than are looked at, and above
// all bogus data. It comes from the zone's owner, or an attacker, and validation is there
// to make that visible. Unbound and BIND cover some validation failures with expired data;
// we never do, except where keys could not be fetched.
func (f failure) isOutage() bool {
	switch {
	case f.bogus != nil:
		return f.bogus.reason.Code == dnssec.ReasonUnavailable
	case f.cached != nil:
		return !f.cached.isBogus()
	case f.has(answered):
		return false
	case f.limit != nil:
		return !limitTable[f.limit.limit()].refutes
	}
	return f.has(unanswered)
}

// isOfLeader reports whether it is about the budget or the time of the question that led a
// flight, and so says nothing about the question to other callers. A limit that the data
// exceeds affects them all, and so does a timeout among the errors of a zone's servers: it
// is that of lost packets.
func (f failure) isOfLeader() bool {
	return f.has(ofLeader) || f.zone == nil && f.is(failDeadline)
}

// isOfZone reports whether it is about the answers of a zone's servers, or their silence.
func (f failure) isOfZone() bool {
	return (f.bogus != nil || f.zone != nil) && !f.isOfLeader() && !f.is(failAborted)
}

// isWorthRemembering reports whether the question will fail for others too (RFC 9520). A
// failure says nothing about that if it comes from how the question was asked: the caller's
// time or, of a sub-question, the path that led to it.
func (f failure) isWorthRemembering(sub bool) bool {
	return !f.has(fleeting) && !(sub && f.has(ofPath))
}

// counted returns the kind whose reason Stats counts.
func (f failure) counted() failureKind {
	for k := failOther + 1; int(k) < len(failureTable); k++ {
		if f.is(k) && failureTable[k].traits&named != 0 {
			return k
		}
	}
	return failOther
}

// explained returns the kind whose extended error describes the failure best.
func (f failure) explained() failureKind {
	for k := failOther + 1; int(k) < len(failureTable); k++ {
		if f.is(k) && failureTable[k].code != noCode {
			return k
		}
	}
	return failOther
}

// extended returns the extended DNS error that describes the failure best.
func (f failure) extended() extendedError {
	k := f.explained()
	switch {
	case k == failRefusal:
		return f.refusal.extended
	case k == failBogus && f.bogus != nil:
		return extendedReason(f.bogus.reason)
	case (k == failBogus || k == failCached) && f.cached != nil:
		return f.cached.reason()
	case k == failBogus && f.told != nil:
		return f.told.extended
	}
	return extendedError{Code: failureTable[k].code, Text: f.summary()}
}

// summary returns the first cause in a few words, without addresses.
func (f failure) summary() string {
	switch {
	case f.limit != nil:
		return f.limit.Error()
	case f.certificate != nil:
		return f.certificate.what
	}
	for k := range failureTable {
		if row := &failureTable[k]; row.traits&explaining != 0 && f.is(failureKind(k)) {
			return row.sentinel.Error()
		}
	}
	return ""
}
