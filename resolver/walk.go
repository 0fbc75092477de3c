package resolver

import (
	"context"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// walk searches one name from zone cut to zone cut.
type walk struct {
	r         *iterator
	st        *queryState
	q         question
	view      *view // that the answer belongs to
	cut       *zoneCut
	minimiser minimiser

	referrals  []*dnssec.Response // the referrals followed, for validation
	servers    []netip.AddrPort   // servers that have sent a part of it
	writes     []*secondWrite     // their replies, for the second level
	silenceErr error              // the error that led to one query with the full question; nil: none
}

// walk searches one name at the servers.
func (r *iterator) walk(ctx context.Context, st *queryState, q question) (*answer, error) {
	return r.newWalk(st, q).run(ctx)
}

// newWalk begins a walk at the deepest zone cut that is known.
func (r *iterator) newWalk(st *queryState, q question) *walk {
	now := r.settings.Now()
	v := r.routes.viewOf(now, q)
	if st.validation != nil {
		// Routes and anchors may have changed since: data that the validator of one view
		// lets pass must not be kept in another.
		v = st.validation.view
	}
	w := &walk{r: r, st: st, q: q, view: v, minimiser: r.newMinimiser(v, q)}
	w.continueAt(now, r.closestCut(now, st, v, q))
	return w
}

// run is the second loop of RFC 1034 §5.3.3: the delegation changes, until the
// servers of the deepest zone have answered.
func (w *walk) run(ctx context.Context) (*answer, error) {
	st, q := w.st, w.q
	st.events.Start(st.walkRef(), w.cut.Delegation, w.cut.hints)
	st.validation.addKnown(ctx, w.cut, q.name)
	if st.validation != nil {
		st.validation.startCut = w.cut.Zone
	}
	for {
		asked := w.minimiser.next(w.cut.Zone)
		if asked != q && !st.budget.mayMinimise() {
			w.minimiser.giveUp()
			asked = q
		}
		minimised := w.minimiser.countQuery(asked)
		m, err := w.ask(ctx, w.queryState(minimised), asked)
		if err != nil {
			if minimised && w.fallBack(err) {
				continue
			}
			return nil, w.failure(err)
		}
		w.silenceErr = nil
		w.servers = append(w.servers, m.server.addr)
		w.writes = append(w.writes, w.r.secondWriteOf(w.view, w.cut, asked, m))
		st.validation.addServers(m.server.addr)
		st.validation.noteWithoutEDNS(w.cut, m)
		if minimised {
			a, done, err := w.handleMinimised(ctx, asked, m)
			if done || err != nil {
				return a, err
			}
			continue
		}
		switch m.kind {
		case kindReferral:
			if err := w.descend(ctx, m); err != nil {
				return nil, err
			}
		case kindAnswer, kindAlias, kindNoData, kindNameError, kindRecursive:
			return w.r.finish(ctx, w, asked, m)
		case kindLame, kindUnusable:
			// ask goes on to the next server by itself and returns neither.
		}
	}
}

// zone is the one whose servers are asked; "" for a forwarder, which answers for all zones.
func (w *walk) zone() dnsname.Name {
	if w.view.forwards() {
		return ""
	}
	return w.cut.Zone
}

// continueAt continues at a zone cut, with what earlier questions have shown about the names
// below it: the next label to reveal is the first where a zone cut may be (RFC 9156 §3).
func (w *walk) continueAt(now time.Time, cut *zoneCut) {
	w.cut = cut
	if !w.minimiser.off {
		w.minimiser.noCutLabels = w.view.cuts.NoCut(now, cut.Zone, w.q.name).Labels()
	}
}

// ask asks the second level, and if that has no reply, the servers.
func (w *walk) ask(ctx context.Context, st *queryState, asked question) (*reply, error) {
	if m := w.r.readSecond(ctx, st, w.view, w.cut, asked); m != nil {
		return m, nil
	}
	return w.r.ask(ctx, st, w.cut, asked)
}

func (r *iterator) newMinimiser(v *view, q question) minimiser {
	// With type DS the zone cut at the last label is not crossed, so that revealing it
	// early reveals nothing more. A forwarder has to get the full question anyway.
	return minimiser{question: q, limit: r.settings.Limits.Minimised, off: r.settings.Minimise == minimiseOff || v.forwards()}
}

// handleMinimised decides what a response to a minimised query means for the walk.
func (w *walk) handleMinimised(ctx context.Context, asked question, m *reply) (a *answer, done bool, err error) {
	switch m.kind {
	case kindReferral:
		return nil, false, w.descend(ctx, m)
	case kindAlias:
		if m.Aliases[0].IsDNAME() {
			return w.followDNAME(ctx, m)
		}
		// A CNAME there says nothing about the names below it.
		w.noCut(asked.name, replyTTL(m))
	case kindAnswer, kindNoData:
		w.noCut(asked.name, replyTTL(m))
	case kindNameError:
		return w.deniedAbove(ctx, asked, m)
	case kindRecursive:
		w.minimiser.giveUp()
	case kindLame, kindUnusable:
	}
	return nil, false, nil
}

// maxNoCuts is for how many names, from the deepest up, one response shows that there is no
// zone cut: the nibbles of an IPv6 address below ip6.arpa, the longest names in use.
const maxNoCuts = 32

// noCut remembers that there is no zone cut at name, nor between it and the zone whose
// servers have answered for it.
func (w *walk) noCut(name dnsname.Name, ttl uint32) {
	w.minimiser.noCut(name)
	if w.view.forwards() {
		return // it answers for whatever zone it is
	}
	now := w.r.settings.Now()
	for range min(name.Labels()-w.cut.Zone.Labels(), maxNoCuts) {
		w.view.cuts.PutNoCut(now, w.cut.Zone, name, ttl, w.cut.expires)
		name = name.Parent()
	}
}

// noteNoCuts remembers for which names the response to the full question shows that there is
// no zone cut. One about DS does not show it for the name itself, and a name that does not
// exist is not worth an entry.
func (w *walk) noteNoCuts(a *answer) {
	name := a.q.name
	switch {
	case len(a.aliases) > 0 && a.aliases[0].IsDNAME():
		name = a.aliases[0].Set.Owner
	case a.q.rrtype == dns.TypeDS || a.kind == kindNameError:
		name = name.Parent()
	}
	w.noCut(name, a.ttl)
}

// deniedAbove decides what it means that an ancestor of the name does not exist. When that
// is proven, or believed, neither does the name. But servers get empty non-terminals wrong
// (RFC 8020 §4, RFC 9156 §2.3), so otherwise the full name is asked for.
func (w *walk) deniedAbove(ctx context.Context, asked question, m *reply) (*answer, bool, error) {
	strict := w.r.settings.Minimise == minimiseStrict
	if strict || w.st.validation != nil {
		f, err := w.r.judge(ctx, w, asked, m)
		switch {
		case err != nil && strict:
			return nil, true, err
		case err == nil && (strict || f.status == dnssec.Secure && f.kind == kindNameError && !f.compact):
			w.r.keep(w, &f, m)
			return f.nothingBelow(w.q), true, nil
		}
	}
	w.minimiser.giveUp()
	return nil, false, nil
}

// followDNAME follows a DNAME above the name asked for, which redirects the full name too.
func (w *walk) followDNAME(ctx context.Context, m *reply) (*answer, bool, error) {
	step, ok := scrub.Redirect(w.q.name, m.Aliases[0].Set)
	if !ok {
		w.minimiser.giveUp()
		return nil, false, nil
	}
	whole := *m
	scrubbed := *m.Reply
	scrubbed.Aliases = []scrub.Alias{step}
	whole.Reply = &scrubbed
	a, err := w.r.finish(ctx, w, w.q, &whole)
	return a, true, err
}

// fallBack makes the walk ask for the full name after servers have answered a minimised
// query with an error: some only know the usual questions (RFC 9156 §2.3). Where all were
// silent, one of them is asked, by the plain retry.
func (w *walk) fallBack(err error) bool {
	f := failureOf(err)
	if w.r.settings.Minimise == minimiseStrict || f.isOfLeader() || f.zone == nil {
		return false
	}
	if !f.zone.responded {
		if len(f.zone.servers) == 0 || !w.st.mayRetryPlain() {
			return false
		}
		w.silenceErr = err
	}
	w.minimiser.giveUp()
	return true
}

// queryState returns the state for a query to a zone's servers, which may be minimised.
func (w *walk) queryState(minimised bool) *queryState {
	st := w.st.withMinimised(minimised)
	st.onlyPlainRetry = w.silenceErr != nil
	return st
}

// failure is why the walk ends: after a plain retry in vain, what made it necessary.
func (w *walk) failure(err error) error {
	if w.silenceErr != nil && !failureOf(err).isOfLeader() {
		return w.silenceErr
	}
	return err
}

// descend continues at the zone that m refers to. The delegation is leased from the parent,
// and for no longer than the parent's own lease.
func (w *walk) descend(ctx context.Context, m *reply) error {
	if err := w.st.budget.referral(); err != nil {
		return err
	}
	now := w.r.settings.Now()
	delegation, meta := m.delegation, cache.Meta{Rank: cache.RankReferral, NotAfter: w.cut.expires, Vouched: m.vouched}
	if kept := w.view.cuts.PutCut(now, delegation, meta); kept != nil {
		delegation = kept // what is learnt about the zone belongs to the delegation that is cached
	}
	from := w.cut
	w.st.validation.addReferral(ctx, from, m, w.q.name)
	w.referrals = append(w.referrals, referralResponse(from, m))
	w.continueAt(now, &zoneCut{
		Delegation: delegation, source: from.source, expires: earliest(from.expires, now.Add(m.delegation.TTL)), signed: m.DS != nil,
	})
	w.r.secondLevel.noteCut(w.cut, m.fromSecond)
	w.st.events.Referral(w.st.walkRef(), from.Zone, m.delegation, m.DS)
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
func (r *iterator) closestCut(now time.Time, st *queryState, v *view, q question) *zoneCut {
	if v.forwards() {
		return &zoneCut{Delegation: v.route.cut, source: v.source}
	}
	from := searchedFrom(q)
	if st.startAbove != "" {
		from = st.startAbove.Parent()
	}
	cut, ok := v.cuts.GetCut(now, from)
	for ok && st.prefetching && endsSoon(now, cut) && !cut.Zone.IsRoot() {
		cut, ok = v.cuts.GetCut(now, cut.Zone.Parent())
	}
	if ok && !(st.prefetching && endsSoon(now, cut)) {
		return &zoneCut{Delegation: cut.Delegation, source: v.source, expires: cut.Expires, apexNS: cut.Own}
	}
	if v.route != nil {
		return &zoneCut{Delegation: v.route.cut, source: v.source}
	}
	r.prime()
	return &zoneCut{Delegation: r.settings.RootHints, source: v.source, hints: true}
}

// endsSoon reports whether a delegation is in the last tenth of its life too. A prefetch
// then starts further up: nothing lives longer than the delegation that it came through,
// and would otherwise have to be fetched more and more often until everything expires
// together.
func endsSoon(now time.Time, cut cache.Cut) bool {
	const share = 10
	return cut.Expires.Sub(now)*share <= min(cut.TTL, maxTTL*time.Second)
}

// oneLabelSteps is how many labels are revealed one at a time before the steps become
// larger. RFC 9156 §2.3: MINIMISE_ONE_LAB.
const oneLabelSteps = 4

// minimiser decides how much of a name the servers of a zone are asked for. RFC 9156.
type minimiser struct {
	question    question
	limit       int // queries that may be minimised
	count       int // so far
	noCutLabels int // labels of the deepest name on the way that is known to be no zone cut
	off         bool
}

// next returns the question for the servers of zone: the name with at least one more label
// than the zone and than the deepest name known to be no zone cut, and type A, which
// middleboxes handle (RFC 9156 §2.1); or the full question when that is all that is left to
// reveal.
func (m *minimiser) next(zone dnsname.Name) question {
	all := m.question.name.Labels()
	base := max(zone.Labels(), m.noCutLabels)
	if m.off || m.count >= m.limit || base >= all {
		return m.question
	}
	labels := base + m.labelsToAdd(all-base)
	if labels >= all {
		return m.question
	}
	return question{m.question.name.Ancestor(labels), dns.TypeA}
}

// labelsToAdd is how many labels to add when remaining are left. The first few steps are one label
// each; after that the remaining labels are divided among the queries left, so that these
// suffice.
func (m *minimiser) labelsToAdd(remaining int) int {
	if m.count < oneLabelSteps {
		return 1
	}
	left := m.limit - m.count
	return max(1, (remaining+left-1)/left)
}

// countQuery records that q has been sent, and reports whether it was minimised.
func (m *minimiser) countQuery(q question) bool {
	if q == m.question {
		return false
	}
	m.count++
	return true
}

// noCut records that there is no zone cut at name.
func (m *minimiser) noCut(name dnsname.Name) { m.noCutLabels = max(m.noCutLabels, name.Labels()) }

// giveUp makes all further queries ask the full question.
func (m *minimiser) giveUp() { m.off = true }
