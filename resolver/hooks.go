package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/scrub"
)

// Hooks let a program have a say in each question that is put to its resolver: answer it,
// refuse it, change the answer, log who asked for what. Any of them may be nil. They are
// called concurrently, and the question waits for them.
//
// Resolve, Exchange, ServeDNS, Lookup and its like call them once. The methods of package
// net, NetResolver and DialContext call them for each question that they make of a name:
// for A and AAAA, and for each domain of the search list. Questions that are worked on
// together with others pass the hooks one by one all the same. Look-ups of name servers'
// addresses, of keys, and of what an alias leads to are no questions of this kind, nor is
// what Exchange refuses without looking for an answer, such as FORMERR.
//
// ctx is the caller's; that of ServeDNS ends with the resolver, and ClientAddr tells who
// asks. What a hook itself asks its resolver with ctx, or with one derived from it, passes
// no hooks; what it asks another resolver passes the hooks of that one.
// The question has its name absolute and in lower case.
type Hooks struct {
	// Before is called before the answer is looked for. With nil and nil the question
	// passes. A Result is the answer; it has to be whole, aliases are not followed, and
	// Options.AllowAddress has no say in it. Its Question is set, and a TTL of 0 becomes
	// the lowest TTL of the records. The resolver makes a copy, so that one Result may
	// serve many questions. An error, a *Refusal above all, refuses the question. So does
	// a Result that no client could be sent, since a record is nil or cannot be packed (an
	// owner without its trailing dot, for one) or Rcode is none: that is ErrHookResult.
	Before func(ctx context.Context, q dns.Question) (*Result, error)

	// After is called with what is about to be returned: of result and err one is nil.
	// What it returns is returned instead, as from Before; err may wrap the one given.
	// The result given is its own to change.
	After func(ctx context.Context, q dns.Question, result *Result, err error) (*Result, error)
}

// Refusal is the error with which a hook refuses a question. Resolve returns it in an
// *Error; Exchange and ServeDNS answer with its code.
type Refusal struct {
	// Rcode is the response code. 0: REFUSED. Those that no reply can have, as they are
	// negative, more than 12 bits, or more than 4 where the query has no EDNS, become
	// SERVFAIL.
	Rcode int
	// Extended says why (RFC 8914). The zero value: Blocked.
	Extended ExtendedError
}

func (e *Refusal) Error() string {
	return "refused: " + rcodeName(e.rcode()) + ", " + e.extended().String()
}

func (e *Refusal) rcode() int {
	if e.Rcode == dns.RcodeSuccess {
		return dns.RcodeRefused
	}
	return e.Rcode
}

func (e *Refusal) extended() ExtendedError {
	if e.Extended == (ExtendedError{}) {
		return ExtendedError{Code: dns.ExtendedErrorCodeBlocked}
	}
	return e.Extended
}

type clientKey struct{}

// WithClient gives a context that tells hooks who asks, for servers that call Exchange
// themselves. ServeDNS does so by itself.
func WithClient(ctx context.Context, client netip.AddrPort) context.Context {
	return context.WithValue(ctx, clientKey{}, client)
}

// ClientAddr gives the address of the client whose question this is; the zero AddrPort
// when it is a question of the program's own, or the client has no IP address.
func ClientAddr(ctx context.Context) netip.AddrPort {
	client, _ := ctx.Value(clientKey{}).(netip.AddrPort)
	return client
}

// addrPortOf is the IP address and port of a.
func addrPortOf(a net.Addr) netip.AddrPort {
	var at netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		at = a.AddrPort()
	case *net.TCPAddr:
		at = a.AddrPort()
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// hooksPassedKey marks contexts of a resolver's hooks, whose own questions pass none of
// these.
type hooksPassedKey struct{ r *Resolver }

// hasHooks reports whether there are hooks for a question asked with ctx.
func (r *Resolver) hasHooks(ctx context.Context) bool {
	return !r.config.Hooks.none() && ctx.Value(hooksPassedKey{r}) == nil
}

func (h *Hooks) none() bool { return h.Before == nil && h.After == nil }

// hooked does the work on a client's question between the hooks. Its errors are *Errors
// where there are hooks, else work's.
func (r *Resolver) hooked(ctx context.Context, q question, work func() (*Result, error)) (*Result, error) {
	if !r.hasHooks(ctx) {
		return work()
	}
	hooks := &r.config.Hooks
	ctx, asked := context.WithValue(ctx, hooksPassedKey{r}, true), q.public()
	var result *Result
	var err error
	if hooks.Before != nil {
		result, err = hooks.Before(ctx, asked)
		result, err = fromHook(q, result, err, nil, nil)
	}
	if result == nil && err == nil {
		if result, err = work(); err != nil {
			err = asError(asked, err)
		}
	}
	if hooks.After == nil {
		return result, err
	}
	after, afterErr := hooks.After(ctx, asked, result, err)
	if after == nil && afterErr == nil {
		return nil, asError(asked, errHookSilent)
	}
	return fromHook(q, after, afterErr, result, err)
}

var errHookSilent = unusableResult(errors.New("neither a result nor an error"))

// unusableResult is the error of a hook whose result is of no use.
func unusableResult(why error) *hookError {
	return &hookError{fmt.Errorf("%w: %w", ErrHookResult, why)}
}

// fromHook takes over result and err of a hook that was given the other two.
func fromHook(q question, result *Result, err error, given *Result, givenErr error) (*Result, error) {
	switch {
	case err != nil && err == givenErr:
		return nil, err
	case err != nil:
		return nil, asError(q.public(), &hookError{err})
	case result == nil:
		return nil, nil
	}
	if err := result.sendable(); err != nil {
		return nil, asError(q.public(), unusableResult(err))
	}
	if result == given {
		return result, nil
	}
	return result.adopted(q), nil
}

// sendable says why a hook's result cannot be sent to anybody; nil when it can. What it was
// given it may have changed in place, so that this is looked at in any case.
func (r *Result) sendable() error {
	if !isRcode(r.Rcode) {
		return fmt.Errorf("response code %d", r.Rcode)
	}
	for _, section := range [...][]dns.RR{r.Answer, r.Authority} {
		for _, rr := range section {
			if err := packable(rr); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopted is a copy of a hook's result with what it leaves open filled in.
func (r *Result) adopted(q question) *Result {
	c := *r
	c.Question = q.public()
	c.Answer, c.Authority = copyRecords(r.Answer), copyRecords(r.Authority)
	c.Extended = append([]ExtendedError(nil), r.Extended...)
	if c.TTL == 0 {
		c.TTL = lowestTTL(c.Answer, c.Authority)
	}
	return &c
}

func copyRecords(records []dns.RR) []dns.RR {
	var copied []dns.RR
	for _, rr := range records {
		copied = append(copied, dns.Copy(rr))
	}
	return copied
}

// hookError is why a hook refuses a question, or fails.
type hookError struct{ err error }

func (e *hookError) Error() string { return e.err.Error() }

// Unwrap gives the hook's error.
func (e *hookError) Unwrap() error { return e.err }

// asError makes an *Error of err. What an *Error within it knows is kept.
func asError(q dns.Question, err error) *Error {
	var inner *Error
	switch {
	case !errors.As(err, &inner):
		return wrap(q, err)
	case inner == err:
		return inner
	}
	outer := *inner
	outer.Err = err
	var refusal *Refusal
	if errors.As(err, &refusal) {
		outer.Extended = refusal.extended()
	}
	return &outer
}

// hookedPacked is hooked for who needs no decoded records.
func (r *Resolver) hookedPacked(ctx context.Context, q question, work func() (*found, error)) (*found, error) {
	if !r.hasHooks(ctx) {
		return work()
	}
	result, err := r.hooked(ctx, q, func() (*Result, error) {
		f, err := work()
		if err != nil {
			return nil, err
		}
		return f.result()
	})
	if err != nil {
		return nil, err
	}
	f, err := result.packed(q)
	if err != nil {
		return nil, asError(q.public(), unusableResult(err))
	}
	return f, nil
}

// packed gives a result in the form that the methods of package net read: the alias chain
// that begins at the name of the question, and the records at its end.
func (r *Result) packed(q question) (*found, error) {
	f := &found{
		q: q, rcode: r.Rcode, status: r.Status, fromCache: r.FromCache, extended: r.Extended,
		ttl: uint32(min(r.TTL, maxTTL*time.Second) / time.Second),
	}
	sets, err := setsOf(r.Answer)
	if err != nil {
		return nil, err
	}
	at := q.name
	for range len(sets) {
		i := indexOfSet(sets, at, dns.TypeCNAME)
		if isAliasType(q.rrtype) || i < 0 {
			break
		}
		step, ok := scrub.Redirect(at, sets[i])
		if !ok {
			return nil, fmt.Errorf("CNAME of %s has no target", at)
		}
		f.aliases, at = append(f.aliases, step), step.To
	}
	for _, set := range sets {
		if set.Owner == at && (set.Type == q.rrtype || q.rrtype == dns.TypeANY) {
			f.sets = append(f.sets, set)
		}
	}
	return f, nil
}

// clientContext is the context of a question that ServeDNS was asked.
func (r *Resolver) clientContext(from net.Addr) context.Context {
	if r.config.Hooks.none() {
		return r.base
	}
	return WithClient(r.base, addrPortOf(from))
}
