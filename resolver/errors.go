package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"errors"
	"slices"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
)

// The causes of failures, for errors.Is. Resolve returns each wrapped in an *Error.
var (
	// ErrClosed: the resolver has been closed.
	ErrClosed = failure.ErrClosed
	// ErrNoReachableServer: every server that could be asked was asked, by this question or
	// by another one a moment ago, and none sent a usable answer.
	ErrNoReachableServer = failure.ErrNoReachableServer
	// ErrNoServerAddress: none of a zone's name servers has an address that is known, can
	// be looked up and may be asked.
	ErrNoServerAddress = failure.ErrNoServerAddress
	// ErrCircular: a name server's address depends on itself, or a Dial function asks, with the context
	// that it gets, for the name it is called for.
	ErrCircular = failure.ErrCircular
	// ErrIntercepted: a resolver between this host and the root servers answers instead of them. Remedy: a
	// forward route for "." (Options.Routes) to a resolver that may be asked.
	ErrIntercepted = failure.ErrIntercepted
	// ErrBlocked: no root server answered at all, nor has any other server within the last
	// minute. Remedy: a forward route for "." (Options.Routes) to a resolver that may be
	// asked.
	ErrBlocked = failure.ErrBlocked
	// ErrNoNetwork: this host can send no query to any root server: it has no route to them, or its own
	// packet filter forbids it. It is a special case of ErrBlocked, and wraps it.
	ErrNoNetwork = failure.ErrNoNetwork
	// ErrOnlyTCP accompanies another cause: the servers were asked over TCP, since this network lets no DNS
	// over UDP through (Stats.Network). Zones whose servers have no TCP fail there.
	ErrOnlyTCP = failure.ErrOnlyTCP
	// ErrNoDescriptors: this process, or this host, has as many files and sockets open as
	// it may (EMFILE, ENFILE). It says nothing about servers. Remedy: a higher limit
	// (RLIMIT_NOFILE), or fewer connections of clients.
	ErrNoDescriptors = failure.ErrNoDescriptors
	// ErrCertificate: a server that is asked over TLS has a certificate that has expired,
	// is not for its name, or is not from a trusted authority. It wraps the reason.
	ErrCertificate = failure.ErrCertificate
	// ErrTLSRequired: the servers of a zone have to be asked over TLS (Options.RequireTLS), and none
	// of them could be. The error says why: no connection, no reply, or a certificate, for
	// which it wraps ErrCertificate too. They were not asked in clear.
	ErrTLSRequired = failure.ErrTLSRequired
	// ErrMetaType: the question is for a type that is not data: OPT, AXFR and the like (RFC
	// 6895 §3.1).
	ErrMetaType = failure.ErrMetaType
	// ErrAliasLoop: a chain of aliases leads back to one of its names. The text of the error has the names
	// of the loop.
	ErrAliasLoop = failure.ErrAliasLoop
	// ErrAborted: a function of the program's (Dial, an Exchanger, a Trace and so on)
	// panicked or ended its goroutine, as testing.T.FailNow does, while it worked on this
	// question. When several callers share the work, the one whose question began it panics
	// with the same value, in its own goroutine, and the others get this error.
	ErrAborted = failure.ErrAborted
	// ErrCached: the question failed a moment ago and is not tried again yet (RFC 9520).
	ErrCached = failure.ErrCached
	// ErrHookResult: one of Options.Hooks returned something that cannot be sent to a
	// client: neither a result nor an error, a record that is nil or cannot be packed, or a
	// number that is no response code.
	ErrHookResult = failure.ErrHookResult
)

// ErrClock is the cause, beside dnssec.Bogus, where an answer is bogus most likely because this host's
// clock is wrong. The tree of the error has a *ClockError; with ErrCached too, as it was when the question
// failed.
// Remedy: set the clock, or see Options.SignatureTime.
var ErrClock = failure.ErrClock

// ClockError is an ErrClock that says how far the clock is wrong. A program on a host whose clock is not
// set may get the time from time servers first: examples/recipes/clock.go.
type ClockError = dnssec.ClockError

// ErrName is the error of a question whose name is not a domain name. It wraps the reason.
var ErrName = failure.ErrName

// ErrFiltered is the error of a question whose answer has only addresses that
// Options.RebindingProtection or Options.AllowAddress removes.
var ErrFiltered = failure.ErrFiltered

// ErrRouteLoop: a route leads back to this resolver, directly or by way of others.
var ErrRouteLoop = failure.ErrRouteLoop

// ErrZoneDenied is the Problem of a Zone whose servers deny the apex, or its NS or SOA records: they do not
// know the zone, or are misconfigured.
var ErrZoneDenied = failure.ErrZoneDenied

// ErrOutsideZone: the name is not at or below the zone whose servers are to be asked.
var ErrOutsideZone = failure.ErrOutsideZone

// ErrNoZone: AskServers was given a zone that FindZone did not return, or one without servers, because the
// resolver answers it itself.
var ErrNoZone = failure.ErrNoZone

// ErrServerNotAllowed is the Err of a ServerAnswer whose address may not be asked.
var ErrServerNotAllowed = failure.ErrServerNotAllowed

// RouteError is an error of a question that names the route (Options.Routes) it failed by.
type RouteError struct {
	Zone string // of the route
	Err  error
}

func (e *RouteError) Error() string { return (*routes.Error)(e).Error() }

// Unwrap returns the cause.
func (e *RouteError) Unwrap() error { return e.Err }

// Error is why there is no answer: no server could be asked, none answered usably, a limit
// was reached, or the answer is bogus. It wraps the cause.
type Error struct {
	// Question is what the caller asked.
	Question dns.Question
	// Zone is the zone whose servers were asked last, or were being asked when the question ended
	// with its context or with Limits.Time; "" if none was.
	Zone string
	// Servers are the addresses tried in Zone, in order, each once. With ErrCached they are those that were
	// tried when the question failed, at most the last 4.
	Servers []netip.AddrPort
	// Down are addresses in Zone that were not tried because they are marked down; at most 8.
	Down []DownServer
	// Status is Bogus when the answer failed validation, also when that is cached from a
	// moment ago (ErrCached); else Indeterminate.
	Status dnssec.Status
	// Chain is the evidence for Bogus: every DNSKEY and DS RRset that was received of the
	// zones above, or the denial of a DS, and last the whole response, all with their
	// signatures. Data that could not be fetched is a link without records. With the same
	// trust anchors dnssec.VerifyChain finds the same fault.
	//
	// It is filled for questions asked with WithChain whose response was validated just now. It is nil for
	// a cached failure (ErrCached), which keeps the other fields; for the evidence, ask again when the
	// failure has expired, after 5 s to 5 minutes (RFC 9520 §3.2).
	Chain []dnssec.Link
	// Extended is the cause as an extended DNS error (RFC 8914). With ErrCached it is that
	// of the cached failure; replies have "Cached Error" beside it.
	Extended ExtendedError
	// Err is the cause: one of the Err values of this package, a *LimitError, a
	// context's error, or several of them joined.
	Err error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "resolve %s", nameAndType(e.Question))
	if e.Zone != "" {
		fmt.Fprintf(&b, ": zone %s", e.Zone)
	}
	b.WriteString(": " + Printable(strings.ReplaceAll(fmt.Sprint(e.Err), "\n", "; ")))
	var tried []string
	if n := len(e.Servers); n > 0 && pendingOf(e) == nil { // which says so itself
		tried = append(tried, fmt.Sprintf("%s tried, last %s", failure.CountServers(n), e.Servers[n-1]))
	}
	if n := len(e.Down); n > 0 {
		tried = append(tried, failure.CountServers(n)+" marked down")
	}
	if len(tried) > 0 {
		b.WriteString(" (" + strings.Join(tried, "; ") + ")")
	}
	return b.String()
}

// pendingOf returns what a question still waited for when it was ended; nil: nothing.
func pendingOf(e *Error) *failure.PendingError {
	var p *failure.PendingError
	if e != nil && e.Err != nil {
		errors.As(e.Err, &p)
	}
	return p
}

// DownServer is a server that was not asked because it has not replied for a while: only single queries are
// sent to it, to find out when it replies again.
type DownServer struct {
	Addr   netip.AddrPort
	Lost   int           // how many queries in a row it has not replied to
	Silent time.Duration // how long ago its last reply came; 0: it never sent one
}

// String returns the address with the reason.
func (s DownServer) String() string {
	if s.Silent == 0 {
		return fmt.Sprintf("%s (marked down, it has never replied)", s.Addr)
	}
	return fmt.Sprintf("%s (marked down, its last reply was %v ago)", s.Addr, s.Silent.Round(time.Second))
}

// nameAndType returns name and type of a question, or the name alone where there is no type.
func nameAndType(q dns.Question) string {
	name := shortened(Printable(q.Name))
	switch {
	case q.Name == "":
		name = `""`
	case q.Qtype == dns.TypeNone:
		return name
	}
	return name + " " + answer.TypeName(q.Qtype)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// As lets a resolver read an error that it or another resolver has returned, when the program passes it
// back in. The types that it fills in are not exported.
func (e *Error) As(target any) bool {
	told, ok := target.(**failure.ToldError)
	if ok {
		*told = &failure.ToldError{Err: e, Bogus: e.Status == dnssec.Bogus, Extended: failure.ExtendedError(e.Extended), Known: engineForms(e.Err)}
	}
	return ok
}

// Timeout reports whether time ran out: the caller's, or the limit's.
func (e *Error) Timeout() bool {
	f := failure.Of(handedIn(e.Err))
	switch {
	case f.Is(failure.Deadline), f.Is(failure.Held):
		return true
	case f.Limit != nil:
		return f.Reaches(limits.Time)
	}
	return f.Is(failure.Timeout)
}

// Temporary reports whether asking again later may help. It is false for questions that
// cannot be asked at all.
func (e *Error) Temporary() bool { return !failure.Of(handedIn(e.Err)).Has(failure.Permanent) }

// wrap returns the *Error of q with the cause err.
func wrap(q dns.Question, err error) *Error {
	f := failure.Of(handedIn(err)) // it may be the cause of a context's end
	e := &Error{Question: q, Err: err, Extended: ExtendedError(f.Extended())}
	if f.IsBogus() {
		e.Status = dnssec.Bogus
	}
	switch {
	case f.Bogus != nil:
		e.Zone, e.Err = f.Bogus.Zone.String(), f.Bogus.Err
		if f.Bogus.Server.IsValid() { // not the local root, or the second level
			e.Servers = []netip.AddrPort{f.Bogus.Server}
		}
	case f.Zone != nil && !f.IsBogus():
		e.Zone, e.Servers, e.Err = f.Zone.Zone.String(), f.Zone.Servers, f.Zone.Err
		for _, s := range f.Zone.Down {
			e.Down = append(e.Down, DownServer(s))
		}
	case f.Remembered() != nil:
		before := f.Remembered().Failure.Origin()
		e.Servers = before.Servers
		if before.Zone != "" {
			e.Zone = before.Zone.String()
		}
	}
	if fallback, ok := errors.AsType[*failure.FallbackError](err); ok {
		e.Err = &failure.FallbackError{Cause: fallback.Cause, Err: e.Err}
	}
	e.Err = shown(e.Err)
	return e
}

// wrapIn is wrap for a question that may have been asked with WithChain.
func wrapIn(ctx context.Context, q dns.Question, err error) *Error {
	e := wrap(q, err)
	if bogus := failure.Of(err).Bogus; bogus != nil && wantsChain(ctx) {
		e.Chain = bogus.Verdict.Chain(bogus.Response)
	}
	return e
}

// ExtendedError is an extended DNS error. RFC 8914.
type ExtendedError struct {
	Code uint16 // one of miekg/dns's ExtendedErrorCode constants
	Text string // short, for people; may be empty
}

// String returns the code's registered purpose and the text, which may come from the
// network and is made printable.
func (e ExtendedError) String() string {
	purpose := dns.ExtendedErrorCodeToString[e.Code]
	if e.Code == failure.NegativeTrustAnchor {
		purpose = "Negative Trust Anchor"
	}
	if e.Text == "" {
		return purpose
	}
	return purpose + ": " + Printable(e.Text)
}

// convertExtended converts extended DNS errors between what callers see and the engine's form,
// which have the same fields. Nil stays nil.
func convertExtended[To, From ExtendedError | failure.ExtendedError](from []From) []To {
	if from == nil {
		return nil
	}
	to := make([]To, len(from))
	for i, e := range from {
		to[i] = To(e)
	}
	return to
}

// The engine has errors of its own for what LimitError, RouteError and Refusal say. shown makes
// those that callers know of them, and handedIn the engine's of those that the program returns.

// shown returns an error of the engine as callers see it: the same tree, with a *LimitError, a
// *RouteError or an error of the program's in each place where the engine has its own.
func shown(err error) error {
	switch e := err.(type) {
	case *limits.Error:
		return (*LimitError)(e)
	case *routes.Error:
		return &RouteError{Zone: e.Zone, Err: shown(e.Err)}
	case *failure.OutsideError:
		return shown(e.Err)
	case *failure.FallbackError:
		return &failure.FallbackError{Cause: shown(e.Cause), Err: shown(e.Err)}
	}
	switch _, several := err.(interface{ Unwrap() []error }); {
	case !isOfEngine(err):
		return err
	case several:
		return &shownErrors{err}
	}
	return &shownError{err}
}

// isOfEngine reports whether there is an error in the tree that callers do not know.
func isOfEngine(err error) bool {
	switch err.(type) {
	case *limits.Error, *routes.Error, *failure.OutsideError:
		return true
	}
	return slices.ContainsFunc(failure.Wrapped(err), isOfEngine)
}

// shownError is an error that wraps one of the engine's.
type shownError struct{ err error }

func (e *shownError) Error() string { return e.err.Error() }

// As finds the types in the tree that callers know.
func (e *shownError) As(target any) bool { return asShown(e.err, target) }

// Unwrap returns the cause, as callers see it.
func (e *shownError) Unwrap() error { return shown(errors.Unwrap(e.err)) }

// shownErrors is a shownError that wraps several.
type shownErrors struct{ err error }

func (e *shownErrors) Error() string { return e.err.Error() }

// As finds the types in the tree that callers know.
func (e *shownErrors) As(target any) bool { return asShown(e.err, target) }

// Unwrap returns the causes, as callers see them.
func (e *shownErrors) Unwrap() []error {
	var causes []error
	for _, err := range failure.Wrapped(e.err) {
		causes = append(causes, shown(err))
	}
	return causes
}

// asShown is errors.As, except for the types that only Unwrap makes.
func asShown(err error, target any) bool {
	switch target.(type) {
	case **LimitError, **RouteError:
		return false
	}
	return errors.As(err, target)
}

// handedIn returns an error of the program's in a form in which the engine knows what it says.
func handedIn(err error) error {
	if known := engineForms(err); len(known) > 0 {
		return &failure.OutsideError{Err: err, Known: known}
	}
	return err
}

// engineForms returns the engine's forms of the errors in a tree that it does not know. An *Error
// is not among them, as it has the method As.
func engineForms(err error) []error {
	switch e := err.(type) {
	case *LimitError:
		return []error{(*limits.Error)(e)}
	case *Refusal:
		return []error{&failure.RefusedError{Err: e, Rcode: e.rcode(), Extended: failure.ExtendedError(e.extended())}}
	case *shownError:
		return []error{e.err}
	case *shownErrors:
		return []error{e.err}
	case *Error:
		return nil
	}
	var forms []error
	for _, each := range failure.Wrapped(err) {
		forms = append(forms, engineForms(each)...)
	}
	return forms
}
