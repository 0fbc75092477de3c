package iterate

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/upstream"
)

const (
	// lookupLate is how long the addresses of one name server are looked for before another
	// one's are looked for too: some round trips to servers never asked before.
	lookupLate = 400 * time.Millisecond
	// maxLookups is how many name servers' addresses are looked for at the same time.
	maxLookups = 2
)

// lookupResult is what came of looking for the addresses of a name server.
type lookupResult struct {
	name  dnsname.Name
	addrs []netip.Addr
	// last is set in the last result for this name; err is then why it has no address
	// at all.
	last      bool
	err       error
	noAddress bool // with err: the name does not exist, or has no address
	queries   int  // to the parent's servers, for glue
}

// lookUp begins to look for the addresses of one more name server.
func (z *zoneQuery) lookUp(ctx context.Context) {
	if err := z.st.Budget.MayLookUp(z.outage || !z.noAddress); err != nil {
		z.noteError(err)
		return
	}
	if z.st.depth >= z.r.Settings.Limits.Depth {
		z.noteError(z.st.Budget.Exceeded(limits.Depth))
		return
	}
	name, way, ok := z.servers.NextMissing(z.cut, z.inFlight == 0)
	if !ok {
		return
	}
	z.noteLookup(1)
	z.hedgeTimer.start(lookupLate)
	z.st.Events.ServerLookup(z.st.WalkRef(), events.ServerLookup{Zone: z.cut.Zone, Server: name})
	l := z.r.newDetachedLookup(z.asideOf(ctx), z.st.Budget)
	z.targetLookups = append(z.targetLookups, l)
	together := !z.noAddress
	if z.lookupResults == nil {
		z.lookupResults = make(chan lookupResult, 3*(len(z.cut.Servers)+len(z.cut.ApexNS))) // two families and the last result
	}
	found := z.lookupResults
	z.r.Spawn(func() {
		defer l.end()
		all := lookupResult{name: name, last: true, err: rescue.ErrAborted}
		defer func() { found <- all }()
		defer rescue.Into(&all.err)
		switch way {
		case slist.FromSearch:
			all = z.r.lookUpServer(l.ctx, &z.st, name, together, found)
		case slist.FromParent:
			all = z.r.lookUpGlue(l.ctx, &z.st, z.cut, name)
		case slist.FromCache:
			all = lookupResult{name: name, last: true, addrs: z.r.servers.OwnAddrs(z.r.Settings.Now(), z.cut, glue.Server{Name: name})}
		}
	})
}

// addAddresses adds the addresses that were found to the server list.
func (z *zoneQuery) addAddresses(l lookupResult) {
	rescue.Again(l.err)
	z.addTo(l.name, l.addrs, z.cut.ApexServer(l.name))
	z.servers.GlueCost.Add(l.queries)
	if l.last {
		z.noteLookup(-1)
		// Glue of a delegation on the way may work where the addresses that the zone
		// itself has are wrong, or cannot be had.
		z.addTo(l.name, z.cut.Source.Cuts.Glue(z.r.Settings.Now(), l.name), true)
	}
	if l.last || len(l.addrs) > 0 {
		z.st.Events.ServerLookup(z.st.WalkRef(), events.ServerLookup{
			Zone: z.cut.Zone, Server: l.name, Done: true, Addrs: l.addrs, Err: l.err,
		})
	}
	if l.err != nil {
		z.noteError(fmt.Errorf("address of %s: %w", l.name, l.err))
		z.ownFailure = z.ownFailure || failure.Of(l.err).Is(failure.Aborted)
		z.noAddress = z.noAddress || l.noAddress
		z.outage = z.outage || !l.noAddress
	}
}

// addTo adds addresses of a name server to the list. It calls a function of the program's,
// AllowServer, which may panic.
func (z *zoneQuery) addTo(name dnsname.Name, addrs []netip.Addr, lowPriority bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.r.servers.AddTo(&z.servers, z.r.Settings.Now(), z.cut, name, addrs, lowPriority)
}

// lookUpServer looks for the addresses of a name server. It sends what it finds to found at
// once, and returns the last result. Both families are asked for at the same time or, once
// name servers turned out not to exist, one after the other: a name error is one for all
// types, and each look-up may be a query at a victim.
func (r *Iterator) lookUpServer(ctx context.Context, st *QueryState, name dnsname.Name, together bool, found chan<- lookupResult) lookupResult {
	types := r.servers.AddressTypes()
	parts := make(chan lookupResult, len(types))
	one := func(rrtype uint16) {
		l := lookupResult{name: name, err: rescue.ErrAborted}
		defer func() { parts <- l }()
		defer rescue.Into(&l.err)
		l = r.lookUpAddrs(ctx, st, name, rrtype)
	}
	if together {
		for _, rrtype := range types {
			r.Spawn(func() { one(rrtype) })
		}
	}
	all := lookupResult{name: name, last: true, noAddress: true}
	var errs []error
	works := false
	for _, rrtype := range types {
		if !together {
			one(rrtype)
		}
		l := <-parts
		rescue.Again(l.err)
		if len(l.addrs) > 0 {
			works = true
			found <- l
			if !together {
				break
			}
			continue
		}
		errs = append(errs, l.err)
		all.noAddress = all.noAddress && l.noAddress
	}
	if !works {
		all.err = failure.Join(errs)
	}
	return all
}

// lookUpAddrs searches one address type of a name server, as a question of its own within
// the same budget. What it finds need not be validated, since the answers of the server will
// be.
func (r *Iterator) lookUpAddrs(ctx context.Context, st *QueryState, name dnsname.Name, rrtype uint16) lookupResult {
	q := answer.Question{Name: name, Type: rrtype}
	below := st.forServerAddress(q)
	found, err := r.Search(ctx, below, q)
	if err != nil {
		st.Budget.ChargeFailedLookup(below.querySent.Load())
		return lookupResult{name: name, err: err}
	}
	l := lookupResult{name: name}
	for _, set := range found.Sets {
		l.addrs = answer.AppendAddrs(l.addrs, set.Records)
	}
	if len(l.addrs) == 0 {
		l.err = fmt.Errorf("%s %s: %w", name, dns.Type(rrtype), failure.ErrNoServerAddress)
		l.noAddress = true
		if found.Rcode == dns.RcodeNameError {
			st.Budget.ChargeFailedLookup(below.querySent.Load())
		}
	}
	return l
}

// ServerAddrs searches the addresses of a name server, as lookUpAddrs does, of both families.
func (r *Iterator) ServerAddrs(ctx context.Context, st *QueryState, name dnsname.Name) ([]netip.Addr, error) {
	if err := st.Budget.MayLookUp(false); err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	var errs []error
	for _, rrtype := range r.servers.AddressTypes() {
		l := r.lookUpAddrs(ctx, st, name, rrtype)
		addrs = append(addrs, l.addrs...)
		if l.err != nil {
			errs = append(errs, l.err)
		}
	}
	if len(addrs) > 0 {
		return addrs, nil
	}
	return nil, failure.Join(errs)
}

// Referral asks the servers of the zone above for the delegation of zone. The reply is nil when they
// do not refer to it: they serve it as well, and answer in its place, or do not know it.
func (r *Iterator) Referral(ctx context.Context, st *QueryState, zone dnsname.Name) (*upstream.Reply, error) {
	q := answer.Question{Name: zone, Type: dns.TypeNS}
	v := r.routes.ViewOf(r.Settings.Now(), answer.Question{Name: zone, Type: dns.TypeDS}) // that of the zone above
	if v.Forwards() || zone.IsRoot() {
		return nil, nil
	}
	above := *st
	above.startAbove = zone
	cut := r.closestCut(r.Settings.Now(), &above, v, q)
	for {
		m, err := r.askLocalRoot(&above, &cut, q), error(nil)
		if m == nil {
			m, err = r.ask(ctx, &above, &cut, q, askMode{})
		}
		switch {
		case err != nil:
			return nil, err
		case m.Kind != answer.KindReferral:
			return nil, nil
		case m.Delegation.Zone == zone:
			return m, nil
		}
		if err := st.Budget.ChargeReferral(); err != nil {
			return nil, err
		}
		cut = routes.ZoneCut{Delegation: m.Delegation, Source: cut.Source, Signed: m.DS != nil}
	}
}

// maxSideTries is how often one server is asked for another server's address. Such look-ups
// multiply, and when all lead to one silent victim (NXNSAttack), it gets all their retries.
const maxSideTries = 2

// triesFor is how often one server may be asked the question of st.
func (r *Iterator) triesFor(st *QueryState) int {
	if st.depth > 0 {
		return min(maxSideTries, r.Settings.Limits.SendsPerServer)
	}
	return r.Settings.Limits.SendsPerServer
}

// trustOfServers is the class of trust that name servers' addresses are cached under: they
// are not validated.
func (r *Iterator) trustOfServers() cache.Trust {
	if !r.Settings.Validates {
		return cache.Checked
	}
	return cache.Unchecked
}

// lookUpGlue asks the parent's servers for the address of a name server in the zone for
// which the referral brought none. Every referral should have its glue (RFC 9471 §3.1), but
// glue that did not fit may be left out, and comes when it is asked for. It is glue of this
// delegation and lives no longer. One type is asked for, as glue of both comes along. That
// there was none is remembered (RFC 9520), so that the next question does not ask again.
func (r *Iterator) lookUpGlue(ctx context.Context, st *QueryState, cut *routes.ZoneCut, name dnsname.Name) lookupResult {
	q := answer.Question{Name: name, Type: r.servers.AddressTypes()[0]}
	l := lookupResult{name: name, last: true}
	now := r.Settings.Now()
	v := r.routes.ViewOf(now, q)
	if _, failed := v.Cache.GetFailure(now, q.Name, q.Type, r.trustOfServers()); failed || v.Source != cut.Source {
		l.err, l.noAddress = failure.ErrNoServerAddress, true
		return l
	}
	below := st.forServerAddress(q)
	below.startAbove = cut.Zone
	above := r.closestCut(now, below, v, q)
	m, err := r.ask(ctx, below, &above, q, askMode{})
	if err != nil {
		st.Budget.ChargeFailedLookup(below.querySent.Load())
		l.err = err
		return l
	}
	l.queries = queriesFor(m)
	var life time.Duration
	if l.addrs, life = glueIn(m, cut.Zone, name); len(l.addrs) == 0 {
		st.Budget.ChargeFailedLookup(below.querySent.Load())
		l.err, l.noAddress = fmt.Errorf("no glue: %w", failure.ErrNoServerAddress), true
		r.keepFailure(v, below, q, l.err)
		return l
	}
	v.Cuts.AddGlue(now, cut.Delegation, name, l.addrs, life)
	return l
}

// queriesFor is how many queries a reply took at least: what does not fit into a datagram
// was asked for over TCP as well.
func queriesFor(m *upstream.Reply) int {
	if len(m.Wire) > upstream.UDPSize {
		return 2
	}
	return 1
}

// glueIn returns the addresses of a name server in a reply of its zone's parent, as glue or
// in the answer, and how long they live.
func glueIn(m *upstream.Reply, zone, name dnsname.Name) ([]netip.Addr, time.Duration) {
	switch m.Kind {
	case answer.KindReferral:
		if m.Delegation.Zone == zone {
			s, _ := m.Delegation.Server(name)
			return s.Addrs, m.Delegation.TTL
		}
	case answer.KindAnswer:
		set := m.Answer[0]
		addrs := answer.AppendAddrs(nil, set.Records)
		return addrs[:min(len(addrs), glue.MaxAddrs)], time.Duration(set.TTL) * time.Second
	case answer.KindUnusable, answer.KindLame, answer.KindAlias, answer.KindNoData, answer.KindNameError, answer.KindRecursive:
	}
	return nil, 0
}

// maxDetachedLookups is how many look-ups of name servers may go on after the question that
// they were for has been answered: as many as may wait for the sockets of the default. Each
// uses what a question uses, but no slot of Limits.Questions.
const maxDetachedLookups = 1_000

// detachedLookup is the look-up of a name server, which may outlive the question. Its
// context ends with the question's time, with the resolver, and, until the look-up is
// detached, with the flight that it is made for. The resolver holds the context until the
// look-up has ended.
type detachedLookup struct {
	r      *Iterator
	ctx    context.Context
	cancel context.CancelFunc
	free   func() bool // stops ctx from ending with the flight
	// state decides whether end or detach came first, as they may be called at the same
	// time.
	state atomic.Int32
}

// The states of a detachedLookup.
const (
	lookupBegun int32 = iota
	lookupDetached
	lookupOver
)

func (r *Iterator) newDetachedLookup(ctx context.Context, b *budget.Budget) *detachedLookup {
	own, cancel := context.WithDeadline(flight.Detach(r.Base, ctx), b.Deadline)
	return &detachedLookup{r: r, ctx: own, cancel: cancel, free: context.AfterFunc(ctx, cancel)}
}

// end is called by the look-up itself when it has ended.
func (s *detachedLookup) end() {
	s.cancel()
	if !s.state.CompareAndSwap(lookupBegun, lookupOver) {
		s.r.detachedLookups.Add(-1)
	}
}

// detach lets the look-up go on without its question. It is cancelled if too many do so
// already.
func (s *detachedLookup) detach() {
	if s.r.detachedLookups.Add(1) > maxDetachedLookups || !s.state.CompareAndSwap(lookupBegun, lookupDetached) {
		s.r.detachedLookups.Add(-1)
		s.cancel()
		return
	}
	s.free()
}

// detach lets the look-ups that are under way when the answer comes go on, since the next
// question will need what they find. When the flight is given up, so are they.
func (z *zoneQuery) detach(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	for _, s := range z.targetLookups {
		s.detach()
	}
}
