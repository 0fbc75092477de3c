package iterate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
)

// CheckRoutes returns an error for each server of a route that leads back to us.
func (r *Iterator) CheckRoutes(ctx context.Context) error {
	checked := make(chan error, 1)
	// Close has to wait for it: servers' addresses may have to be looked up.
	if !r.Flights.Spawn(func() {
		err := rescue.ErrAborted
		defer func() { checked <- err }()
		defer rescue.Into(&err)
		err = r.checkEachRoute(ctx)
	}) {
		return failure.ErrClosed
	}
	err := <-checked
	rescue.Again(err)
	return err
}

// checkEachRoute asks the servers of all routes at the same time.
func (r *Iterator) checkEachRoute(ctx context.Context) error {
	var checks sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for rt := range r.routes.CurrentRoutes().All {
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
	case r.Base.Err() != nil:
		return failure.ErrClosed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// checkRoute returns an error if a server of a route leads back to us.
func (r *Iterator) checkRoute(ctx context.Context, rt *routes.Route, c *slist.Server) error {
	if !r.leadsBack(ctx, rt, c) {
		return nil
	}
	return rt.Failed(fmt.Errorf("%s: %w", c.Addr, failure.ErrRouteLoop))
}

// serversOfRoute lists the servers of a route. It looks up the addresses of those that have
// names only.
func (r *Iterator) serversOfRoute(ctx context.Context, rt *routes.Route) []*slist.Server {
	var servers []*slist.Server
	for _, f := range rt.Forwarders {
		servers = append(servers, &slist.Server{Addr: f.Addr, Name: f.Name, Forwarder: f, Guard: &f.Guard})
	}
	if rt.Kind == routes.Iterate {
		return servers
	}
	cut := &routes.ZoneCut{Delegation: rt.Cut, Source: rt.View.Source}
	l := &slist.List{Infra: cut.Source.Infra, IncludeLoops: true}
	for _, s := range rt.Cut.Servers {
		st := r.NewQueryState(answer.Question{Name: s.Name, Type: dns.TypeA}, r.trustOfServers())
		l.Random = r.Random(rt.Zone, st.Q)
		for _, rrtype := range r.servers.AddressTypes() {
			r.servers.AddTo(l, r.Settings.Now(), cut, s.Name, r.lookUpAddrs(ctx, st, s.Name, rrtype).addrs, false)
		}
	}
	return append(servers, l.Addrs...)
}

// leadsBack asks a server of a route for a name made up for it, and reports whether the
// question comes back to us. If so, the server is not asked for a while.
func (r *Iterator) leadsBack(ctx context.Context, rt *routes.Route, to *slist.Server) bool {
	name, back, forget, err := r.LoopProbes.Begin(rt.Zone)
	if err != nil {
		return false // the zone's name is too long to add to
	}
	defer forget()
	q := answer.Question{Name: name, Type: dns.TypeHINFO}
	st := r.NewQueryState(q, cache.Unchecked)
	ctx, cancel := context.WithDeadline(ctx, st.Budget.Deadline)
	defer cancel()
	asked := *to
	asked.Tries = 1
	asked.Expect(r.Settings.Now(), rt.View.Infra)
	cut := &routes.ZoneCut{Delegation: rt.Cut, Source: rt.View.Source}
	done := make(chan struct{})
	var ended error
	go func() {
		defer close(done)
		rescue.Guarded(&ended, func() {
			r.upstream.Exchange(ctx, st.request(cut, q), &asked, events.ReasonLoop, make(chan struct{}, 1))
		})()
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
	case <-r.Base.Done():
	}
	cancel()
	<-done
	rescue.Again(ended)
	if came {
		to.Guard.LoopsUntil.Store(time.Now().Add(routes.LoopPause).UnixNano())
	}
	return came
}

// isEcho reports whether the question put to a forwarder is also asked of us, apart from the
// client's question that it is for. That may come from another client, or from ourselves.
func (z *zoneQuery) isEcho() bool {
	others := z.r.ClientQuestions.Count(z.q)
	if z.st.ClientQuestion == z.q {
		others--
	}
	return others > 0
}

// suspectLoop finds out whether a forwarder that is late waits for us: when the question put to
// it has come in meanwhile.
func (z *zoneQuery) suspectLoop(ctx context.Context) {
	rt := z.cut.Source.Route
	if !z.cut.Source.Forwards() || !z.isEcho() {
		return
	}
	if z.loops == nil {
		z.loops = make(chan *slist.Server)
	}
	for _, c := range z.servers.Addrs {
		if !c.Busy || c.Guard == nil {
			continue
		}
		s, isNew := c.Guard.Suspect()
		if isNew {
			to := &slist.Server{Addr: c.Addr, Name: c.Name, Forwarder: c.Forwarder, Guard: c.Guard}
			z.r.Spawn(func() {
				defer close(s.Done)
				s.Loop = z.r.leadsBack(z.r.Base, rt, to) // others may wait for it when ctx has ended
			})
		}
		z.r.Spawn(func() {
			select {
			case <-s.Done:
			case <-ctx.Done():
				return
			}
			if !s.Loop {
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
func (z *zoneQuery) takeLoop(c *slist.Server) (ended bool) {
	c.Excluded = true
	z.noteError(fmt.Errorf("%s: %w", c.Addr, failure.ErrRouteLoop))
	for _, other := range z.servers.Addrs {
		if other.Busy && other != c || !other.Excluded {
			return false
		}
	}
	return z.lookups == 0
}
