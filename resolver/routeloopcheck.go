package resolver

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/rescue"
)

// CheckRoutes asks every server of every route for a name made up at random, and reports the
// routes by which that question came back to Exchange or ServeDNS, as CoreDNS's plugin loop
// does: a *RouteError each, joined, that wraps ErrRouteLoop. It is to be called when the
// resolver is being served. Servers that do not answer are no error here; nor are routes to
// servers that answer without asking others.
//
// Without it a loop is noticed when a question that is forwarded comes in again while the
// forwarder's reply is waited for: the same test is made then. Servers found to lead back
// are not asked for 30 s, and questions for whose names there is no other server fail with
// ErrRouteLoop.
func (r *Resolver) CheckRoutes(ctx context.Context) error {
	checked := make(chan error, 1)
	// Close has to wait for it: servers' addresses may have to be looked up.
	if !r.flights.spawn(func() {
		err := rescue.ErrAborted
		defer func() { checked <- err }()
		defer rescue.Into(&err)
		err = r.checkRoutes(ctx)
	}) {
		return ErrClosed
	}
	err := <-checked
	rescue.Again(err)
	return err
}

func (r *Resolver) checkRoutes(ctx context.Context) error {
	var checks sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, rt := range r.currentRoutes().routes {
		for _, c := range r.serversOfRoute(ctx, rt) {
			checks.Go(func() {
				err := rescue.ErrAborted
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						errs = append(errs, err)
					}
				}()
				defer rescue.Into(&err)
				err = r.checkRoute(ctx, rt, c)
			})
		}
	}
	checks.Wait()
	switch {
	case r.base.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// checkRoute returns an error if a server of a route leads back to us.
func (r *Resolver) checkRoute(ctx context.Context, rt *route, c *serverAddr) error {
	if !r.leadsBack(ctx, rt, c) {
		return nil
	}
	return rt.failed(fmt.Errorf("%s: %w", c.addr, ErrRouteLoop))
}

// serversOfRoute lists the servers of a route. It looks up the addresses of those that have
// names only.
func (r *Resolver) serversOfRoute(ctx context.Context, rt *route) []*serverAddr {
	var servers []*serverAddr
	for _, f := range rt.forwarders {
		servers = append(servers, &serverAddr{addr: f.addr, name: f.name, forwarder: f, guard: &f.guard})
	}
	if rt.kind == RouteIterate {
		return servers
	}
	cut := &zoneCut{Delegation: rt.cut, source: rt.view.source}
	l := &serverList{infra: cut.source.infra, includeLoops: true}
	for _, s := range rt.cut.Servers {
		st := r.newQueryState(question{s.Name, dns.TypeA}, r.trustOfServers())
		l.random = r.random(rt.zone, st.q)
		for _, rrtype := range r.addressTypes() {
			r.addTo(l, r.config.Now(), cut, s.Name, r.lookUpAddrs(ctx, st, s.Name, rrtype).addrs, false)
		}
	}
	return append(servers, l.addrs...)
}
