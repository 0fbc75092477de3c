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
	// scatter is the range of the factor by which a server's expected time is made larger at
	// random, so that servers of about the same speed share the questions and an attacker
	// cannot tell which one will be asked (RFC 5452 §4.4).
	scatter = 0.25
	// maxJitter is the end of the range of serverAddr.jitter.
	maxJitter = time.Microsecond
)

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

func newLister(e *env, rt *router) *lister {
	l := &lister{env: e, routes: rt, hintAddrs: make(map[netip.Addr]bool)}
	for _, s := range e.settings.RootHints.Servers {
		for _, a := range s.Addrs {
			l.hintAddrs[a.Unmap()] = true
		}
	}
	return l
}

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

// addressTypes lists the types of addresses that can be used.
func (r *lister) addressTypes() []uint16 {
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
