package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/wire"
)

// lookupWay is how the addresses of a name server can be had.
type lookupWay uint8

const (
	// bySearch: as those of any other name.
	bySearch lookupWay = iota
	// fromParent: the name is in the zone itself and the referral brought no glue for it, so
	// that nobody but the parent can tell.
	fromParent
	// fromMemory: the zone names it, itself, and it is in the zone, whose servers are silent.
	fromMemory
)

// maxApexTries is how many servers that the zone itself names are tried after maxTries of
// those that its parent names. They are a last resort; one in use is enough.
const maxApexTries = 3

// lookUpGlue asks the servers of the parent for the address of a name server in the zone for
// which the referral brought none. Glue is due in every referral (RFC 9471 §3.1), but what did
// not fit may be left out, and then comes for who asks for it. It is glue of this delegation
// and lives no longer. One type is asked for, as glue of both comes along; that there was
// none is remembered (RFC 9520), so that the next question does not ask again.
func (r *Resolver) lookUpGlue(ctx context.Context, st *step, cut *zoneCut, name dnsname.Name) lookup {
	q := question{name, r.addressTypes()[0]}
	l := lookup{name: name, last: true}
	now := r.config.Now()
	v := r.viewOf(now, q)
	if _, failed := v.cache.GetFailure(now, q.name, q.rrtype, r.trustOfServers()); failed || v.source != cut.from {
		l.err, l.nonsense = ErrNoServerAddress, true
		return l
	}
	below := st.below(q)
	below.startAbove = cut.Zone
	m, err := r.ask(ctx, below, r.closestCut(now, below, v, q), q)
	if err != nil {
		st.budget.lookupFailed(below)
		l.err = err
		return l
	}
	l.queries = queriesFor(m)
	var life time.Duration
	if l.addrs, life = glueIn(m, cut.Zone, name); len(l.addrs) == 0 {
		st.budget.lookupFailed(below)
		l.err, l.nonsense = fmt.Errorf("no glue: %w", ErrNoServerAddress), true
		r.keepFailure(v, below, q, l.err)
		return l
	}
	v.cuts.AddGlue(now, cut.Delegation, name, l.addrs, life)
	return l
}

// glueCost bounds what asking the parent for glue may cost one question: as many queries as
// look-ups may fail. A delegation of hundreds of names is too large for a datagram, so that
// each look-up is two queries, which the limit of look-ups would not see (NXNSAttack).
type glueCost struct{ most, spent, last int }

func (g *glueCost) add(queries int) {
	if queries > 0 {
		g.spent, g.last = g.spent+queries, queries
	}
}

// allows reports whether one more that costs what the last one did is within the bound.
func (g *glueCost) allows() bool { return g.spent+g.last <= g.most }

// queriesFor is how many queries a reply took at least: what does not fit into a datagram
// was asked for over TCP as well.
func queriesFor(m *reply) int {
	if len(m.wire) > udpSize {
		return 2
	}
	return 1
}

// glueIn returns the addresses of a name server that a reply of the parent of its zone brought,
// as glue or in the answer, and for how long.
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

// learnApexNS remembers which name servers the zone itself names beside those that its parent
// does, for when all of these fail. It may be believed who was asked for them, who has signed
// them, and who has seen our query; anybody else may have forged the reply. They are no part
// of the delegation, which is the parent's to make, and die with it.
func (w *walk) learnApexNS(m *reply, f *finding) {
	asked := f.q == (question{w.cut.Zone, dns.TypeNS})
	switch {
	case !m.AA || m.fromSecond, w.cut.isGiven() || w.cut.from.forwards() || w.cut.Zone.IsRoot():
		return
	case asked && f.kind == kindAnswer:
		w.keepApexNS(w.apexServers(f.sets[0]))
		return
	case asked || w.cut.apexNS != nil || !m.Upward || !m.vouched && f.status != dnssec.Secure:
		return
	}
	set := w.apexNS(m)
	if set == nil {
		return
	}
	if own := w.apexServers(set); m.vouched || len(own) == 0 || w.signedByZone(f, set) {
		w.keepApexNS(own)
	}
}

// apexNS returns the NS records of the zone that came beside an answer; nil if none did.
func (w *walk) apexNS(m *reply) *dnssec.RRset {
	message, err := wire.Parse(m.wire)
	if err != nil {
		return nil
	}
	return scrub.ApexNS(message, w.cut.Zone, w.r.config.limits.Records)
}

// apexServers lists the servers of the zone's NS records that its parent does not name.
func (w *walk) apexServers(set *dnssec.RRset) []dnsname.Name {
	own := []dnsname.Name{}
	for rdata := range set.Records.All() {
		target, ok := wire.TargetName(dns.TypeNS, rdata)
		if _, named := w.cut.Server(target); ok && !named {
			own = append(own, target)
		}
	}
	return own[:min(len(own), glue.MaxServers)]
}

// signedByZone reports whether the NS records beside a secure answer are secure too.
func (w *walk) signedByZone(f *finding, set *dnssec.RRset) bool {
	if w.st.proof == nil || f.signer != w.cut.Zone || len(set.Signatures) == 0 {
		return false
	}
	verdict, needs, err := w.st.proof.ev.Validate(&dnssec.Response{
		Name: set.Owner, Type: set.Type, Zone: w.cut.Zone, Kind: dnssec.KindAnswer, Answer: []*dnssec.RRset{set},
	})
	return err == nil && len(needs) == 0 && verdict.Status == dnssec.Secure
}

func (w *walk) keepApexNS(own []dnsname.Name) {
	w.view.cuts.PutOwnServers(w.cut.Delegation, own)
}

// apexServer reports whether only the zone itself names a server.
func (c *zoneCut) apexServer(name dnsname.Name) bool { return slices.Contains(c.apexNS, name) }

// takeApexServer takes the server to ask after maxTries of others: one that the zone itself names.
func (l *serverList) takeApexServer(now time.Time) *candidate {
	if l.tries >= maxTries+maxApexTries {
		return nil
	}
	own := l.open(func(c *candidate) bool { return c.own && !c.estimate.Dead })
	if len(own) == 0 {
		return nil
	}
	return l.take(l.best(now, own))
}
