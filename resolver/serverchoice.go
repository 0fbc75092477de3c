package resolver

import (
	"slices"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// maxTries is how many queries are sent for one question to one zone: one to each of 13
	// servers (BIND and PowerDNS keep 13), or several to fewer.
	maxTries = 13
	// maxApexTries is how many of the servers that only the zone itself names are tried after
	// maxTries of those that its parent names. They are tried last; one that works is enough.
	maxApexTries = 3
	// maxProbes is how many servers that are marked down are tried for one question.
	maxProbes = 3
	// exploreOneIn is how rarely a server is chosen at random rather than for its speed, so
	// that slow servers are measured again and unknown ones for the first time.
	exploreOneIn = 16
	// probeOneIn is how rarely a server that is marked down and due for a probe is preferred
	// to living ones, so that its return is noticed. A hedge covers the attempt.
	probeOneIn = 16
)

// next takes the server to ask now; nil when there is none.
func (l *serverList) next(now time.Time) (*serverAddr, queryReason) {
	if l.tries >= maxTries {
		return l.takeApexServer(now), reasonNext
	}
	living := l.askable(func(c *serverAddr) bool { return !c.estimate.Dead })
	dead := l.askable(func(c *serverAddr) bool { return c.estimate.Dead })
	if len(living) == 0 && !l.forwarders || l.random.IntN(probeOneIn) == 0 {
		if c := l.probe(now, dead, len(living) == 0 && !l.sideLookup); c != nil {
			return c, reasonProbe
		}
	}
	if len(living) == 0 && l.forwarders && len(dead) > 0 {
		// One name with silent servers must not make others fail that the
		// forwarder could answer at the same time.
		return l.take(l.best(now, dead)), reasonProbe
	}
	if len(living) == 0 {
		return nil, reasonNone
	}
	c := l.best(now, living)
	if l.tries == 0 && l.random.IntN(exploreOneIn) == 0 {
		if random := living[l.random.IntN(len(living))]; !random.lowPriority {
			c = random
		}
	}
	reason := reasonNext
	switch {
	case l.tries > 0:
	case c.estimate.Known:
		reason = reasonBest
	default:
		reason = reasonUnknown
	}
	return l.take(c), reason
}

// silent counts the servers that were silent: asked in vain now, or marked down.
func (l *serverList) silent() int {
	n := 0
	for _, c := range l.addrs {
		if c.tries > 0 || c.estimate.Dead {
			n++
		}
	}
	return n
}

// recordSilence records that all servers that were asked were silent.
func (l *serverList) recordSilence(now time.Time) {
	for _, c := range l.addrs {
		if c.tries > 0 {
			l.infra.Silent(now, c.addr, c.replies)
		}
	}
}

func (l *serverList) take(c *serverAddr) *serverAddr {
	c.tries++
	c.lastTry = c.tries == l.triesPerServer
	c.busy = true
	l.tries++
	return c
}

// putBack puts back a server that was not asked after all. If it is marked down by now, it
// can be probed.
func (l *serverList) putBack(now time.Time, c *serverAddr) {
	c.estimate = l.infra.Estimate(now, c.addr)
	c.tries--
	l.tries--
}

// askable lists the servers that could be asked and that want is true for.
func (l *serverList) askable(want func(*serverAddr) bool) []*serverAddr {
	var open []*serverAddr
	for _, c := range l.addrs {
		if !c.excluded && !c.busy && c.tries < l.triesOf(c) && !c.leadsBackKnown() && want(c) {
			open = append(open, c)
		}
	}
	return open
}

// triesOf is how often one server may be asked.
func (l *serverList) triesOf(c *serverAddr) int {
	if c.estimate.Dead && !l.forwarders {
		return 1
	}
	return l.triesPerServer
}

// best returns the server to ask first. It orders by: fewest tries, not of low priority, its
// address family works, least time expected.
func (l *serverList) best(now time.Time, open []*serverAddr) *serverAddr {
	return slices.MinFunc(open, func(a, b *serverAddr) int {
		switch {
		case a.tries != b.tries:
			return a.tries - b.tries
		case a.lowPriority != b.lowPriority:
			return before(b.lowPriority)
		}
		ad, bd := l.infra.FamilyDown(now, a.addr), l.infra.FamilyDown(now, b.addr)
		if ad != bd {
			return before(bd)
		}
		return int(a.score - b.score)
	})
}

// before returns a negative number when the first of two goes first.
func before(first bool) int {
	if first {
		return -1
	}
	return 1
}

// probe takes a server that is marked down and that no other query is trying. It must be due
// for a probe unless urgent is set, as when no server is alive.
func (l *serverList) probe(now time.Time, dead []*serverAddr, urgent bool) *serverAddr {
	if l.probes >= maxProbes {
		return nil
	}
	for _, i := range l.random.Perm(len(dead)) {
		if end := l.infra.Probe(now, dead[i].addr, urgent); end != nil {
			l.probes++
			dead[i].endProbe = end
			return l.take(dead[i])
		}
	}
	return nil
}

// lookFirst reports whether another name server's address should be looked up before a
// server on the list is asked (again).
func (l *serverList) lookFirst() bool { return len(l.missing) > 0 && l.onlyLowPriority() }

// onlyLowPriority reports whether no server can be asked but those of low priority.
func (l *serverList) onlyLowPriority() bool {
	return len(l.askable(func(c *serverAddr) bool { return !c.lowPriority })) == 0
}

// nextMissing takes a name server whose addresses are to be looked up, and says how. Those
// that have glue come when no server is left to ask. When none is being asked either, so
// that the delegation would be given up, those come whose addresses only the parent knows,
// and last those that only the zone itself names.
func (l *serverList) nextMissing(cut *zoneCut, idle bool) (dnsname.Name, addressSource, bool) {
	if name, ok := takeFirst(&l.missing); ok {
		return name, fromSearch, true
	}
	exhausted := len(l.askable(func(*serverAddr) bool { return true })) == 0
	if exhausted {
		if name, ok := takeFirst(&l.glueOnly); ok {
			return name, fromSearch, true
		}
	}
	if exhausted && idle && l.glueCost.allows() {
		if name, ok := takeFirst(&l.withoutGlue); ok {
			return name, fromParent, true
		}
	}
	if !idle || !exhausted && l.tries < maxTries {
		return "", fromSearch, false
	}
	name, ok := takeFirst(&l.apexOnly)
	if cut.InDomain(name) {
		return name, fromCache, ok
	}
	return name, fromSearch, ok
}

// mayLearnMore reports whether servers are left that only the parent or the zone itself
// knows.
func (l *serverList) mayLearnMore() bool {
	return len(l.apexOnly) > 0 || len(l.withoutGlue) > 0 && l.glueCost.allows()
}

// takeFirst removes and returns the first name of a list.
func takeFirst(names *[]dnsname.Name) (dnsname.Name, bool) {
	if len(*names) == 0 {
		return "", false
	}
	name := (*names)[0]
	*names = (*names)[1:]
	return name, true
}

// takeApexServer takes the server to ask after maxTries of others: one that only the zone
// itself names.
func (l *serverList) takeApexServer(now time.Time) *serverAddr {
	if l.tries >= maxTries+maxApexTries {
		return nil
	}
	own := l.askable(func(c *serverAddr) bool { return c.apexOnly && !c.estimate.Dead })
	if len(own) == 0 {
		return nil
	}
	return l.take(l.best(now, own))
}

// addressSource is where the addresses of a name server come from.
type addressSource uint8

const (
	// fromSearch: they are searched as those of any other name.
	fromSearch addressSource = iota
	// fromParent: the parent's servers are asked, since the name is in the zone itself and
	// the referral brought no glue for it.
	fromParent
	// fromCache: the cache may have them. Only the zone itself names the server, which is in
	// the zone, and the zone's servers are silent.
	fromCache
)

// glueCost bounds what asking the parent for glue may cost one question: as many queries as
// server look-ups may fail. A delegation of hundreds of names does not fit into a datagram,
// so that each look-up is two queries, which the limit of look-ups would not count
// (NXNSAttack).
type glueCost struct{ limit, spent, last int }

func (g *glueCost) add(queries int) {
	if queries > 0 {
		g.spent, g.last = g.spent+queries, queries
	}
}

// allows reports whether another look-up that costs what the last one did is within the
// bound.
func (g *glueCost) allows() bool { return g.spent+g.last <= g.limit }
