package zonecheck

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/wire"
)

const (
	// MaxNames is how many name servers of one zone are asked: all 13 that a delegation is kept
	// with, and as many that only the zone itself names. No zone of the public DNS is known to
	// have more than 13.
	MaxNames = 2 * glue.MaxServers
	// MaxAddrs is how many addresses of them are asked: one of each family for each name, and some
	// that have two. A root or top-level zone has 26.
	MaxAddrs = 64
	// maxLookups is how many name servers' addresses are looked for at the same time: twice what a
	// search for one name does, which is content with the first.
	maxLookups = 4
)

// Server is one address of a zone's servers, or a name server without one.
type Server struct {
	Addr      netip.AddrPort // zero: the name server has no address
	Names     []dnsname.Name // that have the address
	InParent  bool           // the delegation names one of them
	InZone    bool           // the zone itself names one of them
	Glue      bool           // the address came with the delegation
	OwnAddr   bool           // the address was looked up
	Err       error          // why it is not asked; nil: it is
	forwarder *slist.Server  // of a route, given by address; nil: of no route
}

// named is a name server and who names it.
type named struct {
	name             dnsname.Name
	inParent, inZone bool
	glue             []netip.Addr
	addrs            []netip.Addr
	err              error
}

// namesOf returns the name servers of a zone by its parent and by itself, each once, and how many
// are left out.
func (z *Zone) namesOf() (all []named, omitted int) {
	if z.Delegation != nil {
		for _, s := range z.Delegation.Servers {
			all = append(all, named{name: s.Name, inParent: true, glue: s.Addrs})
		}
	}
	if z.NS != nil {
		for rdata := range z.NS.Records.All() {
			target, ok := wire.TargetName(dns.TypeNS, rdata)
			if !ok {
				continue
			}
			if i := slices.IndexFunc(all, func(n named) bool { return n.name == target }); i >= 0 {
				all[i].inZone = true
				continue
			}
			all = append(all, named{name: target, inZone: true})
		}
	}
	most := min(len(all), MaxNames)
	return all[:most], len(all) - most
}

// lookUp finds the addresses of name servers, a few at a time. Names in the zone itself have only
// their glue if the zone does not answer.
func (c *Checker) lookUp(ctx context.Context, st *iterate.QueryState, z *Zone, all []named) {
	slots := make(chan struct{}, maxLookups)
	var ended sync.WaitGroup
	for i := range all {
		n := &all[i]
		if n.name.IsAtOrBelow(z.Apex) && z.Problem != nil && len(n.glue) > 0 {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			n.err = context.Cause(ctx)
			continue
		}
		ended.Add(1)
		c.Spawn(func() {
			defer ended.Done()
			defer func() { <-slots }()
			defer rescue.Into(&n.err)
			n.err = rescue.ErrAborted
			q := answer.Question{Name: n.name, Type: dns.TypeA}
			n.addrs, n.err = c.iterate.ServerAddrs(ctx, st.Beside(q, cache.Unchecked, nil), n.name)
		})
	}
	ended.Wait()
	for i := range all {
		rescue.Again(all[i].err)
	}
}

// serversOf lists the servers of a zone by address, each once, in the order of their names.
func (c *Checker) serversOf(ctx context.Context, st *iterate.QueryState, z *Zone, cut *routes.ZoneCut) (list []*Server, omitted int) {
	if cut.IsRoute() {
		return c.routed(ctx, st, z, cut), 0
	}
	all, omitted := z.namesOf()
	if len(all) == 0 { // neither side was seen: the servers that the search used
		for _, s := range cut.Servers {
			all = append(all, named{name: s.Name, inParent: true, glue: s.Addrs})
		}
	}
	c.lookUp(ctx, st, z, all)
	for _, n := range all {
		list = c.add(list, cut, n)
	}
	if most := MaxAddrs; len(list) > most {
		list, omitted = list[:most], omitted+len(list)-most
	}
	return list, omitted
}

// add adds the addresses of a name server. Those that may not be asked are listed too.
func (c *Checker) add(list []*Server, cut *routes.ZoneCut, n named) []*Server {
	if len(n.glue)+len(n.addrs) == 0 {
		err := n.err
		if err == nil {
			err = failure.ErrNoServerAddress
		}
		return append(list, &Server{Names: []dnsname.Name{n.name}, InParent: n.inParent, InZone: n.inZone, Err: err})
	}
	taken := 0
	for i, a := range slices.Concat(n.glue, n.addrs) {
		a = a.Unmap()
		at := slices.IndexFunc(list, func(s *Server) bool { return s.Addr.Addr() == a })
		if at < 0 {
			if taken == c.Settings.Limits.AddressesPerServer {
				break
			}
			taken++
			at = len(list)
			s := &Server{Addr: netip.AddrPortFrom(a, c.Settings.Port), Err: c.judge(cut, a)}
			if over := c.routes.TLSServer(cut, n.name, a); over != nil {
				s.Addr, s.forwarder = over.Addr, &slist.Server{Forwarder: over}
			}
			list = append(list, s)
		}
		s := list[at]
		if !slices.Contains(s.Names, n.name) {
			s.Names = append(s.Names, n.name)
		}
		s.InParent, s.InZone = s.InParent || n.inParent, s.InZone || n.inZone
		s.Glue, s.OwnAddr = s.Glue || i < len(n.glue), s.OwnAddr || i >= len(n.glue)
	}
	return list
}

// judge returns why an address may not be asked; nil: it may.
func (c *Checker) judge(cut *routes.ZoneCut, a netip.Addr) error {
	switch {
	case !cut.IsRoute() && !c.servers.MayAsk(cut, a):
		return failure.ErrServerNotAllowed
	case !c.servers.Usable(a):
		return fmt.Errorf("%w: its address family is not used here", failure.ErrServerNotAllowed)
	}
	return nil
}

// routed lists the servers of a route, which are asked in place of those of its zones. The caller has
// chosen them, so that their addresses are not judged.
func (c *Checker) routed(ctx context.Context, st *iterate.QueryState, z *Zone, cut *routes.ZoneCut) (list []*Server) {
	var l slist.List
	c.servers.Fill(&l, c.Settings.Now(), cut, answer.Question{Name: z.Apex, Type: dns.TypeNS}, 1, false, nil)
	for _, to := range l.Addrs[:min(len(l.Addrs), MaxAddrs)] {
		list = append(list, &Server{Addr: to.Addr, Names: []dnsname.Name{to.Name}, InParent: true, forwarder: to})
	}
	var missing []named
	for _, name := range l.Missing[:min(len(l.Missing), MaxNames)] {
		missing = append(missing, named{name: name, inParent: true})
	}
	c.lookUp(ctx, st, z, missing)
	for _, n := range missing {
		list = c.add(list, cut, n)
	}
	return list
}
