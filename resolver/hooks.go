package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/serve"
)

// Hooks let a program take part in each question that its resolver is asked: answer it,
// refuse it, change the answer, log who asked for what. Any of them may be nil. They are
// called concurrently, and the question waits for them.
//
// Resolve, Exchange, ServeDNS and Lookup call them once. The other look-up methods,
// NetResolver and DialContext call them for each DNS question that they ask: for A and for
// AAAA, and for each domain of the search list. Questions that share their work with others
// call the hooks each on their own. Hooks are not called for look-ups of name servers'
// addresses, of keys, and of the targets of aliases, nor for queries that Exchange refuses
// without looking for an answer, such as with FORMERR.
//
// ctx is the caller's; that of ServeDNS ends with the resolver, and ClientAddr returns the
// client's address. Questions that a hook itself asks its resolver with ctx, or with a
// context derived from it, call no hooks; questions that it asks another resolver call the
// hooks of that one. The question has its name absolute and in lower case.
type Hooks struct {
	// Before is called before the answer is looked for. If it returns nil and nil, the
	// question goes on. A Result is the answer; it has to be complete, since aliases are
	// not followed, and Options.AllowAddress does not apply to it. Its Question is set, and
	// a TTL of 0 becomes the lowest TTL of the records. The resolver makes a copy, so that
	// one Result may serve many questions. An error, usually a *Refusal, refuses the
	// question. So does a Result that cannot be sent to a client, because a record is nil
	// or cannot be packed (for example an owner without its trailing dot) or Rcode is not a
	// response code: the error is then ErrHookResult.
	Before func(ctx context.Context, q dns.Question) (*Result, error)

	// After is called with what is about to be returned: exactly one of result and err is
	// nil. What After returns is returned instead, under the same rules as for Before; its
	// error may wrap err. It may change result.
	After func(ctx context.Context, q dns.Question, result *Result, err error) (*Result, error)
}

// Refusal is the error with which a hook refuses a question. Resolve returns it in an
// *Error; Exchange and ServeDNS answer with its code.
type Refusal struct {
	// Rcode is the response code. 0: REFUSED. A code that the reply cannot carry (negative,
	// more than 12 bits, or more than 4 where the query has no EDNS) becomes SERVFAIL.
	Rcode int
	// Extended says why (RFC 8914). The zero value: Blocked.
	Extended ExtendedError
}

func (e *Refusal) Error() string {
	return "refused: " + failure.RcodeName(e.rcode()) + ", " + e.extended().String()
}

// rcode is the response code, with the default in the place of zero.
func (e *Refusal) rcode() int {
	if e.Rcode == dns.RcodeSuccess {
		return dns.RcodeRefused
	}
	return e.Rcode
}

// extended says why, with the default in the place of the zero value.
func (e *Refusal) extended() ExtendedError {
	if e.Extended == (ExtendedError{}) {
		return ExtendedError{Code: dns.ExtendedErrorCodeBlocked}
	}
	return e.Extended
}

type clientKey struct{}

// WithClient returns a context that carries the address of the client, which ClientAddr
// returns to hooks. It is for servers that call Exchange themselves; ServeDNS does it by
// itself.
func WithClient(ctx context.Context, client netip.AddrPort) context.Context {
	return context.WithValue(ctx, clientKey{}, client)
}

// ClientAddr returns the address of the client that asks the question; the zero AddrPort
// when the program itself asks, or the client has no IP address.
func ClientAddr(ctx context.Context) netip.AddrPort {
	client, _ := ctx.Value(clientKey{}).(netip.AddrPort)
	return client
}

// hooksPassedKey marks the context that a resolver's hooks get: questions asked with it do
// not call them again.
type hooksPassedKey struct{ r *Resolver }

// hasHooks reports whether there are hooks for a question asked with ctx.
func (r *Resolver) hasHooks(ctx context.Context) bool {
	return !r.config.Hooks.none() && ctx.Value(hooksPassedKey{r}) == nil
}

func (h *Hooks) none() bool { return h.Before == nil && h.After == nil }

// hooked does the work on a client's question between the two hooks. With hooks its errors
// are *Errors, otherwise those of work.
func (r *Resolver) hooked(ctx context.Context, q answer.Question, work func() (*Result, error)) (*Result, error) {
	if !r.hasHooks(ctx) {
		return work()
	}
	hooks := &r.config.Hooks
	ctx, asked := context.WithValue(ctx, hooksPassedKey{r}, true), q.Public()
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

// unusableResult returns the error for a hook whose result cannot be used.
func unusableResult(why error) *failure.HookError {
	return &failure.HookError{Err: fmt.Errorf("%w: %w", ErrHookResult, why)}
}

// fromHook checks and adopts the result and error that a hook returned; given and givenErr
// are what it was called with.
func fromHook(q answer.Question, result *Result, err error, given *Result, givenErr error) (*Result, error) {
	switch {
	case err != nil && err == givenErr:
		return nil, err
	case err != nil:
		return nil, asError(q.Public(), &failure.HookError{Err: err, Known: engineForms(err)})
	case result == nil:
		return nil, nil
	}
	if err := result.sendable(); err != nil {
		return nil, asError(q.Public(), unusableResult(err))
	}
	if result == given {
		return result, nil
	}
	return result.adopted(q), nil
}

// sendable returns why a hook's result cannot be sent to a client; nil when it can. It is
// checked even when the hook returns the result it was called with, which it may have
// changed in place.
func (r *Result) sendable() error {
	if !serve.IsRcode(r.Rcode) {
		return fmt.Errorf("response code %d", r.Rcode)
	}
	for _, section := range [...][]dns.RR{r.Answer, r.Authority} {
		for _, rr := range section {
			if err := serve.Packable(rr); err != nil {
				return err
			}
		}
	}
	return nil
}

// adopted returns a copy of a hook's result with the fields filled in that the hook left
// zero.
func (r *Result) adopted(q answer.Question) *Result {
	c := *r
	c.Question = q.Public()
	c.Answer, c.Authority = copyRecords(r.Answer), copyRecords(r.Authority)
	c.Extended = append([]ExtendedError(nil), r.Extended...)
	if c.TTL == 0 {
		c.TTL = serve.LowestTTL(c.Answer, c.Authority)
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

// asError returns err as an *Error, with the fields of the *Error that it wraps, if any.
func asError(q dns.Question, err error) *Error {
	var told *Error
	if !errors.As(err, &told) {
		return wrap(q, err)
	}
	if told == err {
		return told
	}
	outer := *told
	outer.Err = shown(err)
	if refused := failure.Of(err).Refusal; refused != nil {
		outer.Extended = ExtendedError(refused.Extended)
	}
	return &outer
}

// hookedPacked is hooked for callers that need no decoded records.
func (r *Resolver) hookedPacked(ctx context.Context, q answer.Question, work func() (*answer.Answer, error)) (*answer.Answer, error) {
	if !r.hasHooks(ctx) {
		return work()
	}
	result, err := r.hooked(ctx, q, func() (*Result, error) {
		f, err := work()
		if err != nil {
			return nil, err
		}
		return resultOf(f)
	})
	if err != nil {
		return nil, err
	}
	f, err := result.packed(q)
	if err != nil {
		return nil, asError(q.Public(), unusableResult(err))
	}
	return f, nil
}

// hookedReply is hooked for the answer to a query that becomes a reply.
func (r *Resolver) hookedReply(ctx context.Context, q answer.Question, work func() (*answer.Decoded, error)) (*answer.Decoded, error) {
	if !r.hasHooks(ctx) {
		return work()
	}
	result, err := r.hooked(ctx, q, func() (*Result, error) {
		d, err := work()
		if err != nil {
			return nil, err
		}
		return newResult(d), nil
	})
	if err != nil {
		return nil, err
	}
	return result.decoded(), nil
}

// packed returns a result in the form that the methods of package net read: the alias chain
// that starts at the name of the question, and the records at its end.
func (r *Result) packed(q answer.Question) (*answer.Answer, error) {
	f := &answer.Answer{
		Q: q, Kind: answer.KindNoData, Rcode: r.Rcode, Status: r.Status, FromCache: r.FromCache, Extended: convertExtended[failure.ExtendedError](r.Extended),
		TTL: uint32(min(r.TTL, answer.MaxTTL*time.Second) / time.Second),
	}
	sets, err := serve.SetsOf(r.Answer)
	if err != nil {
		return nil, err
	}
	at := q.Name
	for range len(sets) {
		i := serve.IndexOfSet(sets, at, dns.TypeCNAME)
		if answer.IsAliasType(q.Type) || i < 0 {
			break
		}
		step, ok := scrub.Redirect(at, sets[i])
		if !ok {
			return nil, fmt.Errorf("CNAME of %s has no target", at)
		}
		f.Aliases, at = append(f.Aliases, step), step.To
	}
	for _, set := range sets {
		if set.Owner == at && (set.Type == q.Type || q.Type == dns.TypeANY) {
			f.Sets = append(f.Sets, set)
		}
	}
	switch {
	case len(f.Sets) > 0:
		f.Kind = answer.KindAnswer
	case f.Rcode == dns.RcodeNameError:
		f.Kind = answer.KindNameError
	}
	return f, nil
}
