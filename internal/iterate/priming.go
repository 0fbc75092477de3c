package iterate

import (
	"context"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/localroot"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/upstream"
	"github.com/iterdns/iterdns/internal/wire"
)

// prime asks the root servers for the root's NS records (RFC 9609). It runs beside the
// question that found no root zone in the cache, which starts from the hints meanwhile:
// waiting would only delay the first answer. When it fails, the hints stay in use, and the
// next walk from the root tries again.
func (r *Iterator) prime() {
	if r.priming.Swap(true) {
		return
	}
	r.Spawn(func() {
		defer r.priming.Store(false)
		r.primeOnce()
	})
}

func (r *Iterator) primeOnce() {
	q := answer.Question{Name: dnsname.Root, Type: dns.TypeNS}
	now := r.Settings.Now()
	v := r.routes.CurrentRoutes().Iteration
	if _, failed := v.Cache.GetFailure(now, q.Name, q.Type, r.trustOfServers()); failed {
		return
	}
	st := r.NewQueryState(q, r.trustOfServers())
	st.priming = true
	ctx, cancel := context.WithDeadline(r.Base, st.Budget.Deadline)
	defer cancel()
	hints := &routes.ZoneCut{Delegation: r.Settings.RootHints, Source: v.Source, Hints: true}
	m, err := r.ask(ctx, st, hints, q, askMode{})
	if err == nil && m.Kind != answer.KindAnswer {
		err = failure.ErrNoReachableServer
	}
	if err != nil {
		r.keepFailure(v, st, q, err)
		return
	}
	root := r.rootOf(m, hints)
	r.completeRoot(ctx, st, root)
	if len(root.Servers) == 0 {
		r.keepFailure(v, st, q, failure.ErrNoServerAddress)
		return
	}
	v.Cuts.PutCut(r.Settings.Now(), root, cache.Meta{Rank: cache.RankAnswer})
}

// completeRoot looks up, from the hints, the addresses that neither the response nor the
// hints have (RFC 9609 §4.3), and leaves out servers without any.
func (r *Iterator) completeRoot(ctx context.Context, st *QueryState, root *glue.Delegation) {
	reachable := root.Servers[:0]
	for _, s := range root.Servers {
		for _, rrtype := range r.servers.AddressTypes() {
			if len(s.Addrs) == 0 {
				s.Addrs = r.lookUpAddrs(ctx, st, s.Name, rrtype).addrs
			}
		}
		if len(s.Addrs) > 0 {
			reachable = append(reachable, s)
		}
	}
	root.Servers = reachable
}

// rootOf returns the root's delegation from a priming response. Servers whose addresses did
// not fit into it (RFC 9609 §4.2), or may not be asked, keep those of the hints: this
// delegation replaces the hints for as long as the response's TTL.
func (r *Iterator) rootOf(m *upstream.Reply, hints *routes.ZoneCut) *glue.Delegation {
	set := m.Answer[0]
	referral := glue.Referral{Zone: dnsname.Root, Name: dnsname.Root}
	for rdata := range set.Records.All() {
		if target, ok := wire.TargetName(dns.TypeNS, rdata); ok {
			referral.NS = append(referral.NS, glue.NS{Owner: dnsname.Root, Target: target, TTL: set.TTL})
		}
	}
	referral.Addresses = slices.DeleteFunc(additionalAddresses(m.Wire), func(a glue.Address) bool { return !r.servers.MayAsk(hints, a.Addr) })
	root := referral.Apex()
	for i, s := range root.Servers {
		if known, ok := hints.Server(s.Name); ok && !slices.ContainsFunc(s.Addrs, r.servers.Usable) {
			root.Servers[i].Addrs = append(s.Addrs, known.Addrs...)
		}
	}
	return root
}

// additionalAddresses returns the address records of a message's additional section.
func additionalAddresses(message []byte) []glue.Address {
	m, err := wire.Parse(message)
	if err != nil {
		return nil
	}
	var addrs []glue.Address
	for _, rec := range m.Additional {
		if rec.Type != dns.TypeA && rec.Type != dns.TypeAAAA || rec.Class != dns.ClassINET {
			continue
		}
		rdata, err := m.AppendRData(nil, rec)
		if err != nil {
			continue
		}
		if a, ok := wire.Addr(string(rdata)); ok {
			addrs = append(addrs, glue.Address{Owner: rec.Owner, Addr: a, TTL: rec.TTL})
		}
	}
	return addrs
}

// localRootAddr stands for the local root where servers are told apart: when data that came from
// it turns out bogus, as that of a copy which has been overtaken by a change of keys, it is avoided
// like any server, and the root servers are asked.
var localRootAddr netip.AddrPort

// localRootAt returns the copy of the root zone that replies for the servers of a zone cut (RFC
// 8806); nil when these are asked: at other zones, and in routes, whose root may be another.
func (r *Iterator) localRootAt(st *QueryState, cut *routes.ZoneCut) *localroot.Zone {
	if !cut.Zone.IsRoot() || cut.Source.Route != nil || st.avoidServers[localRootAddr] {
		return nil
	}
	return r.LocalRoot.Zone()
}

// askLocalRoot returns the reply to q of the local root; nil when the servers are to be asked. It
// takes the steps of a reply from the network.
func (r *Iterator) askLocalRoot(st *QueryState, cut *routes.ZoneCut, q answer.Question) *upstream.Reply {
	zone := r.localRootAt(st, cut)
	if zone == nil {
		return nil
	}
	msg := zone.Reply(q.Name, q.Type)
	if msg == nil {
		return nil
	}
	m, err := wire.Parse(msg)
	if err != nil {
		return nil
	}
	out := r.upstream.ReadResponse(m, cut, q, msg, &slist.Server{Addr: localRootAddr})
	if out.Err != nil || !out.Reply.Kind.Final() {
		return nil
	}
	reply := out.Reply
	reply.FromLocalRoot, reply.Vouched, reply.SecondWritten = true, true, nil
	r.LocalRoot.Counts.Replies.Add(1)
	st.Events.LocalRoot(st.WalkRef(), events.LocalRoot{
		Asked: q, Kind: reply.Kind.String(), Rcode: reply.Rcode, Serial: zone.Serial, Message: msg,
	})
	return reply
}
