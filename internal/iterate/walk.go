package iterate

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/minimise"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/upstream"
)

// walk searches one name from zone cut to zone cut.
type walk struct {
	r         *Iterator
	st        *QueryState
	q         answer.Question
	view      *routes.View // that the answer belongs to
	cut       *routes.ZoneCut
	start     routes.ZoneCut // where cut points to at first
	minimiser minimise.Minimiser

	referrals    []*dnssec.Response // the referrals followed, for validation
	servers      []netip.AddrPort   // servers that have sent a part of it
	firstServers [2]netip.AddrPort  // where servers begins
	writes       []*secondWrite     // their replies, for the second level
	silenceErr   error              // the error that led to one query with the full question; nil: none
}

// walkStart is where a walk may begin, as the look for its answer in the cache has shown. Nil
// says nothing.
type walkStart struct {
	cuts  *cache.View // where it was found
	cut   cache.Cut
	noCut dnsname.Name // as View.NoCut returns it for the cut and the name
}

// walk searches one name at the servers.
func (r *Iterator) walk(ctx context.Context, st *QueryState, q answer.Question, start *walkStart) (*answer.Answer, error) {
	return r.newWalk(st, q, start).run(ctx)
}

// newWalk begins a walk at the deepest zone cut that is known.
func (r *Iterator) newWalk(st *QueryState, q answer.Question, start *walkStart) *walk {
	now := r.Settings.Now()
	v := st.table().ViewOf(now, q)
	if st.validation != nil {
		// Routes and anchors may have changed since: data that the validator of one view
		// lets pass must not be kept in another.
		v = st.validation.view
	}
	w := &walk{r: r, st: st, q: q, view: v, minimiser: r.newMinimiser(v, q)}
	w.cut, w.servers = &w.start, w.firstServers[:0]
	if start != nil && start.cut.Delegation != nil && start.cuts == v.Cuts && !v.Forwards() {
		w.start = knownCut(v, start.cut)
		w.minimiser.Descend(start.noCut)
		return w
	}
	w.start = r.closestCut(now, st, v, q)
	w.continueAt(now, w.cut)
	return w
}

// run is the second loop of RFC 1034 §5.3.3: the delegation changes, until the
// servers of the deepest zone have answered.
func (w *walk) run(ctx context.Context) (*answer.Answer, error) {
	st, q := w.st, w.q
	st.Events.Start(st.WalkRef(), w.cut.Delegation, w.cut.Hints, w.r.localRootAt(st, w.cut) != nil)
	st.validation.addKnown(ctx, w.cut, q.Name)
	if st.validation != nil {
		st.validation.startCut = w.cut.Zone
	}
	for {
		if st.reached != nil {
			*st.reached = *w.cut
		}
		asked := w.minimiser.Next(w.cut.Zone)
		if asked != q && !st.Budget.ChargeMinimised() {
			w.minimiser.GiveUp()
			asked = q
		}
		minimised := w.minimiser.CountQuery(asked)
		m, err := w.ask(ctx, asked, minimised)
		if err != nil {
			if minimised && w.fallBack(err) {
				continue
			}
			return nil, w.failure(err)
		}
		if err := w.mustRefer(asked, m); err != nil {
			return nil, err
		}
		w.silenceErr = nil
		if m.RoundUDP {
			st.Budget.OverTCP.Store(true)
		}
		w.servers = append(w.servers, m.Server.Addr)
		if write := w.r.secondWriteOf(w.view, w.cut, asked, m); write != nil {
			w.writes = append(w.writes, write)
		}
		st.validation.addServers(m.Server.Addr)
		st.validation.noteWithoutEDNS(w.cut, m)
		if minimised {
			a, done, err := w.handleMinimised(ctx, asked, m)
			if done || err != nil {
				return a, err
			}
			continue
		}
		switch m.Kind {
		case answer.KindReferral:
			if err := w.descend(ctx, m); err != nil {
				return nil, err
			}
		case answer.KindAnswer, answer.KindAlias, answer.KindNoData, answer.KindNameError, answer.KindRecursive:
			return w.r.finish(ctx, w, asked, m)
		case answer.KindLame, answer.KindUnusable:
			// ask goes on to the next server by itself and returns neither.
		}
	}
}

// mustRefer returns why a reply is not used from servers above a zone that has to be asked over TLS:
// they may say only where that zone is, and what zone cuts there are above it. Whatever else they say
// of its names came in clear, in the place of its servers.
func (w *walk) mustRefer(asked answer.Question, m *upstream.Reply) error {
	zone, above := w.r.routes.TLSZone(w.cut, routes.SearchedFrom(w.q))
	switch {
	case !above, m.Kind == answer.KindReferral:
		return nil
	case asked != w.q && asked.Name != zone && zone.IsAtOrBelow(asked.Name) && m.Kind != answer.KindNameError:
		return nil // it shows that there is no zone cut
	}
	return &failure.ZoneError{
		Zone: w.cut.Zone, Servers: []netip.AddrPort{m.Server.Addr}, Responded: true,
		Err: fmt.Errorf("%w: the servers of %s do not refer to %s", failure.ErrTLSRequired, w.cut.Zone, zone),
	}
}

// zone is the one whose servers are asked; "" for a forwarder, which answers for all zones.
func (w *walk) zone() dnsname.Name {
	if w.view.Forwards() {
		return ""
	}
	return w.cut.Zone
}

// continueAt continues at a zone cut, with what earlier questions have shown about the names
// below it: the next label to reveal is the first where a zone cut may be (RFC 9156 §3).
func (w *walk) continueAt(now time.Time, cut *routes.ZoneCut) {
	w.cut = cut
	if !w.minimiser.IsOff() && w.st.fresh == nil {
		w.minimiser.Descend(w.view.Cuts.NoCut(now, cut.Zone, w.q.Name))
	}
}

// ask asks the local root and the second level, and if these have no reply, the servers.
func (w *walk) ask(ctx context.Context, asked answer.Question, minimised bool) (*upstream.Reply, error) {
	if m := w.r.askLocalRoot(w.st, w.cut, asked); m != nil {
		return m, nil
	}
	if m := w.r.readSecond(ctx, w.st, w.view, w.cut, asked); m != nil {
		return m, nil
	}
	return w.r.ask(ctx, w.st, w.cut, asked, askMode{minimised: minimised, onlyPlainRetry: w.silenceErr != nil})
}

func (r *Iterator) newMinimiser(v *routes.View, q answer.Question) minimise.Minimiser {
	if r.Settings.Minimise == env.MinimiseOff || v.Forwards() {
		return minimise.Off(q) // a forwarder has to get the full question
	}
	return minimise.New(q, r.Settings.Limits.Minimised)
}

// handleMinimised decides what a response to a minimised query means for the walk.
func (w *walk) handleMinimised(ctx context.Context, asked answer.Question, m *upstream.Reply) (a *answer.Answer, done bool, err error) {
	switch m.Kind {
	case answer.KindReferral:
		return nil, false, w.descend(ctx, m)
	case answer.KindAlias:
		if m.Aliases[0].IsDNAME() {
			return w.followDNAME(ctx, m)
		}
		// A CNAME there says nothing about the names below it.
		w.noCut(asked.Name, replyTTL(m))
	case answer.KindAnswer, answer.KindNoData:
		w.noCut(asked.Name, replyTTL(m))
	case answer.KindNameError:
		return w.deniedAbove(ctx, asked, m)
	case answer.KindRecursive:
		w.minimiser.GiveUp()
	case answer.KindLame, answer.KindUnusable:
	}
	return nil, false, nil
}

// maxNoCuts is for how many names, from the deepest up, one response shows that there is no
// zone cut: the nibbles of an IPv6 address below ip6.arpa, the longest names in use.
const maxNoCuts = 32

// noCut remembers that there is no zone cut at name, nor between it and the zone whose
// servers have answered for it.
func (w *walk) noCut(name dnsname.Name, ttl uint32) {
	w.minimiser.NoCut(name)
	if w.view.Forwards() {
		return // it answers for whatever zone it is
	}
	now := w.r.Settings.Now()
	for range min(name.Labels()-w.cut.Zone.Labels(), maxNoCuts) {
		w.view.Cuts.PutNoCut(now, w.cut.Zone, name, ttl, w.cut.Expires)
		name = name.Parent()
	}
}

// noteNoCuts remembers for which names the response to the full question shows that there is
// no zone cut. One about DS does not show it for the name itself, and a name that does not
// exist is not worth an entry.
func (w *walk) noteNoCuts(a *answer.Answer) {
	name := a.Q.Name
	switch {
	case len(a.Aliases) > 0 && a.Aliases[0].IsDNAME():
		name = a.Aliases[0].Set.Owner
	case a.Q.Type == dns.TypeDS || a.Kind == answer.KindNameError:
		name = name.Parent()
	}
	w.noCut(name, a.TTL)
}

// deniedAbove decides what it means that an ancestor of the name does not exist. When that
// is proven, or believed, neither does the name. But servers get empty non-terminals wrong
// (RFC 8020 §4, RFC 9156 §2.3), so otherwise the full name is asked for.
func (w *walk) deniedAbove(ctx context.Context, asked answer.Question, m *upstream.Reply) (*answer.Answer, bool, error) {
	strict := w.r.Settings.Minimise == env.MinimiseStrict
	if strict || w.st.validation != nil {
		f, err := w.r.judge(ctx, w, asked, m)
		switch {
		case err != nil && strict:
			return nil, true, err
		case err == nil && (strict || f.Status == dnssec.Secure && f.Kind == answer.KindNameError && !f.compact):
			w.r.keep(w, &f, m)
			return f.NothingBelow(w.q), true, nil
		}
	}
	w.minimiser.GiveUp()
	return nil, false, nil
}

// followDNAME follows a DNAME above the name asked for, which redirects the full name too.
func (w *walk) followDNAME(ctx context.Context, m *upstream.Reply) (*answer.Answer, bool, error) {
	step, ok := scrub.Redirect(w.q.Name, m.Aliases[0].Set)
	if !ok {
		w.minimiser.GiveUp()
		return nil, false, nil
	}
	whole := *m
	whole.Aliases = []scrub.Alias{step}
	a, err := w.r.finish(ctx, w, w.q, &whole)
	return a, true, err
}

// fallBack makes the walk ask for the full name after servers have answered a minimised
// query with an error: some only know the usual questions (RFC 9156 §2.3). Where all were
// silent, one of them is asked, by the plain retry.
func (w *walk) fallBack(err error) bool {
	f := failure.Of(err)
	if w.r.Settings.Minimise == env.MinimiseStrict || f.IsOfLeader() || f.Zone == nil {
		return false
	}
	if !f.Zone.Responded {
		if len(f.Zone.Servers) == 0 || !w.st.mayRetryPlain() {
			return false
		}
		w.silenceErr = err
	}
	w.minimiser.GiveUp()
	return true
}

// failure is why the walk ends: after a plain retry in vain, what made it necessary.
func (w *walk) failure(err error) error {
	if w.silenceErr != nil && !failure.Of(err).IsOfLeader() {
		return w.silenceErr
	}
	return err
}

// descend continues at the zone that m refers to. The delegation is leased from the parent,
// and for no longer than the parent's own lease.
func (w *walk) descend(ctx context.Context, m *upstream.Reply) error {
	if err := w.st.Budget.ChargeReferral(); err != nil {
		return err
	}
	now := w.r.Settings.Now()
	delegation, meta := m.Delegation, cache.Meta{Rank: cache.RankReferral, NotAfter: w.cut.Expires, Vouched: m.Vouched}
	if kept := w.view.Cuts.PutCut(now, delegation, meta); kept != nil {
		delegation = kept // what is learnt about the zone belongs to the delegation that is cached
	}
	from := w.cut
	w.st.fresh.noteCut(m.Delegation.Zone)
	w.st.validation.addReferral(ctx, from, m, w.q.Name)
	w.referrals = append(w.referrals, referralResponse(from, m))
	w.continueAt(now, &routes.ZoneCut{
		Delegation: delegation, Source: from.Source, Expires: earliest(from.Expires, now.Add(m.Delegation.TTL)), Signed: m.DS != nil,
	})
	w.r.secondLevel.noteCut(w.cut, m.FromSecond)
	w.st.Events.Referral(w.st.WalkRef(), from.Zone, m.Delegation, m.DS, m.FromLocalRoot)
	return nil
}

// earliest returns the earlier of two times, where the zero time means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// closestCut returns the deepest zone cut known on the way to the zone that has the answer
// to q (RFC 1034 §5.3.3 step 2), or the root hints. In a route there are no zone cuts above
// its servers, and none below when these are recursive.
func (r *Iterator) closestCut(now time.Time, st *QueryState, v *routes.View, q answer.Question) routes.ZoneCut {
	if v.Forwards() {
		return routes.ZoneCut{Delegation: v.Route.Cut, Source: v.Source}
	}
	from := routes.SearchedFrom(q)
	if st.startAbove != "" {
		from = st.startAbove.Parent()
	}
	cut, ok := v.Cuts.GetCut(now, from)
	for ok && (st.Prefetching && endsSoon(now, cut) || !st.fresh.hasCut(cut.Zone)) && !cut.Zone.IsRoot() {
		cut, ok = v.Cuts.GetCut(now, cut.Zone.Parent())
	}
	if ok && !(st.Prefetching && endsSoon(now, cut)) {
		return knownCut(v, cut)
	}
	if v.Route != nil {
		return routes.ZoneCut{Delegation: v.Route.Cut, Source: v.Source}
	}
	if r.LocalRoot.Zone() == nil { // which knows the root's servers, and is asked in their place
		r.prime()
	}
	return routes.ZoneCut{Delegation: r.Settings.RootHints, Source: v.Source, Hints: true}
}

// knownCut is the zone cut at a delegation of the cache.
func knownCut(v *routes.View, cut cache.Cut) routes.ZoneCut {
	return routes.ZoneCut{Delegation: cut.Delegation, Source: v.Source, Expires: cut.Expires, ApexNS: cut.Own}
}

// endsSoon reports whether a delegation is in the last tenth of its life too. A prefetch
// then starts further up: nothing lives longer than the delegation that it came through,
// and would otherwise have to be fetched more and more often until everything expires
// together.
func endsSoon(now time.Time, cut cache.Cut) bool {
	const share = 10
	return cut.Expires.Sub(now)*share <= min(cut.TTL, answer.MaxTTL*time.Second)
}
