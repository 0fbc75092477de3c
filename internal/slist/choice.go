package slist

import (
	"slices"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/routes"
)

const (
	// MaxTries is how many queries are sent for one question to one zone: one to each of 13
	// servers (BIND and PowerDNS keep 13), or several to fewer.
	MaxTries = 13
	// maxApexTries is how many of the servers that only the zone itself names are tried after
	// MaxTries of those that its parent names. They are tried last; one that works is enough.
	maxApexTries = 3
	// MaxProbes is how many servers that are marked down are tried for one question.
	MaxProbes = 3
	// exploreOneIn is how rarely a server is chosen at random rather than for its speed, so
	// that slow servers are measured again and unknown ones for the first time.
	exploreOneIn = 16
	// probeOneIn is how rarely a server that is marked down and due for a probe is preferred
	// to living ones, so that its return is noticed. A hedge covers the attempt.
	probeOneIn = 16
)

// Next takes the server to ask now; nil when there is none.
func (l *List) Next(now time.Time) (*Server, events.Reason) {
	if l.Tries >= MaxTries {
		return l.takeApexServer(now), events.ReasonNext
	}
	var room [2][serversAtOnce]*Server
	living := l.appendAskable(room[0][:0], func(c *Server) bool { return !c.Estimate.Dead })
	dead := l.appendAskable(room[1][:0], func(c *Server) bool { return c.Estimate.Dead })
	if len(living) == 0 && !l.forwarders || l.Random.IntN(probeOneIn) == 0 {
		if c := l.probe(now, dead, len(living) == 0 && !l.sideLookup); c != nil {
			return c, events.ReasonProbe
		}
	}
	if len(living) == 0 && l.forwarders && len(dead) > 0 {
		// One name with silent servers must not make others fail that the
		// forwarder could answer at the same time.
		return l.take(l.best(now, dead)), events.ReasonProbe
	}
	if len(living) == 0 {
		return nil, events.ReasonNone
	}
	c := l.best(now, living)
	if l.Tries == 0 && l.Random.IntN(exploreOneIn) == 0 {
		if random := living[l.Random.IntN(len(living))]; !random.lowPriority {
			c = random
		}
	}
	reason := events.ReasonNext
	switch {
	case l.Tries > 0:
	case c.Estimate.Known:
		reason = events.ReasonBest
	default:
		reason = events.ReasonUnknown
	}
	return l.take(c), reason
}

// Silent counts the servers that were silent: asked in vain now, or marked down.
func (l *List) Silent() int {
	n := 0
	for _, c := range l.Addrs {
		if c.Tries > 0 || c.Estimate.Dead {
			n++
		}
	}
	return n
}

// RecordSilence records that all servers that were asked were silent.
func (l *List) RecordSilence(now time.Time) {
	for _, c := range l.Addrs {
		if c.Tries > 0 && !c.FaultNoted {
			l.Infra.Silent(now, c.Addr, c.replies)
		}
	}
}

func (l *List) take(c *Server) *Server {
	c.Tries++
	c.LastTry = c.Tries == l.triesPerServer
	c.Busy = true
	l.Tries++
	return c
}

// Again lets all servers be asked again, within the tries that are left.
func (l *List) Again(now time.Time) {
	for _, c := range l.Addrs {
		c.Tries, c.Excluded, c.Plain, c.ExtraSend = 0, false, false, false
		c.Expect(now, l.Infra)
	}
	l.Probes = 0
}

// PutBack puts back a server that was not asked after all. If it is marked down by now, it
// can be probed.
func (l *List) PutBack(now time.Time, c *Server) {
	c.Expect(now, l.Infra)
	c.Tries--
	l.Tries--
}

// Askable lists the servers that could be asked and that want is true for.
func (l *List) Askable(want func(*Server) bool) []*Server { return l.appendAskable(nil, want) }

func (l *List) appendAskable(open []*Server, want func(*Server) bool) []*Server {
	for _, c := range l.Addrs {
		if l.mayAsk(c) && want(c) {
			open = append(open, c)
		}
	}
	return open
}

// mayAsk reports whether a server could be asked.
func (l *List) mayAsk(c *Server) bool {
	return !c.Excluded && !c.Busy && !c.Fault.Barred && c.Tries < l.triesOf(c) && !c.leadsBackKnown()
}

// triesOf is how often one server may be asked.
func (l *List) triesOf(c *Server) int {
	if c.Estimate.Dead && !l.forwarders {
		return 1
	}
	return l.triesPerServer
}

// best returns the server to ask first. It orders by: fewest tries, not of low priority, its
// address family works, least time expected.
func (l *List) best(now time.Time, open []*Server) *Server {
	return slices.MinFunc(open, func(a, b *Server) int {
		switch {
		case a.Tries != b.Tries:
			return a.Tries - b.Tries
		case a.lowPriority != b.lowPriority:
			return before(b.lowPriority)
		}
		ad, bd := l.Infra.FamilyDown(now, a.Addr), l.Infra.FamilyDown(now, b.Addr)
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
func (l *List) probe(now time.Time, dead []*Server, urgent bool) *Server {
	if l.Probes >= MaxProbes {
		return nil
	}
	for _, i := range l.Random.Perm(len(dead)) {
		if !urgent && now.Before(dead[i].Fault.Until) {
			continue
		}
		if end := l.Infra.Probe(now, dead[i].Addr, urgent); end != nil {
			l.Probes++
			dead[i].EndProbe = end
			return l.take(dead[i])
		}
	}
	return nil
}

// LookFirst reports whether another name server's address should be looked up before a
// server on the list is asked (again).
func (l *List) LookFirst() bool { return len(l.Missing) > 0 && l.OnlyLowPriority() }

// OnlyLowPriority reports whether no server can be asked but those of low priority.
func (l *List) OnlyLowPriority() bool {
	return !slices.ContainsFunc(l.Addrs, func(c *Server) bool { return l.mayAsk(c) && !c.lowPriority })
}

// NextMissing takes a name server whose addresses are to be looked up, and says how. Those
// that have glue come when no server is left to ask. When none is being asked either, so
// that the delegation would be given up, those come whose addresses only the parent knows,
// and last those that only the zone itself names.
func (l *List) NextMissing(cut *routes.ZoneCut, idle bool) (dnsname.Name, addressSource, bool) {
	if name, ok := takeFirst(&l.Missing); ok {
		return name, FromSearch, true
	}
	exhausted := !slices.ContainsFunc(l.Addrs, l.mayAsk)
	if exhausted {
		if name, ok := takeFirst(&l.glueOnly); ok {
			return name, FromSearch, true
		}
	}
	if exhausted && idle && l.GlueCost.allows() {
		if name, ok := takeFirst(&l.withoutGlue); ok {
			return name, FromParent, true
		}
	}
	if !idle || !exhausted && l.Tries < MaxTries {
		return "", FromSearch, false
	}
	name, ok := takeFirst(&l.apexOnly)
	if cut.InDomain(name) {
		return name, FromCache, ok
	}
	return name, FromSearch, ok
}

// MayLearnMore reports whether servers are left that only the parent or the zone itself
// knows.
func (l *List) MayLearnMore() bool {
	return len(l.apexOnly) > 0 || len(l.withoutGlue) > 0 && l.GlueCost.allows()
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

// takeApexServer takes the server to ask after MaxTries of others: one that only the zone
// itself names.
func (l *List) takeApexServer(now time.Time) *Server {
	if l.Tries >= MaxTries+maxApexTries {
		return nil
	}
	own := l.Askable(func(c *Server) bool { return c.apexOnly && !c.Estimate.Dead })
	if len(own) == 0 {
		return nil
	}
	return l.take(l.best(now, own))
}

// addressSource is where the addresses of a name server come from.
type addressSource uint8

const (
	// FromSearch: they are searched as those of any other name.
	FromSearch addressSource = iota
	// FromParent: the parent's servers are asked, since the name is in the zone itself and
	// the referral brought no glue for it.
	FromParent
	// FromCache: the cache may have them. Only the zone itself names the server, which is in
	// the zone, and the zone's servers are silent.
	FromCache
)

// glueCost bounds what asking the parent for glue may cost one question: as many queries as
// server look-ups may fail. A delegation of hundreds of names does not fit into a datagram,
// so that each look-up is two queries, which the limit of look-ups would not count
// (NXNSAttack).
type glueCost struct{ limit, spent, last int }

func (g *glueCost) Add(queries int) {
	if queries > 0 {
		g.spent, g.last = g.spent+queries, queries
	}
}

// allows reports whether another look-up that costs what the last one did is within the
// bound.
func (g *glueCost) allows() bool { return g.spent+g.last <= g.limit }
