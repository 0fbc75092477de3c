package resolver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/rescue"
)

// checkRoutes returns an error for each server of a route that leads back to us.
func (r *iterator) checkRoutes(ctx context.Context) error {
	checked := make(chan error, 1)
	// Close has to wait for it: servers' addresses may have to be looked up.
	if !r.flights.spawn(func() {
		err := rescue.ErrAborted
		defer func() { checked <- err }()
		defer rescue.Into(&err)
		err = r.checkEachRoute(ctx)
	}) {
		return errClosed
	}
	err := <-checked
	rescue.Again(err)
	return err
}

// checkEachRoute asks the servers of all routes at the same time.
func (r *iterator) checkEachRoute(ctx context.Context) error {
	var checks sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, rt := range r.routes.currentRoutes().routes {
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
		return errClosed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// checkRoute returns an error if a server of a route leads back to us.
func (r *iterator) checkRoute(ctx context.Context, rt *route, c *serverAddr) error {
	if !r.leadsBack(ctx, rt, c) {
		return nil
	}
	return rt.failed(fmt.Errorf("%s: %w", c.addr, errRouteLoop))
}

// serversOfRoute lists the servers of a route. It looks up the addresses of those that have
// names only.
func (r *iterator) serversOfRoute(ctx context.Context, rt *route) []*serverAddr {
	var servers []*serverAddr
	for _, f := range rt.forwarders {
		servers = append(servers, &serverAddr{addr: f.addr, name: f.name, forwarder: f, guard: &f.guard})
	}
	if rt.kind == routeIterate {
		return servers
	}
	cut := &zoneCut{Delegation: rt.cut, source: rt.view.source}
	l := &serverList{infra: cut.source.infra, includeLoops: true}
	for _, s := range rt.cut.Servers {
		st := r.newQueryState(question{s.Name, dns.TypeA}, r.trustOfServers())
		l.random = r.random(rt.zone, st.q)
		for _, rrtype := range r.servers.addressTypes() {
			r.servers.addTo(l, r.settings.Now(), cut, s.Name, r.lookUpAddrs(ctx, st, s.Name, rrtype).addrs, false)
		}
	}
	return append(servers, l.addrs...)
}

// leadsBack asks a server of a route for a name made up for it, and reports whether the
// question comes back to us. If so, the server is not asked for a while.
func (r *iterator) leadsBack(ctx context.Context, rt *route, to *serverAddr) bool {
	name, back, forget, err := r.loopProbes.begin(rt.zone)
	if err != nil {
		return false // the zone's name is too long to add to
	}
	defer forget()
	q := question{name, dns.TypeHINFO}
	st := r.newQueryState(q, cache.Unchecked)
	ctx, cancel := context.WithDeadline(ctx, st.budget.deadline)
	defer cancel()
	asked := *to
	asked.tries, asked.estimate = 1, rt.view.infra.Estimate(r.settings.Now(), to.addr)
	cut := &zoneCut{Delegation: rt.cut, source: rt.view.source}
	done := make(chan struct{})
	var ended error
	go func() {
		defer close(done)
		rescue.Guarded(&ended, func() { r.upstream.exchange(ctx, st.request(cut, q), &asked, reasonLoop, make(chan struct{}, 1)) })()
	}()
	came := false
	select {
	case <-back:
		came = true
	case <-done:
		select {
		case <-back: // the answer came the same way
			came = true
		default:
		}
	case <-r.base.Done():
	}
	cancel()
	<-done
	rescue.Again(ended)
	if came {
		to.guard.loopsUntil.Store(time.Now().Add(loopPause).UnixNano())
	}
	return came
}

// isEcho reports whether the question put to a forwarder is also asked of us, apart from the
// client's question that it is for. That may come from another client, or from ourselves.
func (z *zoneQuery) isEcho() bool {
	others := z.r.clientQuestions.count(z.q)
	if z.st.clientQuestion == z.q {
		others--
	}
	return others > 0
}

// suspectLoop finds out whether a forwarder that is late waits for us: when the question put to
// it has come in meanwhile.
func (z *zoneQuery) suspectLoop(ctx context.Context) {
	rt := z.cut.source.route
	if !z.cut.source.forwards() || !z.isEcho() {
		return
	}
	for _, c := range z.servers.addrs {
		if !c.busy || c.guard == nil {
			continue
		}
		s, isNew := c.guard.suspect()
		if isNew {
			to := &serverAddr{addr: c.addr, name: c.name, forwarder: c.forwarder, guard: c.guard}
			z.r.spawn(func() {
				defer close(s.done)
				s.loop = z.r.leadsBack(z.r.base, rt, to) // others may wait for it when ctx has ended
			})
		}
		z.r.spawn(func() {
			select {
			case <-s.done:
			case <-ctx.Done():
				return
			}
			if !s.loop {
				return
			}
			select {
			case z.loops <- c:
			case <-ctx.Done():
			}
		})
	}
}

// takeLoop excludes a server that leads back to us, and reports whether no other server is
// left to wait for.
func (z *zoneQuery) takeLoop(c *serverAddr) (ended bool) {
	c.excluded = true
	z.errs = append(z.errs, fmt.Errorf("%s: %w", c.addr, errRouteLoop))
	for _, other := range z.servers.addrs {
		if other.busy && other != c || !other.excluded {
			return false
		}
	}
	return z.lookups == 0
}
