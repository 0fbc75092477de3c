package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

const (
	// maxInFlight is how many servers are asked at the same time: one, and one more
	// when it is late. Each further one would give a forger another target.
	maxInFlight = 2
	// lookupLate is after how long without the address of one name server another
	// one's is looked for too: some round trips to servers never asked before.
	lookupLate = 400 * time.Millisecond
	// maxLookups is how many name servers' addresses are looked for at the same time.
	maxLookups = 2
)

// ask puts one question to the servers of one zone, until one of them gives a
// response that says something. Equal questions under way are one.
func (r *Resolver) ask(ctx context.Context, t *task, cut *zoneCut, q question) (*reply, error) {
	by := traveller{parent: t.flight, heard: t.heard, budget: t.budget, joined: func() {
		t.tell(func(tr *Trace) {
			if tr.Joined != nil {
				tr.Joined(JoinedInfo{Step: t.step(), Zone: cut.Zone.String()})
			}
		})
	}}
	key := askKey(cut.Zone, q)
	if len(t.avoid) > 0 {
		key += fmt.Sprint(t.walk, len(t.avoid)) // a question of this walk's own
	}
	v, err := r.flights.do(ctx, key, by, func(fl *flight) (any, error) {
		return r.newAsking(t.in(fl), cut, q).run(fl.ctx)
	})
	if err != nil {
		return nil, err
	}
	return v.(*reply), nil
}

// askKey names what is asked of a zone. Wire names end themselves, so that no two
// questions have the same key.
func askKey(zone dnsname.Name, q question) string {
	return "ask" + string(zone) + string(q.name) + string([]byte{byte(q.rrtype >> 8), byte(q.rrtype)})
}

// asking is one question to the servers of a zone: who is being asked, whose address
// is being looked for, and what has come of it.
type asking struct {
	r    *Resolver
	t    *task
	cut  *zoneCut
	q    question
	list *serverList

	outcomes chan outcome
	refused  chan struct{} // a port was unreachable
	found    chan lookup
	late     *time.Timer // fires when what is awaited is later than expected

	inFlight int
	lookups  int
	nonsense bool // a name server's name does not exist
	outage   bool // a look-up failed for want of an answer
	tried    []netip.AddrPort
	errs     []error
	fallback *reply // an answer out of somebody's cache: better than none

	responded   bool
	intercepted int // responses of a recursive resolver in a root server's place
}

func (r *Resolver) newAsking(t *task, cut *zoneCut, q question) *asking {
	return &asking{
		r: r, t: t, cut: cut, q: q,
		list:     r.serversOf(r.config.Now(), cut, r.triesFor(t), t.avoid),
		outcomes: make(chan outcome, maxInFlight),
		refused:  make(chan struct{}, 1),
		found:    make(chan lookup, 3*len(cut.Servers)), // two families and the end
	}
}

// maxSideTries is how often one server is asked for another server's address: side
// look-ups multiply, and when all lead to one silent victim (NXNSAttack) what they
// need in patience is multiplied at it.
const maxSideTries = 2

// triesFor is how often one server may be asked a question of t.
func (r *Resolver) triesFor(t *task) int {
	if t.depth > 0 {
		return min(maxSideTries, r.config.limits.SendsPerServer)
	}
	return r.config.limits.SendsPerServer
}

// run is the third loop of RFC 1034 §5.3.3: the server changes.
func (a *asking) run(ctx context.Context) (*reply, error) {
	sending, stopSending := context.WithCancel(ctx)
	defer stopSending()
	// Look-ups under way when the answer comes may end: the next question will need
	// what they find. When the flight is given up, so are they.
	looking, detach := a.r.outlive(ctx, a.t.budget)
	defer detach()
	a.late = time.NewTimer(time.Hour)
	defer a.late.Stop()
	a.advance(sending, looking)
	for a.inFlight+a.lookups > 0 {
		select {
		case o := <-a.outcomes:
			if done := a.take(o); done != nil {
				return done, nil
			}
			a.advance(sending, looking)
		case l := <-a.found:
			a.addFound(l)
			a.advance(sending, looking)
		case <-a.late.C:
			a.overtake(sending, looking)
		case <-a.refused:
			a.overtake(sending, looking)
		case <-ctx.Done():
			return nil, a.failure(context.Cause(ctx))
		}
	}
	if a.fallback != nil {
		return a.fallback, nil
	}
	return nil, a.failure(nil)
}

// advance makes sure that somebody is being asked, or that an address is being
// looked for when there is nobody to ask.
func (a *asking) advance(sending, looking context.Context) {
	if a.inFlight > 0 {
		return
	}
	if a.lookups == 0 && a.list.lookFirst() {
		a.lookUp(looking)
	}
	if a.lookups > 0 && a.list.onlyLastResorts() {
		return
	}
	if !a.send(sending, "") && a.lookups == 0 {
		a.lookUp(looking)
	}
}

// overtake asks a second server, or looks for another address, because the first is
// later than expected.
func (a *asking) overtake(sending, looking context.Context) {
	switch {
	case a.inFlight >= maxInFlight:
	case a.inFlight > 0 && a.send(sending, ReasonHedge):
	case a.lookups < maxLookups:
		a.lookUp(looking)
	}
}

// send asks the next server, if there is one. The hedge's reason is given; otherwise
// the list says why it is this server.
func (a *asking) send(ctx context.Context, hedge QueryReason) bool {
	to, why := a.list.next(a.r.config.Now())
	if to == nil {
		return false
	}
	if hedge != "" && why != ReasonProbe {
		why = hedge
	}
	to.alone = a.inFlight == 0 && a.list.onlyLastResorts() && len(a.list.missing) == 0
	if !slices.Contains(a.tried, to.addr) {
		a.tried = append(a.tried, to.addr)
	}
	a.inFlight++
	a.late.Reset(to.estimate.Late)
	a.r.spawn(func() { a.outcomes <- a.r.converse(ctx, a.t, a.cut, a.q, to, why, a.refused) })
	return true
}

// take looks at what came of asking one server, and gives the reply if it settles
// the question.
func (a *asking) take(o outcome) *reply {
	a.inFlight--
	now := a.r.config.Now()
	o.to.busy = false
	o.to.estimate = a.r.infra.Estimate(now, o.to.addr.Addr())
	o.to.out = !o.timedOut
	if o.err != nil {
		a.errs = append(a.errs, fmt.Errorf("%s: %w", o.to.addr.Addr(), o.err))
	}
	a.responded = a.responded || o.heard
	if o.reply == nil {
		return nil
	}
	switch o.reply.kind {
	case answer, alias, referral, nameError:
		return o.reply
	case noData:
		if !a.doubtEmpty(o.reply) {
			return o.reply
		}
	case recursive:
		a.r.infra.SetLame(now, o.to.addr.Addr(), a.cut.Zone)
		if a.cut.Zone.IsRoot() && !a.q.name.IsRoot() {
			a.intercepted++ // a root server would refer, or deny with authority
		} else if a.fallback == nil {
			a.fallback = o.reply
		}
	case lame:
		a.r.infra.SetLame(now, o.to.addr.Addr(), a.cut.Zone)
		a.errs = append(a.errs, fmt.Errorf("%s: %w (%s)", o.to.addr.Addr(), errLame, rcodeName(o.reply.Rcode)))
	case unusable:
	}
	return nil
}

// doubtEmpty reports whether another server is asked before it is believed that the
// type is not there: NODATA without an SOA (RFC 2308 §2.2) is also what broken servers
// answer to everything.
func (a *asking) doubtEmpty(m *reply) bool {
	if m.SOA != nil || len(m.NS) > 0 || m.Upward || a.t.minimised || a.fallback != nil {
		return false
	}
	a.fallback = m
	return true
}

// lookup is what came of looking for the addresses of a name server.
type lookup struct {
	name  dnsname.Name
	addrs []netip.Addr
	// last is set when nothing more will come of this name; err is then why it has
	// no address at all.
	last     bool
	err      error
	nonsense bool // with err: there is no such name, or it has no address
}

// lookUp begins to look for the addresses of one more name server.
func (a *asking) lookUp(ctx context.Context) {
	for {
		if err := a.t.budget.mayLookUp(a.outage || !a.nonsense); err != nil {
			a.errs = append(a.errs, err)
			return
		}
		name, ok := a.list.nextMissing()
		if !ok {
			return
		}
		if a.t.depth >= a.r.config.limits.Depth {
			a.errs = append(a.errs, &LimitError{Limit: "Depth", Value: a.r.config.limits.Depth})
			return
		}
		a.lookups++
		a.late.Reset(lookupLate)
		a.t.tell(func(tr *Trace) {
			if tr.ServerLookup != nil {
				tr.ServerLookup(ServerLookupInfo{Step: a.t.step(), Zone: a.cut.Zone.String(), Server: name.String()})
			}
		})
		a.r.spawn(func() { a.r.lookUpServer(ctx, a.t, name, !a.nonsense, a.found) })
		return
	}
}

// addFound makes candidates of the addresses that were found.
func (a *asking) addFound(l lookup) {
	a.r.addTo(a.list, a.r.config.Now(), a.cut, l.name, l.addrs, false)
	if l.last {
		a.lookups--
		// What a delegation on the way said may work where the zone's own word is
		// wrong, or cannot be had.
		a.r.addTo(a.list, a.r.config.Now(), a.cut, l.name, a.r.view.Glue(a.r.config.Now(), l.name), true)
	}
	if l.last || len(l.addrs) > 0 {
		a.t.tell(func(tr *Trace) {
			if tr.ServerLookup != nil {
				tr.ServerLookup(ServerLookupInfo{
					Step: a.t.step(), Zone: a.cut.Zone.String(), Server: l.name.String(), Done: true, Addrs: l.addrs, Err: l.err,
				})
			}
		})
	}
	if l.err != nil {
		a.errs = append(a.errs, fmt.Errorf("address of %s: %w", l.name, l.err))
		a.nonsense = a.nonsense || l.nonsense
		a.outage = a.outage || !l.nonsense
	}
}

// lookUpServer looks for the addresses of a name server and says what it finds as it
// finds it. Both families are asked at the same time or, once names have turned out
// not to exist, one after the other: a name error is one for all types, and each
// look-up may be a query at a victim.
func (r *Resolver) lookUpServer(ctx context.Context, t *task, name dnsname.Name, together bool, found chan<- lookup) {
	types := r.addressTypes()
	parts := make(chan lookup, len(types))
	one := func(rrtype uint16) { parts <- r.lookUpAddrs(ctx, t, name, rrtype) }
	if together {
		for _, rrtype := range types {
			r.spawn(func() { one(rrtype) })
		}
	}
	all := lookup{name: name, last: true, nonsense: true}
	works := false
	for _, rrtype := range types {
		if !together {
			one(rrtype)
		}
		l := <-parts
		if len(l.addrs) > 0 {
			works = true
			found <- l
			if !together {
				break
			}
			continue
		}
		all.err = errors.Join(all.err, l.err)
		all.nonsense = all.nonsense && l.nonsense
	}
	if works {
		all.err = nil
	}
	found <- all
}

// addressTypes lists the types of addresses that can be used.
func (r *Resolver) addressTypes() []uint16 {
	switch r.config.Family {
	case FamilyIPv4Only:
		return []uint16{dns.TypeA}
	case FamilyIPv6Only:
		return []uint16{dns.TypeAAAA}
	case FamilyAuto:
		if !r.ipv6 {
			return []uint16{dns.TypeA}
		}
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}
}

// lookUpAddrs searches one address type of a name server, as a question of its own
// within the same budget. What it finds need not be validated: the answers of the
// server will be.
func (r *Resolver) lookUpAddrs(ctx context.Context, t *task, name dnsname.Name, rrtype uint16) lookup {
	q := question{name, rrtype}
	below := t.below(q)
	found, err := r.search(ctx, below, q)
	if err != nil {
		t.budget.lookupFailed(below)
		return lookup{name: name, err: err}
	}
	l := lookup{name: name}
	for _, set := range found.sets {
		l.addrs = appendAddrs(l.addrs, set.Records)
	}
	if len(l.addrs) == 0 {
		l.err = fmt.Errorf("%s %s: %w", name, typeName(rrtype), ErrNoServerAddress)
		l.nonsense = true
		if found.rcode == dns.RcodeNameError {
			t.budget.lookupFailed(below)
		}
	}
	return l
}

func appendAddrs(addrs []netip.Addr, records dnssec.Packed) []netip.Addr {
	for rdata := range records.All() {
		if a, ok := wire.Addr(rdata); ok {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// failure is why no server of the zone gave a response that says something.
func (a *asking) failure(cause error) error {
	err := errors.Join(a.errs...)
	switch {
	case cause != nil:
		err = cause
	case len(a.tried) == 0 && err == nil:
		err = ErrNoServerAddress
	case len(a.tried) == 0:
		err = fmt.Errorf("%w: %w", ErrNoServerAddress, err)
	default:
		err = fmt.Errorf("%w: %w", ErrNoReachableServer, err)
	}
	if root := a.rootTrouble(); cause == nil && root != nil {
		err = fmt.Errorf("%w: %w", root, err)
	}
	return &zoneError{zone: a.cut.Zone, servers: a.tried, responded: a.responded, err: err}
}

// rootTrouble says what it means that no root server gave a usable response: that
// they cannot be asked from here. It is nil for other zones and where it means less.
func (a *asking) rootTrouble() error {
	switch {
	case !a.cut.Zone.IsRoot():
		return nil
	case a.intercepted > 0:
		return ErrIntercepted
	case len(a.tried) > 0 && !a.responded && a.list.silent() >= min(blockedAfter, len(a.list.candidates)):
		return ErrBlocked
	}
	return nil
}

// blockedAfter is how many root servers must be silent before it is said that port 53
// is blocked: they are operated apart, and two of them are never down together.
const blockedAfter = 3

// trustOfServers is the class of trust that name servers' addresses are kept under:
// they are not validated.
func (r *Resolver) trustOfServers() cache.Trust {
	if r.config.Validation == ValidateOff {
		return cache.Checked
	}
	return cache.Unchecked
}
