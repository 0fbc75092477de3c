package serve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/mesh"
	"github.com/iterdns/iterdns/internal/routes"
)

// Server makes the replies to queries that are messages.
type Server struct {
	*env.Env
	routes  *routes.Router
	iterate *iterate.Iterator
	mesh    *mesh.Mesh
	Options

	cookies  *ServerCookies
	admitHit func(dnsname.Name, uint16) bool // cacheDecidesFor
	netAsked netAsked
}

// Options are what the program wants of the replies to messages.
type Options struct {
	// Listen has the Trace of the caller called during the work on a question; nil: there is
	// no Trace.
	Listen func(ctx context.Context, st *iterate.QueryState) QuestionListener
	// Hooked works on a question between the hooks; nil: there are none.
	Hooked func(ctx context.Context, q answer.Question, work func() (*answer.Decoded, error)) (*answer.Decoded, error)
	// WithClient returns a context that tells hooks the address of the client.
	WithClient func(ctx context.Context, client netip.AddrPort) context.Context
	Rotate     func(n int) int // places by which to rotate RRsets; nil: none
	NSID       string          // the server's identity; "": none
}

// QuestionListener is the Trace of a caller for as long as the question is worked on.
type QuestionListener interface {
	// End calls the last hook, and returns the error of the question: err, or that a hook
	// ended its goroutine.
	End(st *iterate.QueryState, err error) error
	// Close makes sure that no hook is called any more.
	Close()
}

func New(e *env.Env, rt *routes.Router, it *iterate.Iterator, m *mesh.Mesh, o Options) *Server {
	s := &Server{Env: e, routes: rt, iterate: it, mesh: m, Options: o, cookies: NewServerCookies(e.Settings.Now)}
	s.admitHit = s.cacheDecidesFor // made once: a method value for each hit would be an allocation
	return s
}

// errNoQuery: Exchange was called with nil or with a response.
var errNoQuery = errors.New("resolver: not a query")

// Respond makes the reply to a query; see Resolver.Exchange. The question may wait no longer
// than patience for its turn; 0 sets no bound beside ctx.
func (s *Server) Respond(ctx context.Context, query *dns.Msg, patience time.Duration) (*dns.Msg, error) {
	reply, _, err := s.respond(ctx, query, patience, nil)
	return reply, err
}

// respond is Respond, with the cause when the reply is SERVFAIL for want of an answer. early is
// for a caller that can send a reply before respond returns, and whose ctx ends only with the
// resolver: it is called with one, in another goroutine, when the question is shed while others wait
// for the work on it. Nil: the caller cannot.
func (s *Server) respond(ctx context.Context, query *dns.Msg, patience time.Duration, early func(*dns.Msg)) (reply *dns.Msg, cause, err error) {
	switch {
	case query == nil || query.Response:
		return nil, nil, errNoQuery
	case s.Base.Err() != nil:
		return nil, nil, failure.ErrClosed
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	}
	x := newResponder(query)
	if rcode, extended := x.refuse(); rcode != dns.RcodeSuccess {
		return x.failed(rcode, extended), nil, nil
	}
	name, err := dnsname.Parse(query.Question[0].Name)
	if err != nil {
		return x.failed(dns.RcodeFormatError, failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "malformed name"}), nil, nil
	}
	q := answer.Question{Name: name, Type: query.Question[0].Qtype}
	if s.iterate.LoopProbes.Arrived(name) {
		return x.failed(dns.RcodeRefused, failure.ExtendedError{Code: dns.ExtendedErrorCodeNetworkError, Text: failure.ErrRouteLoop.Error()}), nil, nil
	}
	st := s.iterate.NewClientQuestion(q, x.trust())
	st.MaxQueued, st.ClientQuestion = patience, q
	if early != nil && s.Hooked == nil { // after a hook there may be another answer
		st.AnswerEarly = func(err error) { early(newResponder(query).unresolved(failure.Of(err))) }
	}
	found, err := s.traced(ctx, st, query.RecursionDesired)
	if err == nil {
		Rotate(found.Answer, s.Rotate)
		return x.answer(found), nil, nil
	}
	f := failure.Of(err)
	switch {
	case f.Refusal != nil:
		return x.failed(f.Refusal.Rcode, f.Refusal.Extended), nil, nil
	case f.Is(failure.Filtered):
		// No records, and no SOA either, so that clients do not cache it: the records do
		// exist. An error would make clients ask other servers.
		return x.failed(dns.RcodeSuccess, f.Extended()), nil, nil
	case f.Is(failure.NotCached):
		return x.failed(dns.RcodeRefused, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotAuthoritative, Text: "recursion not desired"}), nil, nil
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case f.Is(failure.Closed):
		return nil, nil, failure.ErrClosed
	}
	return x.unresolved(f), err, nil
}

// traced is hookedAnswer between the first and the last event of a Trace.
func (s *Server) traced(ctx context.Context, st *iterate.QueryState, recurse bool) (*answer.Decoded, error) {
	l := s.Listen(ctx, st)
	if l != nil {
		defer l.Close()
		st.AnswerEarly = nil // its last event comes before the reply
	}
	found, err := s.hookedAnswer(ctx, st, recurse)
	s.Counts.Asked(st.FromCache, st.Stale, err)
	if l != nil {
		err = l.End(st, err)
	}
	return found, err
}

// hookedAnswer is find between the two hooks.
func (s *Server) hookedAnswer(ctx context.Context, st *iterate.QueryState, recurse bool) (*answer.Decoded, error) {
	if s.Hooked == nil {
		return s.find(ctx, st, recurse)
	}
	return s.Hooked(ctx, st.Q, func() (*answer.Decoded, error) { return s.find(ctx, st, recurse) })
}

// find finds the answer to a question, in the cache alone unless recurse is set.
func (s *Server) find(ctx context.Context, st *iterate.QueryState, recurse bool) (*answer.Decoded, error) {
	f, err := s.mesh.AnswerOrKnown(ctx, st, st.Q, recurse)
	if err != nil {
		return nil, err
	}
	d, err := f.Decode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", failure.ErrUndecodable, err)
	}
	return &d, nil
}
