package resolver

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/infra"
)

const (
	// maxTries is how many queries are sent for one question to one zone: one to each of 13
	// servers (BIND and PowerDNS keep 13), or several to fewer.
	maxTries = 13
	// maxProbes is how many servers that are marked down are tried for one question.
	maxProbes = 3
	// exploreOneIn is how rarely a server is chosen at random rather than for its speed, so
	// that slow servers are measured again and unknown ones for the first time.
	exploreOneIn = 16
	// probeOneIn is how rarely a server that is marked down and due for a probe is preferred
	// to living ones, so that its return is noticed. A hedge covers the attempt.
	probeOneIn = 16
	// scatter is the range of the factor by which a server's expected time is made larger at
	// random, so that servers of about the same speed share the questions and an attacker
	// cannot tell which one will be asked (RFC 5452 §4.4).
	scatter = 0.25
	// maxJitter is the end of the range of serverAddr.jitter.
	maxJitter = time.Microsecond
)

// serverAddr is one address of a server that may be asked.
type serverAddr struct {
	addr      netip.AddrPort
	name      dnsname.Name // of the name server
	forwarder *forwarder   // set for a server of a route that is given by address
	guard     *loopGuard   // nil: not a server of a route
	estimate  infra.Estimate
	score     time.Duration
	// jitter is added to how long a reply is waited for: next to nothing, but never the same
	// twice. So two queries that are lost together never time out at one instant, and what
	// is learnt about the server does not depend on which of them is handled first.
	jitter time.Duration
	tries  int
	// lowPriority: it is known not to serve the zone, or its data turned out bogus, or the
	// name's own zone has other addresses.
	lowPriority     bool
	apexOnly        bool         // only the zone itself names it
	endProbe        func()       // ends the probe that its exchange is; nil: it is not a probe
	waitLonger      bool         // there is no other server to ask meanwhile, or all others were silent
	onlyChoice      bool         // there is no other server to ask meanwhile
	lastTry         bool         // this is its last try
	waitedSlow      bool         // it has been given slowTimeout once
	udpSpoilt       bool         // UDP brought only what is not a reply, and TCP nothing: one try is left
	unconfirmedCut  dnsname.Name // zone of a referral over UDP that may be forged; "": none
	busy            bool         // it is being asked now
	excluded        bool         // it replied with something of no use, and is not asked again
	plain           bool         // it is asked in the plain form, for the plain retry
	extraSend       bool         // the plain retry is a query that it would not get otherwise
	questionRefused bool         // other servers have refused the question in every form
	plainMayHelp    bool         // it may have failed because of the form of the queries
	answeredError   bool         // it answered, with an error
	sends           sends        // queries for this question
	replies         uint64       // of the server to others, before it was asked this question
}

// sends counts the queries to one server by network.
type sends struct{ udp, tcp int }

// over counts one more query over a network, and returns how many that makes.
func (s *sends) over(network string) int {
	if network == "tcp" {
		s.tcp++
		return s.tcp
	}
	s.udp++
	return s.udp
}

// serverList is the SLIST of RFC 1034 §5.3.3 for one question to the servers of one
// zone: the addresses to ask, and the name servers whose addresses are missing.
type serverList struct {
	infra          *infra.Table
	triesPerServer int // tries of one address
	addrs          []*serverAddr
	missing        []dnsname.Name // without any address, in random order
	glueOnly       []dnsname.Name // with glue, which their own zone may correct
	withoutGlue    []dnsname.Name // names in the zone without glue
	glueCost       glueCost       // what it costs to ask the parent for the glue
	apexOnly       []dnsname.Name // NS records of the zone itself have them, the parent's do not
	avoid          map[netip.AddrPort]bool
	sideLookup     bool // for a server look-up: servers marked down are not probed early
	includeLoops   bool // include servers known to lead back to us
	loopExcluded   bool // a server of the route was left out because it leads back to us
	forwarders     bool // its servers recurse, so that silence says less about them
	random         *rand.Rand
	tries          int
	probes         int
}

// lister makes server lists.
type lister struct {
	*env
	routes    *router
	hintAddrs map[netip.Addr]bool
}

func newLister(e *env, routes *router) *lister {
	l := &lister{env: e, routes: routes, hintAddrs: make(map[netip.Addr]bool)}
	for _, s := range e.settings.RootHints.Servers {
		for _, a := range s.Addrs {
			l.hintAddrs[a.Unmap()] = true
		}
	}
	return l
}

// randomSource returns what chooses among the servers of a zone for one question. Tests that
// must repeat exactly have one with a seed.
type randomSource func(zone dnsname.Name, q question) *rand.Rand

func systemRandom() randomSource {
	system := rand.New(systemSource{})
	return func(dnsname.Name, question) *rand.Rand { return system }
}

// systemSource draws from the generator of the process, which cannot be predicted. A
// rand.Rand over it may be used concurrently.
type systemSource struct{}

func (systemSource) Uint64() uint64 { return rand.Uint64() }

// usable reports whether an address may be asked, by its family.
func (r *lister) usable(a netip.Addr) bool {
	switch r.settings.Family {
	case familyIPv4Only:
		return a.Is4()
	case familyIPv6Only:
		return a.Is6() && !a.Is4In6()
	case familyAuto:
		return a.Is4() || r.ipv6 && !a.Is4In6()
	}
	return false
}

// serversOf lists the servers of a delegation for q, with all addresses that are known now.
func (r *lister) serversOf(now time.Time, cut *zoneCut, q question, perServer int, side bool, avoid map[netip.AddrPort]bool) *serverList {
	l := &serverList{infra: cut.source.infra, triesPerServer: perServer, avoid: avoid, sideLookup: side, random: r.random(cut.Zone, q)}
	l.addForwarders(now, cut)
	for _, s := range cut.Servers {
		own := r.ownAddrs(now, cut, s)
		r.addTo(l, now, cut, s.Name, own, false)
		glued := s.Addrs
		if len(glued) == 0 {
			glued = cut.source.cuts.Glue(now, s.Name)
		}
		r.addTo(l, now, cut, s.Name, glued, len(own) > 0)
		switch {
		case len(own) > 0:
		case len(glued) == 0 && (cut.Zone.IsRoot() || !cut.InDomain(s.Name)):
			l.missing = append(l.missing, s.Name)
		case len(glued) == 0 && !cut.isConfigured():
			l.withoutGlue = append(l.withoutGlue, s.Name)
		case cut.InDomain(s.Name): // its glue is all that there is
		default:
			l.glueOnly = append(l.glueOnly, s.Name)
		}
	}
	l.glueCost.limit = r.settings.Limits.FailedServerLookups
	l.apexOnly = slices.Clone(cut.apexNS)
	for _, names := range [][]dnsname.Name{l.missing, l.glueOnly, l.withoutGlue, l.apexOnly} {
		l.shuffle(names)
	}
	return l
}

// addForwarders adds the servers of a route that are given by address.
func (l *serverList) addForwarders(now time.Time, cut *zoneCut) {
	l.forwarders = cut.source.forwards()
	if !cut.isRoute() {
		return
	}
	for _, f := range cut.source.route.forwarders {
		if f.guard.leadsBackKnown() {
			l.loopExcluded = true
			continue
		}
		c := serverAddr{addr: f.addr, name: f.name, forwarder: f, guard: &f.guard}
		c.lowPriority = l.infra.Lame(now, f.addr, cut.Zone) || l.avoid[f.addr]
		l.add(now, c)
	}
}

func (l *serverList) shuffle(names []dnsname.Name) {
	l.random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
}

// ownAddrs returns the addresses of a name server according to its own zone. They go before
// glue, which is the parent's copy (RFC 2181 §5.4.1).
func (r *lister) ownAddrs(now time.Time, cut *zoneCut, s glue.Server) []netip.Addr {
	if cut.hints {
		return nil
	}
	var addrs []netip.Addr
	for _, t := range [...]uint16{dns.TypeA, dns.TypeAAAA} {
		if item, ok := r.cachedInfra(now, s.Name, t); ok {
			addrs = appendAddrs(addrs, item.Set.Records)
		}
	}
	return addrs
}

// cachedInfra returns an authoritative RRset about a name server. It need not be validated,
// since the server's answers will be.
func (r *lister) cachedInfra(now time.Time, name dnsname.Name, rrtype uint16) (cache.Item, bool) {
	return r.routes.viewOf(now, question{name, rrtype}).cache.Get(now, name, rrtype, cache.Unchecked, cache.RankAnswer)
}

// addTo adds the addresses of one name server that may be asked, each once.
func (r *lister) addTo(l *serverList, now time.Time, cut *zoneCut, name dnsname.Name, addrs []netip.Addr, lowPriority bool) {
	added := 0
	for _, a := range addrs {
		if added == r.settings.Limits.AddressesPerServer {
			r.counts.refusals.count(limitAddressesPerServer)
			return
		}
		if !r.usable(a) || !cut.isConfigured() && !r.mayAsk(cut, a) || l.has(a) {
			continue
		}
		added++
		addr := netip.AddrPortFrom(a, r.settings.Port)
		guard := cut.guardOf(addr)
		if guard != nil && guard.leadsBackKnown() && !l.includeLoops {
			l.loopExcluded = true
			continue
		}
		l.add(now, serverAddr{
			addr: addr, name: name, guard: guard, apexOnly: cut.apexServer(name),
			lowPriority: lowPriority || l.infra.Lame(now, addr, cut.Zone) || l.avoid[addr],
		})
	}
}

// mayAsk applies the address policy. The addresses of the hints are exempt, and in a route
// those of its servers, which may serve zones below it too.
func (r *lister) mayAsk(cut *zoneCut, a netip.Addr) bool {
	return r.hintAddrs[a] || cut.source.route != nil && cut.source.route.addrs[a] || r.settings.AllowServer(a)
}

func (l *serverList) has(a netip.Addr) bool {
	return slices.ContainsFunc(l.addrs, func(c *serverAddr) bool { return c.forwarder == nil && c.addr.Addr() == a })
}

func (l *serverList) add(now time.Time, c serverAddr) {
	c.estimate = l.infra.Estimate(now, c.addr)
	c.replies = c.estimate.Replies
	c.jitter = time.Duration(l.random.IntN(int(maxJitter)))
	c.score = time.Duration(float64(c.estimate.RTT) * (1 + scatter*l.random.Float64()))
	if !c.estimate.Known {
		// Half to one and a half times what is usual: sometimes before, sometimes
		// after a server that is known to be usual.
		c.score = time.Duration(float64(c.estimate.RTT) * (0.5 + l.random.Float64()))
	}
	l.addrs = append(l.addrs, &c)
}

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

func (c *serverAddr) leadsBackKnown() bool { return c.guard != nil && c.guard.leadsBackKnown() }

// network returns the network of the first query, as package transport names it.
func (c *serverAddr) network() string {
	if c.forwarder != nil && c.forwarder.stream {
		return "tcp"
	}
	return "udp"
}

// isEncrypted reports whether the query is encrypted on its way.
func (c *serverAddr) isEncrypted() bool {
	return c.forwarder != nil && c.forwarder.stream && c.forwarder.network != "tcp"
}

// getsSlowTimeout reports whether the only server gets slowTimeout: in the last send to it,
// and in the one before if nothing is known of it. It does once only, and not for server
// look-ups, of which there are many.
func (c *serverAddr) getsSlowTimeout(side bool) bool {
	switch {
	case !c.onlyChoice || c.udpSpoilt || c.waitedSlow:
		return false
	case c.estimate.Known:
		return c.lastTry && !side
	}
	return c.lastTry && !side || c.tries == 2
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

// maxApexTries is how many of the servers that only the zone itself names are tried after
// maxTries of those that its parent names. They are tried last; one that works is enough.
const maxApexTries = 3
