package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
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
	if err := z.st.budget.mayLookUp(z.outage || !z.noAddress); err != nil {
		z.errs = append(z.errs, err)
		return
	}
	if z.st.depth >= z.r.settings.Limits.Depth {
		z.errs = append(z.errs, z.st.budget.refuse(limitDepth))
		return
	}
	name, way, ok := z.servers.nextMissing(z.cut, z.inFlight == 0)
	if !ok {
		return
	}
	z.lookups++
	z.hedgeTimer.Reset(lookupLate)
	z.st.events.ServerLookup(z.st.walkRef(), serverLookupEvent{Zone: z.cut.Zone, Server: name})
	l := z.r.newDetachedLookup(ctx, z.st.budget)
	z.targetLookups = append(z.targetLookups, l)
	together := !z.noAddress
	if z.lookupResults == nil {
		z.lookupResults = make(chan lookupResult, 3*(len(z.cut.Servers)+len(z.cut.apexNS))) // two families and the last result
	}
	found := z.lookupResults
	z.r.spawn(func() {
		defer l.end()
		all := lookupResult{name: name, last: true, err: rescue.ErrAborted}
		defer func() { found <- all }()
		defer rescue.Into(&all.err)
		switch way {
		case fromSearch:
			all = z.r.lookUpServer(l.ctx, z.st, name, together, found)
		case fromParent:
			all = z.r.lookUpGlue(l.ctx, z.st, z.cut, name)
		case fromCache:
			all = lookupResult{name: name, last: true, addrs: z.r.servers.ownAddrs(z.r.settings.Now(), z.cut, glue.Server{Name: name})}
		}
	})
}

// addAddresses adds the addresses that were found to the server list.
func (z *zoneQuery) addAddresses(l lookupResult) {
	rescue.Again(l.err)
	z.r.servers.addTo(z.servers, z.r.settings.Now(), z.cut, l.name, l.addrs, z.cut.apexServer(l.name))
	z.servers.glueCost.add(l.queries)
	if l.last {
		z.lookups--
		// Glue of a delegation on the way may work where the addresses that the zone
		// itself has are wrong, or cannot be had.
		z.r.servers.addTo(z.servers, z.r.settings.Now(), z.cut, l.name, z.cut.source.cuts.Glue(z.r.settings.Now(), l.name), true)
	}
	if l.last || len(l.addrs) > 0 {
		z.st.events.ServerLookup(z.st.walkRef(), serverLookupEvent{
			Zone: z.cut.Zone, Server: l.name, Done: true, Addrs: l.addrs, Err: l.err,
		})
	}
	if l.err != nil {
		z.errs = append(z.errs, fmt.Errorf("address of %s: %w", l.name, l.err))
		z.ownFailure = z.ownFailure || failureOf(l.err).is(failAborted)
		z.noAddress = z.noAddress || l.noAddress
		z.outage = z.outage || !l.noAddress
	}
}

// lookUpServer looks for the addresses of a name server. It sends what it finds to found at
// once, and returns the last result. Both families are asked for at the same time or, once
// name servers turned out not to exist, one after the other: a name error is one for all
// types, and each look-up may be a query at a victim.
func (r *iterator) lookUpServer(ctx context.Context, st *queryState, name dnsname.Name, together bool, found chan<- lookupResult) lookupResult {
	types := r.addressTypes()
	parts := make(chan lookupResult, len(types))
	one := func(rrtype uint16) {
		l := lookupResult{name: name, err: rescue.ErrAborted}
		defer func() { parts <- l }()
		defer rescue.Into(&l.err)
		l = r.lookUpAddrs(ctx, st, name, rrtype)
	}
	if together {
		for _, rrtype := range types {
			r.spawn(func() { one(rrtype) })
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
		all.err = join(errs)
	}
	return all
}

// addressTypes lists the types of addresses that can be used.
func (r *iterator) addressTypes() []uint16 {
	switch r.settings.Family {
	case familyIPv4Only:
		return []uint16{dns.TypeA}
	case familyIPv6Only:
		return []uint16{dns.TypeAAAA}
	case familyAuto:
		if !r.ipv6 {
			return []uint16{dns.TypeA}
		}
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}
}

// lookUpAddrs searches one address type of a name server, as a question of its own within
// the same budget. What it finds need not be validated, since the answers of the server will
// be.
func (r *iterator) lookUpAddrs(ctx context.Context, st *queryState, name dnsname.Name, rrtype uint16) lookupResult {
	q := question{name, rrtype}
	below := st.forServerAddress(q)
	found, err := r.search(ctx, below, q)
	if err != nil {
		st.budget.lookupFailed(below.querySent.Load())
		return lookupResult{name: name, err: err}
	}
	l := lookupResult{name: name}
	for _, set := range found.sets {
		l.addrs = appendAddrs(l.addrs, set.Records)
	}
	if len(l.addrs) == 0 {
		l.err = fmt.Errorf("%s %s: %w", name, typeName(rrtype), errNoServerAddress)
		l.noAddress = true
		if found.rcode == dns.RcodeNameError {
			st.budget.lookupFailed(below.querySent.Load())
		}
	}
	return l
}

// maxSideTries is how often one server is asked for another server's address. Such look-ups
// multiply, and when all lead to one silent victim (NXNSAttack), it gets all their retries.
const maxSideTries = 2

// triesFor is how often one server may be asked the question of st.
func (r *iterator) triesFor(st *queryState) int {
	if st.depth > 0 {
		return min(maxSideTries, r.settings.Limits.SendsPerServer)
	}
	return r.settings.Limits.SendsPerServer
}

// trustOfServers is the class of trust that name servers' addresses are cached under: they
// are not validated.
func (r *iterator) trustOfServers() cache.Trust {
	if !r.settings.Validates {
		return cache.Checked
	}
	return cache.Unchecked
}
