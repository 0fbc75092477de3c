package resolver

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/anchorkeeper"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/mesh"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/serve"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/stub"
	"github.com/iterdns/iterdns/internal/transport"
	"github.com/iterdns/iterdns/internal/upstream"
	"github.com/iterdns/iterdns/internal/zonecheck"
)

// Resolver resolves names iteratively. It is safe for concurrent use.
type Resolver struct {
	config   config
	env      *env.Env
	routes   *routes.Router
	servers  *slist.Lister
	upstream *upstream.Client
	iterate  *iterate.Iterator
	mesh     *mesh.Mesh
	zones    *zonecheck.Checker
	messages *serve.Server
	anchors  *anchorkeeper.Keeper // nil without Options.AnchorStore

	netReasons netReasons
}

// New returns a Resolver. The error says which option is invalid. Nothing is sent before
// the first question, unless there is an Options.AnchorStore or an Options.LocalRoot.
func New(o Options) (*Resolver, error) {
	c, err := o.fill()
	if err != nil {
		return nil, err
	}
	anchors, err := c.openAnchors()
	if err != nil {
		return nil, err
	}
	r := &Resolver{config: c, anchors: anchors, env: env.New(c.settings(), c.Dial != nil || c.Exchanger != nil || routesIPv6(), (*audience)(nil))}
	r.routes = &routes.Router{Env: r.env}
	r.routes.RequireTLS(c.tls)
	r.servers = slist.NewLister(r.env, r.routes)
	if c.Exchanger != nil {
		r.upstream = upstream.New(r.env, r.routes, checked{c.Exchanger}, nil)
	} else {
		t := transport.New(transport.Options{
			Dial: c.Dial, MaxSockets: c.limits.Sockets, MaxConns: c.limits.Connections,
		})
		r.upstream = upstream.New(r.env, r.routes, t, t)
	}
	r.iterate = iterate.New(r.env, r.routes, r.servers, r.upstream, c.zones)
	if r.anchors != nil {
		r.iterate.KeysReceived = r.anchors.Saw
	}
	r.mesh = mesh.New(r.env, r.routes, r.iterate)
	r.zones = zonecheck.New(r.env, r.routes, r.servers, r.iterate, r.mesh)
	r.messages = serve.New(r.env, r.routes, r.iterate, r.mesh, r.msgOptions())
	if err := r.routes.Begin(routeSpecs(o.Routes), negativeAnchorSpecs(o.NegativeTrustAnchors), fallbackSpec(o.Fallback)); err != nil {
		r.env.End()
		return nil, asOptionError(err)
	}
	r.iterate.OpenSecondLevel()
	r.openLocalRoot() // before anything asks, as what asks reads it
	if r.anchors != nil {
		r.env.Spawn(func() {
			r.anchors.Run(r.env.Base, anchorkeeper.Engine{Fetch: r.iterate.FetchKeys, Install: r.routes.SetAnchors})
		})
	}
	return r, nil
}

// TrustAnchors returns the anchors that answers are validated with now: those of the options, or
// what Options.AnchorStore has made of them, as DS records. The slice is the caller's.
func (r *Resolver) TrustAnchors() []dnssec.Anchor { return slices.Clone(r.routes.Anchors()) }

// Rollovers returns what is known about the keys of each zone with trust anchors, in the order of their
// names; nil without Options.AnchorStore. It is a copy.
func (r *Resolver) Rollovers() []dnssec.Rollover {
	if r.anchors == nil {
		return nil
	}
	return r.anchors.States()
}

// Options returns the options given to New, with defaults instead of zero values, except for Limits and
// AllowServer. They do not reflect later calls of SetLocalZones, SetRoutes and SetNegativeTrustAnchors, nor
// changes of TrustAnchors by an AnchorStore (Resolver.TrustAnchors). Cache is the one in use, so that a
// program that has given none can look into it, or save it. Slices and maps are shared: do not change them.
func (r *Resolver) Options() Options { return r.config.Options }

// msgOptions returns what the options say about the replies to messages.
func (r *Resolver) msgOptions() serve.Options {
	o := serve.Options{Rotate: r.config.Rotate, NSID: r.config.NSID}
	o.Listen = func(ctx context.Context, st *iterate.QueryState) serve.QuestionListener {
		if l := listen(ctx, st); l != nil {
			return l
		}
		return nil
	}
	if !r.config.Hooks.none() {
		o.Hooked, o.WithClient = r.hookedReply, WithClient
	}
	return o
}

// routesIPv6 reports whether the host has a route to public IPv6 addresses. Nothing is
// sent: connecting a datagram socket only looks the route up.
func routesIPv6() bool {
	c, err := net.Dial("udp6", "[2001:500:2::c]:53") // c.root-servers.net
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// Close ends all work under way, waits for it, and closes all connections. Later
// questions fail with ErrClosed; ServeDNS answers them with SERVFAIL, and AppendHit returns
// false. A Cache from Options stays usable. The error is that of
// closing the connections.
func (r *Resolver) Close() error {
	r.env.Flights.Stop(r.env.End)
	err := r.upstream.Close()
	r.routes.Close()
	r.env.Running.Wait()
	return err
}

// Resolve asks for the records of type qtype at name, which is absolute with or without
// trailing dot. A name or a type that does not exist is a Result; an error, which is an
// *Error, means that there is no answer or none that may be used. It wraps ErrClosed after
// Close.
//
// Equal questions that are asked at the same time are worked on once. When ctx ends,
// Resolve returns at once; the work continues as long as others wait for it.
func (r *Resolver) Resolve(ctx context.Context, name string, qtype uint16) (*Result, error) {
	n, err := dnsname.Parse(name)
	if err != nil {
		asked := dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}
		return nil, wrap(asked, fmt.Errorf("%w: %w", ErrName, mistakeIn(name, err)))
	}
	q := answer.Question{Name: n, Type: qtype}
	if answer.IsMeta(qtype) {
		return nil, wrap(q.Public(), ErrMetaType)
	}
	if err := r.ready(ctx, q); err != nil {
		return nil, err
	}
	var result *Result
	err = r.traced(ctx, q, cache.Checked, func(st *iterate.QueryState) (*Result, error) {
		var err error
		result, err = r.hooked(ctx, q, func() (*Result, error) { return r.resolve(ctx, st, q) })
		return result, err
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// mistakeIn returns why a name cannot be asked for: err, unless it is plainly something else.
func mistakeIn(name string, err error) error {
	if what, _ := stub.OtherThing(name); what != "" && name != "" {
		return fmt.Errorf("%w (%s)", err, what)
	}
	return err
}

// resolve is Resolve after the checks of its arguments, without hooks and trace.
func (r *Resolver) resolve(ctx context.Context, st *iterate.QueryState, q answer.Question) (*Result, error) {
	found, err := r.mesh.Answer(ctx, st, q)
	var result *Result
	if err == nil {
		result, err = resultOf(found)
	}
	if err != nil {
		return nil, wrapIn(ctx, q.Public(), err)
	}
	if wantsChain(ctx) {
		result.Chain = r.iterate.ChainOf(ctx, st, found)
	}
	result.Queries, result.QueriesTLS = st.Budget.Sent()
	return result, nil
}

// resolvePacked is Resolve for callers that need no decoded records. The error is an
// *Error.
func (r *Resolver) resolvePacked(ctx context.Context, n dnsname.Name, qtype uint16) (*answer.Answer, error) {
	q := answer.Question{Name: n, Type: qtype}
	if err := r.ready(ctx, q); err != nil {
		return nil, err
	}
	var f *answer.Answer
	err := r.traced(ctx, q, cache.Checked, func(st *iterate.QueryState) (*Result, error) {
		var err error
		f, err = r.hookedPacked(ctx, q, func() (*answer.Answer, error) {
			f, err := r.mesh.Answer(ctx, st, q)
			if err != nil {
				return nil, wrapIn(ctx, q.Public(), err)
			}
			return f, nil
		})
		if err != nil {
			return nil, err
		}
		if ContextTrace(ctx) == nil {
			return nil, nil // no Trace gets it
		}
		return resultOf(f)
	})
	if err == nil {
		seenIn(ctx).note(f)
	}
	return f, err
}

// ready returns why a question cannot be worked on: the resolver is closed, or ctx has
// ended.
func (r *Resolver) ready(ctx context.Context, q answer.Question) error {
	switch {
	case r.env.Base.Err() != nil:
		return wrap(q.Public(), ErrClosed)
	case ctx.Err() != nil:
		return wrap(q.Public(), context.Cause(ctx))
	}
	return nil
}

// traced runs the work on one question between the first and the last event of its
// trace.
func (r *Resolver) traced(ctx context.Context, q answer.Question, trust cache.Trust, work func(*iterate.QueryState) (*Result, error)) error {
	st := r.iterate.NewClientQuestion(q, trust)
	own := listen(ctx, st)
	if own != nil {
		defer own.Close()
	}
	result, err := work(st)
	r.env.Counts.Asked(st.FromCache, st.Stale, err)
	if own != nil {
		err = own.end(st, result, err)
	}
	return err
}
