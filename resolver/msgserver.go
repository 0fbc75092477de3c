package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/serve"
)

// msgServer makes the replies to queries that are messages.
type msgServer struct {
	*env
	routes  *router
	iterate *iterator
	mesh    *mesh
	msgOptions

	cookies  *serve.ServerCookies
	admitHit func(dnsname.Name, uint16) bool // cacheDecidesFor
	netAsked netAsked
}

// msgOptions are what the program wants of the replies to messages.
type msgOptions struct {
	// listen has the Trace of the caller called during the work on a question; nil: there is
	// no Trace.
	listen func(ctx context.Context, st *queryState) questionListener
	// hooked works on a question between the hooks; nil: there are none.
	hooked func(ctx context.Context, q question, work func() (*decoded, error)) (*decoded, error)
	// withClient returns a context that tells hooks the address of the client.
	withClient func(ctx context.Context, client netip.AddrPort) context.Context
	rotate     func(n int) int // places by which to rotate RRsets; nil: none
	nsid       string          // the server's identity; "": none
}

// questionListener is the Trace of a caller for as long as the question is worked on.
type questionListener interface {
	// End calls the last hook, and returns the error of the question: err, or that a hook
	// ended its goroutine.
	End(st *queryState, err error) error
	// Close makes sure that no hook is called any more.
	Close()
}

func newMsgServer(e *env, rt *router, it *iterator, m *mesh, o msgOptions) *msgServer {
	s := &msgServer{env: e, routes: rt, iterate: it, mesh: m, msgOptions: o, cookies: serve.NewServerCookies(e.settings.Now)}
	s.admitHit = s.cacheDecidesFor // made once: a method value for each hit would be an allocation
	return s
}

// errNoQuery: Exchange was called with nil or with a response.
var errNoQuery = errors.New("resolver: not a query")

// respond makes the reply to a query; see Resolver.Exchange. The question may wait no longer
// than patience for its turn; 0 sets no bound beside ctx.
func (s *msgServer) respond(ctx context.Context, query *dns.Msg, patience time.Duration) (*dns.Msg, error) {
	switch {
	case query == nil || query.Response:
		return nil, errNoQuery
	case s.base.Err() != nil:
		return nil, errClosed
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	x := newResponder(query)
	if rcode, extended := x.refuse(); rcode != dns.RcodeSuccess {
		return x.failed(rcode, extended), nil
	}
	name, err := dnsname.Parse(query.Question[0].Name)
	if err != nil {
		return x.failed(dns.RcodeFormatError, extendedError{dns.ExtendedErrorCodeOther, "malformed name"}), nil
	}
	q := question{name, query.Question[0].Qtype}
	if s.iterate.loopProbes.arrived(name) {
		return x.failed(dns.RcodeRefused, extendedError{dns.ExtendedErrorCodeNetworkError, errRouteLoop.Error()}), nil
	}
	st := s.iterate.newClientQuestion(q, x.trust())
	st.maxQueued, st.clientQuestion = patience, q
	found, err := s.traced(ctx, st, query.RecursionDesired)
	if err == nil {
		serve.Rotate(found.answer, s.rotate)
		return x.answer(found), nil
	}
	f := failureOf(err)
	switch {
	case f.refusal != nil:
		return x.failed(f.refusal.rcode, f.refusal.extended), nil
	case f.is(failFiltered):
		// No records, and no SOA either, so that clients do not cache it: the records do
		// exist. An error would make clients ask other servers.
		return x.failed(dns.RcodeSuccess, f.extended()), nil
	case f.is(failNotCached):
		return x.failed(dns.RcodeRefused, extendedError{dns.ExtendedErrorCodeNotAuthoritative, "recursion not desired"}), nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case f.is(failClosed):
		return nil, errClosed
	}
	return x.unresolved(f), nil
}

// traced is hookedAnswer between the first and the last event of a Trace.
func (s *msgServer) traced(ctx context.Context, st *queryState, recurse bool) (*decoded, error) {
	l := s.listen(ctx, st)
	if l != nil {
		defer l.Close()
	}
	found, err := s.hookedAnswer(ctx, st, recurse)
	s.counts.asked(st.fromCache, st.stale, err)
	if l != nil {
		err = l.End(st, err)
	}
	return found, err
}

// hookedAnswer is find between the two hooks.
func (s *msgServer) hookedAnswer(ctx context.Context, st *queryState, recurse bool) (*decoded, error) {
	if s.hooked == nil {
		return s.find(ctx, st, recurse)
	}
	return s.hooked(ctx, st.q, func() (*decoded, error) { return s.find(ctx, st, recurse) })
}

// find finds the answer to a question, in the cache alone unless recurse is set.
func (s *msgServer) find(ctx context.Context, st *queryState, recurse bool) (*decoded, error) {
	f, err := s.mesh.answerOrKnown(ctx, st, st.q, recurse)
	if err != nil {
		return nil, err
	}
	d, err := f.decode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUndecodable, err)
	}
	return &d, nil
}
