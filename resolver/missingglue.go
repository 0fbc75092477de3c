package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// lookUpGlue asks the parent's servers for the address of a name server in the zone for
// which the referral brought none. Every referral should have its glue (RFC 9471 §3.1), but
// glue that did not fit may be left out, and comes when it is asked for. It is glue of this
// delegation and lives no longer. One type is asked for, as glue of both comes along. That
// there was none is remembered (RFC 9520), so that the next question does not ask again.
func (r *iterator) lookUpGlue(ctx context.Context, st *queryState, cut *zoneCut, name dnsname.Name) lookupResult {
	q := question{name, r.addressTypes()[0]}
	l := lookupResult{name: name, last: true}
	now := r.settings.Now()
	v := r.routes.viewOf(now, q)
	if _, failed := v.cache.GetFailure(now, q.name, q.rrtype, r.trustOfServers()); failed || v.source != cut.source {
		l.err, l.noAddress = errNoServerAddress, true
		return l
	}
	below := st.forServerAddress(q)
	below.startAbove = cut.Zone
	m, err := r.ask(ctx, below, r.closestCut(now, below, v, q), q)
	if err != nil {
		st.budget.lookupFailed(below.querySent.Load())
		l.err = err
		return l
	}
	l.queries = queriesFor(m)
	var life time.Duration
	if l.addrs, life = glueIn(m, cut.Zone, name); len(l.addrs) == 0 {
		st.budget.lookupFailed(below.querySent.Load())
		l.err, l.noAddress = fmt.Errorf("no glue: %w", errNoServerAddress), true
		r.keepFailure(v, below, q, failureOf(l.err))
		return l
	}
	v.cuts.AddGlue(now, cut.Delegation, name, l.addrs, life)
	return l
}

// queriesFor is how many queries a reply took at least: what does not fit into a datagram
// was asked for over TCP as well.
func queriesFor(m *reply) int {
	if len(m.wire) > udpSize {
		return 2
	}
	return 1
}

// glueIn returns the addresses of a name server in a reply of its zone's parent, as glue or
// in the answer, and how long they live.
func glueIn(m *reply, zone, name dnsname.Name) ([]netip.Addr, time.Duration) {
	switch m.kind {
	case kindReferral:
		if m.delegation.Zone == zone {
			s, _ := m.delegation.Server(name)
			return s.Addrs, m.delegation.TTL
		}
	case kindAnswer:
		set := m.Answer[0]
		addrs := appendAddrs(nil, set.Records)
		return addrs[:min(len(addrs), glue.MaxAddrs)], time.Duration(set.TTL) * time.Second
	case kindUnusable, kindLame, kindAlias, kindNoData, kindNameError, kindRecursive:
	}
	return nil, 0
}
