package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/rescue"
)

// What went wrong, for errors.Is. Each comes wrapped in an *Error.
var (
	// ErrClosed: the resolver has been closed.
	ErrClosed = errors.New("resolver is closed")
	// ErrNoReachableServer: every server that could be asked was asked, by this question
	// or by another one a moment ago, and none gave an answer that could be used.
	ErrNoReachableServer = errors.New("no reachable server")
	// ErrNoServerAddress: none of a zone's name servers has an address that we
	// know, can look up and may ask.
	ErrNoServerAddress = errors.New("no address of any name server")
	// ErrCircular: a name server's address depends on itself.
	ErrCircular = errors.New("circular dependency between name servers")
	// ErrIntercepted: something between us and the root servers answers in their
	// place. The way out is a forward route for "." (Options.Routes) to a resolver that may
	// be asked.
	ErrIntercepted = errors.New("queries to the root servers are intercepted: answers come from a recursive resolver in between")
	// ErrBlocked: no root server answered at all, nor has any other server within the last
	// minute. The way out is a forward route for "."
	// (Options.Routes) to a resolver that may be asked.
	ErrBlocked = errors.New("no root server can be reached: port 53 may be blocked")
	// ErrNoDescriptors: this process has as many files and sockets open as it may, or this
	// host has (EMFILE, ENFILE). It says nothing about servers. The way out is a higher limit
	// (RLIMIT_NOFILE), or fewer connections of clients.
	ErrNoDescriptors = errors.New("no file descriptors are left to ask servers with")
	// ErrCertificate: a server that is asked over TLS shows a certificate that has expired, or
	// is not for its name, or not of an authority that is trusted. It wraps the reason.
	ErrCertificate = errors.New("certificate of a server is not valid")
	// ErrMetaType: the question is for a type or class that is no data: OPT, AXFR
	// and their like (RFC 6895 §3.1).
	ErrMetaType = errors.New("not a type that can be resolved")
	// ErrAliasLoop: a chain of aliases leads back into itself.
	ErrAliasLoop = errors.New("alias loop")
	// ErrAborted: a function of the program's (Dial, an Exchanger, a Trace and so on) panicked or
	// ended its goroutine, as testing.T.FailNow does, while it worked on this question. Where
	// several callers shared the work, the one whose question began it panics as the function
	// did, in its own goroutine, and the others get this.
	ErrAborted = rescue.ErrAborted
	// ErrCached: the question failed a moment ago and is not tried again yet (RFC
	// 9520).
	ErrCached = errors.New("failed recently")
	// ErrHookResult: what one of Options.Hooks returned cannot be given to anybody: neither
	// a result nor an error, a record that is nil or cannot be packed, a response code that
	// is none.
	ErrHookResult = errors.New("hook gave a result that cannot be used")
)

// ErrName: the name of the question is no domain name. It wraps the reason.
var ErrName = errors.New("malformed domain name")

// Why one server's response is of no use.
var (
	errLame            = errors.New("does not serve the zone")
	errNoQuestion      = errors.New("could not read the query")
	errFlooded         = errors.New("sent too much that is no reply")
	errCutOff          = errors.New("reply over TCP is truncated")
	errRefusesToSettle = errors.New("no usable reply in as many tries as one server gets")
)

// errUndecodable says that an answer has records that cannot be shown to anybody.
var errUndecodable = errors.New("answer cannot be decoded")

// errUnreadable says that a reply to the query came and cannot be taken apart.
var errUnreadable = errors.New("malformed reply")

// errForeignReply says that what arrived was no reply to the query.
var errForeignReply = errors.New("reply does not belong to the query")

// RouteError says by which of Options.Routes a question failed.
type RouteError struct {
	Zone string // of the route
	Err  error
}

func (e *RouteError) Error() string {
	return fmt.Sprintf("route for %s: %s", e.Zone, printableLines(fmt.Sprint(e.Err)))
}

// Unwrap gives the cause.
func (e *RouteError) Unwrap() error { return e.Err }

// Error is why there is no answer: nobody could be asked, nobody answered usably, a
// limit was reached, or the answer is bogus. It wraps the cause.
type Error struct {
	// Question is what the caller asked.
	Question dns.Question
	// Zone is the zone whose servers were asked last, "" if none was.
	Zone string
	// Servers are the addresses tried in Zone, in order, each once.
	Servers []netip.AddrPort
	// Status is Bogus when the answer failed validation, also when that is remembered
	// from a moment ago (ErrCached); else Indeterminate.
	Status dnssec.Status
	// Chain is the evidence for Bogus: every DNSKEY and DS RRset that was received of the
	// zones above, or the denial of a DS, and last the whole response, all with their
	// signatures. What could not be had is a link without records. Whoever has the same
	// trust anchors finds the same fault (dnssec.VerifyChain).
	//
	// It is there when the question was asked with WithChain and the response has been
	// judged just now. It is nil when the failure is a remembered one (ErrCached): of that no
	// more is kept than Status and Extended, and whoever needs the evidence asks again when the
	// failure has ended, after 5 s to 5 minutes (RFC 9520 §3.2).
	Chain []dnssec.Link
	// Extended is the cause as an extended DNS error (RFC 8914). With ErrCached it is that of
	// the failure remembered; replies have "Cached Error" beside it.
	Extended ExtendedError
	// Err is the cause: one of the Err values of this package, a *LimitError, a
	// context's error, or several of them joined.
	Err error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "resolve %s %s", Printable(e.Question.Name), typeName(e.Question.Qtype))
	if e.Zone != "" {
		fmt.Fprintf(&b, ": zone %s", e.Zone)
	}
	b.WriteString(": " + printableLines(fmt.Sprint(e.Err)))
	if n := len(e.Servers); n > 0 {
		fmt.Fprintf(&b, " (%d servers tried, last %s)", n, e.Servers[n-1])
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether time ran out: the caller's, or the limit's.
func (e *Error) Timeout() bool {
	f := failureOf(e.Err)
	switch {
	case f.is(failDeadline), f.is(failHeld):
		return true
	case f.limit != nil:
		return f.reaches(limitTime)
	}
	return f.is(failTimeout)
}

// Temporary reports whether asking again later may help. It does not for questions
// that cannot be asked at all.
func (e *Error) Temporary() bool { return !failureOf(e.Err).has(permanent) }

// wrap makes an *Error of what went wrong with q.
func wrap(q dns.Question, err error) *Error {
	f := failureOf(err)
	e := &Error{Question: q, Err: err, Extended: f.extended()}
	if f.isBogus() {
		e.Status = dnssec.Bogus
	}
	switch {
	case f.bogus != nil:
		e.Zone, e.Servers, e.Err = f.bogus.zone.String(), []netip.AddrPort{f.bogus.server}, f.bogus.err
	case f.zone != nil && !f.isBogus():
		e.Zone, e.Servers, e.Err = f.zone.zone.String(), f.zone.servers, f.zone.err
	}
	return e
}

// wrapIn is wrap for a question that may have been asked with WithChain.
func wrapIn(ctx context.Context, q dns.Question, err error) *Error {
	e := wrap(q, err)
	if bogus := failureOf(err).bogus; bogus != nil && wantsChain(ctx) {
		e.Chain = bogus.verdict.Chain(bogus.response)
	}
	return e
}

// typeName gives a type's mnemonic, or TYPE123 (RFC 3597 §5).
func typeName(t uint16) string { return dns.Type(t).String() }
