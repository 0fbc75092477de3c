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
	"github.com/iterdns/iterdns/internal/wire"
)

// Server makes the replies to queries that are messages.
type Server struct {
	*env.Env
	routes  *routes.Router
	iterate *iterate.Iterator
	mesh    *mesh.Mesh
	Options

	cookies  *serverCookies
	admitHit func(dnsname.Name, uint16) bool // is cacheDecidesFor, made once
	netAsked netAsked
}

// Options are what the program wants of the replies to messages.
type Options struct {
	// Listen has the Trace of the caller called during the work on a question. It
	// returns nil when there is no Trace.
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
	s := &Server{Env: e, routes: rt, iterate: it, mesh: m, Options: o, cookies: newServerCookies(e.Settings.Now)}
	s.admitHit = s.cacheDecidesFor // made once: a method value for each hit would be an allocation
	return s
}

// errNoQuery: Exchange was called with nil or with a response.
var errNoQuery = errors.New("resolver: not a query")

// work says how a question is worked on for the one who asks.
type work struct {
	patience time.Duration // how long it may wait for its turn; 0: as long as its context lasts
	decoded  bool          // records are wanted as miekg/dns has them
	// early is for a caller that can send a reply before respond returns, and whose context ends
	// only with the resolver. It is called with the reason, in another goroutine, when the question
	// is shed while others wait for the work on it. Nil: the caller cannot.
	early func(error)
}

// respond finds what is to be said to a query; see Resolver.Exchange, whose errors it has.
func (s *Server) respond(ctx context.Context, x *request, w work) (response, error) {
	switch {
	case s.Base.Err() != nil:
		return response{}, failure.ErrClosed
	case ctx.Err() != nil:
		return response{}, context.Cause(ctx)
	}
	if rcode, extended := x.refuse(); rcode != dns.RcodeSuccess {
		return x.failed(rcode, extended), nil
	}
	q := x.question()
	if s.iterate.LoopProbes.Arrived(q.Name) {
		return x.failed(dns.RcodeRefused, failure.ExtendedError{Code: dns.ExtendedErrorCodeNetworkError, Text: failure.ErrRouteLoop.Error()}), nil
	}
	st := s.iterate.NewClientQuestion(q, x.trust())
	st.MaxQueued, st.ClientQuestion = w.patience, q
	if s.Hooked == nil { // after a hook there may be another answer
		st.AnswerEarly = w.early
	}
	res, err := s.traced(ctx, st, x.has(wire.RD), w.decoded)
	if err == nil {
		if res.decoded != nil {
			Rotate(res.decoded.Answer, s.Rotate)
		}
		x.answered(&res)
		return res, nil
	}
	f := failure.Of(err)
	res = x.explained(f)
	switch {
	case f.Refusal != nil, f.Is(failure.Filtered), f.Is(failure.NotCached):
		return res, nil
	case ctx.Err() != nil:
		return response{}, context.Cause(ctx)
	case f.Is(failure.Closed):
		return response{}, failure.ErrClosed
	}
	res.cause = err
	return res, nil
}

// traced is hookedAnswer between the first and the last event of a Trace.
func (s *Server) traced(ctx context.Context, st *iterate.QueryState, recurse, decoded bool) (response, error) {
	l := s.Listen(ctx, st)
	if l != nil {
		defer l.Close()
		st.AnswerEarly = nil // its last event comes before the reply
	}
	res, err := s.hookedAnswer(ctx, st, recurse, decoded)
	s.Counts.Asked(st.FromCache, st.Stale, err)
	if l != nil {
		err = l.End(st, err)
	}
	return res, err
}

// hookedAnswer finds the answer to a question between the two hooks, in the cache alone unless
// recurse is set.
func (s *Server) hookedAnswer(ctx context.Context, st *iterate.QueryState, recurse, decoded bool) (res response, err error) {
	switch {
	case s.Hooked != nil:
		res.decoded, err = s.Hooked(ctx, st.Q, func() (*answer.Decoded, error) { return s.decode(s.mesh.AnswerOrKnown(ctx, st, st.Q, recurse)) })
	case decoded:
		res.decoded, err = s.decode(s.mesh.AnswerOrKnown(ctx, st, st.Q, recurse))
	default:
		res.found, err = s.mesh.AnswerOrKnown(ctx, st, st.Q, recurse)
	}
	return res, err
}

// decode decodes an answer, and passes an error on.
func (s *Server) decode(f *answer.Answer, err error) (*answer.Decoded, error) {
	if err != nil {
		return nil, err
	}
	d, err := f.Decode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", failure.ErrUndecodable, err)
	}
	return &d, nil
}
