package iterate

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/reach"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/upstream"
)

const (
	// silentTries is how many queries over UDP are lost, with no reply at all, before it is tried
	// whether the root servers can be reached over TCP. Three in a row are lost once in a thousand
	// times where every tenth is.
	silentTries = 3
	// alienReplies is the same of replies that are no root server's. One may be a forgery.
	alienReplies = 2
	// maxRootTCP is how many root servers one question tries over TCP for that. They are among the
	// servers that it may try anyway (slist.MaxTries).
	maxRootTCP = 3
)

// goesOverTCP reports whether a server is asked over TCP, since UDP does not lead to it: that is
// known of the network, or has shown in this search, or seems so of the root servers.
func (z *zoneQuery) goesOverTCP(to *slist.Server) bool {
	to.TCPUnproven = false
	switch {
	case z.cut.Source.Route != nil, to.MustBeTLS(): // inside the network, or the caller's choice
		return false
	case z.st.Budget.OverTCP.Load(), z.r.way() == reach.OverTCP:
	case !z.asksRoot(), z.byTCP >= maxRootTCP, !z.seemsCut(to):
		return false
	case z.forbidden && z.r.way() == reach.Closed: // TCP is silent then, where UDP has failed at once
		return false
	default:
		to.TCPUnproven = true
	}
	z.byTCP++
	return true
}

// seemsCut reports whether the root servers seem not to be reached over UDP. A server that is marked
// down has been silent before.
func (z *zoneQuery) seemsCut(to *slist.Server) bool {
	silentTries := silentTries
	if to.Estimate.Dead {
		silentTries = 1
	}
	return z.cutOff || z.alien >= z.aliensNeeded() || !z.responded && z.lost >= silentTries
}

// aliensNeeded is how many replies that are no root server's are needed before TCP is tried. A check of
// the network collects as many as show that it is the network.
func (z *zoneQuery) aliensNeeded() int {
	needed := alienReplies
	if z.st.checking {
		needed = reach.AddrsNeeded
	}
	return min(needed, len(z.servers.Addrs))
}

// noteReach takes in what an exchange shows about the network.
func (z *zoneQuery) noteReach(now time.Time, o *upstream.Result) {
	known, overTCP := &z.r.Network, o.Server.OverTCP
	if z.cut.Source.Route != nil || o.Unsent {
		return
	}
	if o.Server.MustBeTLS() { // which says nothing about port 53
		if z.asksRoot() && o.Reply != nil && z.r.upstream.IsRootServers(o.Reply, z.q) {
			known.ReachedOverTLS(now)
		}
		return
	}
	// This host's own filter may let TCP through, as that of a network may.
	forbidden := !overTCP && upstream.IsForbidden(o.Err)
	silent := !o.Heard && !overTCP && (o.TimedOut || forbidden)
	if silent {
		z.lost++
	}
	z.forbidden, z.spoilt = z.forbidden || forbidden, z.spoilt || o.UDPSpoilt
	if !z.asksRoot() {
		z.noteOthers(o)
		return
	}
	of := len(z.servers.Addrs)
	switch {
	case silent:
		known.FailedUDP(now, o.Server.Addr, of, z.q, false)
	case o.Reply == nil && overTCP && !o.Heard && !upstream.IsNoRoute(o.Err) && !failure.Of(o.Err).Has(failure.OwnMeans):
		known.FailedTCP(now, o.Server.Addr, of, z.q)
		if z.mayFallBack() { // one question alone cannot show it, and would take all its time to try
			z.r.checkNetwork()
		}
	case o.Reply == nil:
	case o.Stripped:
		z.cut.Source.Infra.SetLame(now, o.Server.Addr, z.cut.Zone) // so that the next question shows whether others are too
		known.FailedUDP(now, o.Server.Addr, of, z.q, true)
		known.Reached(now, true)
	case !z.r.upstream.IsRootServers(o.Reply, z.q):
		switch {
		case o.Network == "udp":
			z.alien++
			known.FailedUDP(now, o.Server.Addr, of, z.q, true)
		case o.Reply.AA: // such an answer settles the question, and is bogus; others leave it to the next server
			known.AlienTCP(now, o.Server.Addr, of, z.q)
		}
	case o.Network == "udp", overTCP:
		known.Reached(now, overTCP)
	}
}

// noteOthers takes in what servers other than the root's show. Where several are silent, or something
// recurses in their place, the root servers show whether that is the network.
func (z *zoneQuery) noteOthers(o *upstream.Result) {
	if o.Reply != nil && !o.Server.OverTCP && (o.Reply.Kind == answer.KindRecursive || o.Reply.Kind == answer.KindLame) {
		z.foreign++
	}
	switch {
	case o.Server.OverTCP:
	case o.Reply != nil && o.Reply.Kind == answer.KindRecursive, !z.responded && z.lost == silentTries && o.TimedOut && len(z.tried) > 1:
		z.r.checkNetwork()
	case o.Heard:
		z.r.Network.Heard()
	}
}

// isClosed reports whether the root servers have turned out meanwhile not to be reached from here, so that
// the fallback is asked rather than more of them.
func (z *zoneQuery) isClosed() bool {
	return z.asksRoot() && (z.st.priming || z.mayFallBack()) && z.r.way() == reach.Closed && z.r.routes.CurrentRoutes().Fallback != nil
}

// mayFallBack reports whether this is asked for a question that has a fallback.
func (z *zoneQuery) mayFallBack() bool { return z.r.hasFallback(&z.st, z.st.Q) }

// asksRoot reports whether the root servers are asked, rather than those of a route for the
// root.
func (z *zoneQuery) asksRoot() bool { return z.cut.Zone.IsRoot() && z.cut.Source.Route == nil }

// noteRecursion counts a refusal by a server that offers recursion: no root server does.
func (z *zoneQuery) noteRecursion(m *upstream.Reply) {
	if z.asksRoot() && m.RA && !m.AA {
		z.intercepted++
	}
}

// bringsKeys reports whether a response has the keys that the validator asked for. They are
// validated by the trust anchor or a DS, whatever server they come from.
func (z *zoneQuery) bringsKeys(m *upstream.Reply) bool {
	return z.st.depth > 0 && z.q.Type == dns.TypeDNSKEY && len(m.Answer) > 0
}

// noteRootFailure takes in that this question failed at all root servers.
func (z *zoneQuery) noteRootFailure(failed failure.Failure) {
	now, known := z.r.Settings.Now(), &z.r.Network
	why := z.rootFailure()
	if why == failure.ErrNoNetwork {
		known.NoRoute(now)
	}
	if z.ownFailure || failed.Is(failure.NoDescriptors) || len(z.tried) == 0 {
		return
	}
	if why != nil || !z.responded && z.areSilent() {
		known.Failed(now, z.q)
	}
}

// way returns how name servers are reached, and tests from time to time whether that still holds.
func (r *Iterator) way() reach.Way {
	now := r.Settings.Now()
	way := r.Network.Way(now)
	if way == reach.Open {
		return way
	}
	if overTCP, due := r.Network.Test(now); due {
		r.Spawn(func() { r.testNetwork(overTCP) })
	}
	return way
}

// The questions that the network is tested with.
var (
	questionNS  = answer.Question{Name: dnsname.Root, Type: dns.TypeNS}
	questionSOA = answer.Question{Name: dnsname.Root, Type: dns.TypeSOA}

	checkQuestions = [...]answer.Question{questionNS, questionSOA}
)

// testNetwork asks one root server, chosen at random, over UDP or TCP.
func (r *Iterator) testNetwork(overTCP bool) {
	reached := false
	defer func() { r.Network.EndTest(r.Settings.Now(), overTCP, reached) }()
	st, cut := r.ofNetwork(questionNS)
	ctx, cancel := context.WithDeadline(r.Base, st.Budget.Deadline)
	defer cancel()
	var servers slist.List
	r.servers.Fill(&servers, r.Settings.Now(), cut, questionNS, 1, true, nil)
	choice := slices.DeleteFunc(slices.Clone(servers.Addrs), (*slist.Server).MustBeTLS)
	if len(choice) == 0 { // no root server is asked at port 53
		choice = servers.Addrs
	}
	if len(choice) == 0 {
		return
	}
	to := choice[servers.Random.IntN(len(choice))]
	to.OverTCP = overTCP
	if to.MustBeTLS() { // which says nothing about TCP at port 53
		overTCP = false
	}
	o := r.upstream.Exchange(ctx, st.request(cut, questionNS), to, events.ReasonNetwork, make(chan struct{}, 1))
	reached = o.Reply != nil && (overTCP || o.Network == "udp" || to.MustBeTLS()) && r.upstream.IsRootServers(o.Reply, questionNS)
}

// checkNetwork asks the root servers two questions, if they have not answered lately, to find out
// whether it is the network that others do not answer: delegations that are cached would hide that.
// It returns a channel that is closed when the check under way ends; nil when there is none.
func (r *Iterator) checkNetwork() <-chan struct{} {
	r.checkMu.Lock()
	defer r.checkMu.Unlock()
	if r.checking != nil {
		return r.checking
	}
	if !r.Network.MayCheck(r.Settings.Now()) {
		return nil
	}
	done := make(chan struct{})
	r.checking = done
	var left atomic.Int32
	left.Store(int32(len(checkQuestions)))
	for _, q := range checkQuestions {
		r.Spawn(func() {
			defer func() {
				if left.Add(-1) == 0 {
					r.endCheck()
				}
			}()
			st, cut := r.ofNetwork(q)
			st.checking = true
			ctx, cancel := context.WithDeadline(r.Base, st.Budget.Deadline)
			defer cancel()
			_, _ = r.ask(ctx, st, cut, q, askMode{}) // what it shows is noted on the way
		})
	}
	return done
}

func (r *Iterator) endCheck() {
	r.checkMu.Lock()
	defer r.checkMu.Unlock()
	close(r.checking)
	r.checking = nil
}

// awaitCheck waits for the check of the network that is under way or due, and returns how name servers
// are reached then.
func (r *Iterator) awaitCheck(ctx context.Context) reach.Way {
	if done := r.checkNetwork(); done != nil {
		resume := r.Flights.Stagger.Pause()
		select {
		case <-done:
		case <-ctx.Done():
		}
		resume()
	}
	return r.way()
}

// rootOnceMore lets root servers be asked again, over TCP, when all were silent or something else answered
// in their place: of few there may be none left to ask when that is seen, of this question or of those
// beside it.
func (z *zoneQuery) rootOnceMore(ctx context.Context) bool {
	if z.cutOff || !z.asksRoot() || z.byTCP > 0 || ctx.Err() != nil {
		return false
	}
	silent := !z.responded && !z.spoilt && z.areSilent() && (z.lost > 0 || len(z.errs) == 0) // else this host has no route to them, over TCP either
	if !silent && z.alien < z.aliensNeeded() {
		return false
	}
	z.cutOff = true
	z.servers.Again(z.r.Settings.Now())
	return z.send(ctx, events.ReasonNone) || z.awaitProbe()
}

// onceMoreOverTCP lets the servers of a zone be asked again that were all silent, or did not serve the
// zone, when that turns out to be the network's doing. They are asked as often as is left of their
// tries.
func (z *zoneQuery) onceMoreOverTCP(ctx context.Context) bool {
	silent, foreign := !z.responded && z.lost >= silentTries, z.foreign >= min(alienReplies, len(z.servers.Addrs)) && z.foreign > 0
	switch {
	case z.asksRoot(), z.cut.Source.Route != nil, !silent && !foreign, z.byTCP > 0, ctx.Err() != nil:
		return false
	case z.r.awaitCheck(ctx) != reach.OverTCP:
		return false
	}
	z.fallback = nil // it is the network's
	z.servers.Again(z.r.Settings.Now())
	return z.send(ctx, events.ReasonNone)
}

// ofNetwork returns the state of a question to the root servers that no client has asked.
func (r *Iterator) ofNetwork(q answer.Question) (*QueryState, *routes.ZoneCut) {
	st := r.NewQueryState(q, r.trustOfServers())
	st.priming = true
	return st, &routes.ZoneCut{Delegation: r.Settings.RootHints, Source: r.routes.CurrentRoutes().Iteration.Source, Hints: true}
}

// localAddr returns a function that returns the address from which this host asks root servers.
// Nothing is sent: connecting a datagram socket only looks the route up.
func localAddr(hints []netip.AddrPort) func() netip.Addr {
	return func() netip.Addr {
		for _, to := range hints {
			c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
			if err != nil {
				continue
			}
			from, _ := c.LocalAddr().(*net.UDPAddr)
			c.Close()
			return from.AddrPort().Addr().Unmap()
		}
		return netip.Addr{}
	}
}
