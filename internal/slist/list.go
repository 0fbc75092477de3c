package slist

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
)

const (
	// scatter is the range of the factor by which a server's expected time is made larger at
	// random, so that servers of about the same speed share the questions and an attacker
	// cannot tell which one will be asked (RFC 5452 §4.4).
	scatter = 0.25
	// maxJitter is the end of the range of Server.Jitter.
	maxJitter = time.Microsecond
)

// List is the SLIST of RFC 1034 §5.3.3 for one question to the servers of one
// zone: the addresses to ask, and the name servers whose addresses are missing. It must not be
// copied once it is in use.
type List struct {
	Infra          *infra.Table
	triesPerServer int // tries of one address
	Addrs          []*Server
	room           []Server // where Addrs points to, and more fit in
	first          [serversAtOnce]Server
	firstAddrs     [serversAtOnce]*Server
	Missing        []dnsname.Name // without any address, in random order
	glueOnly       []dnsname.Name // with glue, which their own zone may correct
	withoutGlue    []dnsname.Name // names in the zone without glue
	GlueCost       glueCost       // what it costs to ask the parent for the glue
	apexOnly       []dnsname.Name // NS records of the zone itself have them, the parent's do not
	avoid          map[netip.AddrPort]bool
	sideLookup     bool // for a server look-up: servers marked down are not probed early
	IncludeLoops   bool // include servers known to lead back to us
	LoopExcluded   bool // a server of the route was left out because it leads back to us
	forwarders     bool // its servers recurse, so that silence says less about them
	Random         *rand.Rand
	Tries          int
	Probes         int
}

// Lister makes server lists.
type Lister struct {
	*env.Env
	routes    *routes.Router
	hintAddrs map[netip.Addr]bool
}

func NewLister(e *env.Env, rt *routes.Router) *Lister {
	l := &Lister{Env: e, routes: rt, hintAddrs: make(map[netip.Addr]bool)}
	for _, s := range e.Settings.RootHints.Servers {
		for _, a := range s.Addrs {
			l.hintAddrs[a.Unmap()] = true
		}
	}
	return l
}

// HintAddrs returns the addresses of the root hints that can be asked.
func (r *Lister) HintAddrs() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, s := range r.Settings.RootHints.Servers {
		for _, a := range s.Addrs {
			if a = a.Unmap(); r.Usable(a) {
				addrs = append(addrs, netip.AddrPortFrom(a, r.Settings.Port))
			}
		}
	}
	return addrs
}

// Usable reports whether an address may be asked, by its family.
func (r *Lister) Usable(a netip.Addr) bool {
	switch r.Settings.Family {
	case env.FamilyIPv4Only:
		return a.Is4()
	case env.FamilyIPv6Only:
		return a.Is6() && !a.Is4In6()
	case env.FamilyAuto:
		return a.Is4() || r.IPv6 && !a.Is4In6()
	}
	return false
}

// AddressTypes lists the types of addresses that can be used.
func (r *Lister) AddressTypes() []uint16 {
	switch r.Settings.Family {
	case env.FamilyIPv4Only:
		return []uint16{dns.TypeA}
	case env.FamilyIPv6Only:
		return []uint16{dns.TypeAAAA}
	case env.FamilyAuto:
		if !r.IPv6 {
			return []uint16{dns.TypeA}
		}
	}
	return []uint16{dns.TypeA, dns.TypeAAAA}
}

// Fill makes l the list of the servers of a delegation for q, with all addresses that are known
// now.
func (r *Lister) Fill(l *List, now time.Time, cut *routes.ZoneCut, q answer.Question, perServer int, side bool, avoid map[netip.AddrPort]bool) {
	l.Infra, l.Random = cut.Source.Infra, r.Random(cut.Zone, q)
	l.triesPerServer, l.avoid, l.sideLookup = perServer, avoid, side
	l.addForwarders(now, cut)
	for _, s := range cut.Servers {
		own := r.OwnAddrs(now, cut, s)
		r.AddTo(l, now, cut, s.Name, own, false)
		glued := s.Addrs
		if len(glued) == 0 {
			glued = cut.Source.Cuts.Glue(now, s.Name)
		}
		r.AddTo(l, now, cut, s.Name, glued, len(own) > 0)
		switch {
		case len(own) > 0:
		case len(glued) == 0 && (cut.Zone.IsRoot() || !cut.InDomain(s.Name)):
			l.Missing = append(l.Missing, s.Name)
		case len(glued) == 0 && !cut.IsConfigured():
			l.withoutGlue = append(l.withoutGlue, s.Name)
		case cut.InDomain(s.Name): // its glue is all that there is
		default:
			l.glueOnly = append(l.glueOnly, s.Name)
		}
	}
	l.GlueCost.limit = r.Settings.Limits.FailedServerLookups
	l.apexOnly = slices.Clone(cut.ApexNS)
	for _, names := range [][]dnsname.Name{l.Missing, l.glueOnly, l.withoutGlue, l.apexOnly} {
		l.shuffle(names)
	}
}

// addForwarders adds the servers of a route that are given by address.
func (l *List) addForwarders(now time.Time, cut *routes.ZoneCut) {
	l.forwarders = cut.Source.Forwards()
	if !cut.IsRoute() {
		return
	}
	for _, f := range cut.Source.Route.Forwarders {
		if f.Guard.LeadsBackKnown() {
			l.LoopExcluded = true
			continue
		}
		c := Server{Addr: f.Addr, Name: f.Name, Forwarder: f, Guard: &f.Guard}
		l.add(now, cut.Zone, c)
	}
}

func (l *List) shuffle(names []dnsname.Name) {
	l.Random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
}

// OwnAddrs returns the addresses of a name server according to its own zone. They go before
// glue, which is the parent's copy (RFC 2181 §5.4.1).
func (r *Lister) OwnAddrs(now time.Time, cut *routes.ZoneCut, s glue.Server) []netip.Addr {
	if cut.Hints {
		return nil
	}
	var addrs []netip.Addr
	for _, t := range [...]uint16{dns.TypeA, dns.TypeAAAA} {
		if item, ok := r.cachedInfra(now, s.Name, t); ok {
			addrs = answer.AppendAddrs(addrs, item.Set.Records)
		}
	}
	return addrs
}

// cachedInfra returns an authoritative RRset about a name server. It need not be validated,
// since the server's answers will be.
func (r *Lister) cachedInfra(now time.Time, name dnsname.Name, rrtype uint16) (cache.Item, bool) {
	return r.routes.ViewOf(now, answer.Question{Name: name, Type: rrtype}).Cache.Get(now, name, rrtype, cache.Unchecked, cache.RankAnswer)
}

// AddTo adds the addresses of one name server that may be asked, each once.
func (r *Lister) AddTo(l *List, now time.Time, cut *routes.ZoneCut, name dnsname.Name, addrs []netip.Addr, lowPriority bool) {
	added := 0
	for _, a := range addrs {
		if added == r.Settings.Limits.AddressesPerServer {
			r.Counts.LimitsReached.Count(limits.AddressesPerServer)
			return
		}
		over := r.routes.TLSServer(cut, name, a)
		if !r.Usable(a) || !cut.IsConfigured() && !r.MayAsk(cut, a) || l.has(a, over) {
			continue
		}
		added++
		addr := netip.AddrPortFrom(a, r.Settings.Port)
		if over != nil {
			addr = over.Addr
		}
		guard := cut.GuardOf(addr)
		if guard != nil && guard.LeadsBackKnown() && !l.IncludeLoops {
			l.LoopExcluded = true
			continue
		}
		l.add(now, cut.Zone, Server{
			Addr: addr, Name: name, Forwarder: over, Guard: guard, apexOnly: cut.ApexServer(name),
			lowPriority: lowPriority,
		})
	}
}

// MayAsk applies the address policy. The addresses of the hints are exempt, and in a route
// those of its servers, which may serve zones below it too.
func (r *Lister) MayAsk(cut *routes.ZoneCut, a netip.Addr) bool {
	return r.hintAddrs[a] || cut.Source.Route != nil && cut.Source.Route.Addrs[a] || r.Settings.AllowServer(a)
}

// has reports whether an address is on the list, to be asked in the same way: over is nil in clear.
func (l *List) has(a netip.Addr, over *routes.Forwarder) bool {
	return slices.ContainsFunc(l.Addrs, func(c *Server) bool { return c.Addr.Addr() == a && c.Forwarder.SamePeer(over) })
}

// serversAtOnce is how many servers memory is taken for at a time: the addresses of two usual name
// servers.
const serversAtOnce = 4

// add adds a server of zone.
func (l *List) add(now time.Time, zone dnsname.Name, c Server) {
	var lame bool
	c.Estimate, lame = l.Infra.Candidate(now, c.Addr, zone)
	c.expect(now, c.Estimate)
	c.lowPriority = c.lowPriority || lame || l.avoid[c.Addr]
	c.replies = c.Estimate.Replies
	c.Jitter = time.Duration(l.Random.IntN(int(maxJitter)))
	c.score = time.Duration(float64(c.Estimate.RTT) * (1 + scatter*l.Random.Float64()))
	if !c.Estimate.Known {
		// Half to one and a half times what is usual: sometimes before, sometimes
		// after a server that is known to be usual.
		c.score = time.Duration(float64(c.Estimate.RTT) * (0.5 + l.Random.Float64()))
	}
	switch {
	case l.Addrs == nil:
		l.room, l.Addrs = l.first[:0], l.firstAddrs[:0]
	case len(l.room) == cap(l.room):
		l.room = make([]Server, 0, serversAtOnce) // Addrs keeps the full one
	}
	l.room = append(l.room, c)
	l.Addrs = append(l.Addrs, &l.room[len(l.room)-1])
}
