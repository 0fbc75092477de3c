package iterate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/keycache"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/upstream"
)

// maxValidationRounds is how often the validator may ask for more about one response. Each
// round goes at least one zone further down; there are at most 40 referrals.
const maxValidationRounds = 48

// validation is what the validation of one search needs: the evidence gathered on the way, and
// the keys and DS records being fetched beside the walk. Only the search's own goroutine
// uses it.
type validation struct {
	r                *Iterator
	st               *QueryState
	view             *routes.View // whose validator is used
	keyCache         keycache.View
	known            keycache.Known // what of the evidence the key cache has or had
	evidence         *dnssec.Evidence
	pending          map[answer.Question]dnssec.Need      // nil until something is fetched
	fetched          chan fetched                         // likewise
	servers          []netip.AddrPort                     // servers that sent the evidence, each once
	askedWithoutEDNS []unsignedServer                     // those that were asked without EDNS
	sentBy           map[answer.Question][]netip.AddrPort // the servers that sent the keys and DS records, or denied them
	startCut         dnsname.Name                         // the zone cut that the walk began at
	writes           []*secondWrite                       // what was fetched, for the second level
	ownFailure       error                                // why something was not fetched, if it was the question's own limit or a panic
}

// fetched is what came of fetching keys or a DS.
type fetched struct {
	q         answer.Question
	responses []*dnssec.Response
	servers   []netip.AddrPort
	writes    []*secondWrite
	err       error
}

// newValidation begins the validation of a search; nil when it is not to be validated.
func (r *Iterator) newValidation(st *QueryState, q answer.Question) *validation {
	now, rt := r.Settings.Now(), st.table()
	v := rt.ViewOf(now, q)
	if v.Validator == nil || st.Trust == cache.Unchecked {
		return nil
	}
	evidence := v.Validator.Evidence(now, r.Settings.SignatureTime(), st.Budget.Work())
	evidence.Remember(r.upstream.KeyCache.Signatures())
	return &validation{
		r: r, st: st, view: v, keyCache: r.upstream.KeyCache.DividedBy(rt),
		evidence: evidence,
	}
}

// addKnown adds to the evidence what is known of the zones above name, and of the cut that a
// walk starts at.
func (val *validation) addKnown(ctx context.Context, cut *routes.ZoneCut, name dnsname.Name) {
	if val == nil {
		return
	}
	known := name
	if val.st.fresh != nil {
		known = name.Ancestor(min(1, name.Labels()))
	}
	val.keyCache.Load(val.r.Settings.Now(), known, val.evidence, &val.known)
	if !cut.Source.Forwards() { // a route may begin anywhere in a zone
		val.evidence.AddCut(cut.Zone)
	}
	val.fetchAll(ctx, val.evidence.Prefetch(name))
}

// addReferral adds to the evidence the DS records of a referral, or the proof that there are
// none, and begins to fetch the keys that they lead to, beside the next step of the walk.
func (val *validation) addReferral(ctx context.Context, from *routes.ZoneCut, m *upstream.Reply, name dnsname.Name) {
	if val == nil {
		return
	}
	val.evidence.Add(referralResponse(from, m))
	val.noteSenders(answer.Question{Name: m.Delegation.Zone, Type: dns.TypeDS}, m.Server.Addr)
	val.fetchAll(ctx, val.evidence.Prefetch(name))
}

func referralResponse(from *routes.ZoneCut, m *upstream.Reply) *dnssec.Response {
	resp := &dnssec.Response{
		Name: m.Delegation.Zone, Type: dns.TypeDS, Zone: from.Zone, Kind: dnssec.KindReferral, Authority: m.Denial,
	}
	if m.DS != nil {
		resp.Authority = append([]*dnssec.RRset{m.DS}, m.Denial...)
	}
	return resp
}

// fetchAll begins to fetch what the validator needs and is not being fetched yet.
func (val *validation) fetchAll(ctx context.Context, needs []dnssec.Need) {
	for _, need := range needs {
		q := answer.Question{Name: need.Name, Type: need.Type}
		if _, ok := val.pending[q]; ok {
			continue
		}
		if val.pending == nil {
			val.pending, val.fetched = make(map[answer.Question]dnssec.Need), make(chan fetched)
		}
		val.pending[q] = need
		// Data from the second level may be older than the keys: both are fetched from the
		// servers before new keys are asked for.
		doubtful := need.Refresh && len(val.st.secondReads.all()) > 0
		val.r.Spawn(func() {
			f := fetched{q: q, err: rescue.ErrAborted}
			defer func() {
				select {
				case val.fetched <- f:
				case <-ctx.Done():
				}
			}()
			defer rescue.Into(&f.err)
			if doubtful {
				f.err = errRefreshed
				return
			}
			f = val.r.fetch(ctx, val.st, need)
		})
	}
}

// errRefreshed means that keys or a DS have been fetched again a moment ago.
var errRefreshed = errors.New("asked for again a moment ago")

// fetch searches keys or a DS at the servers, not validated.
func (r *Iterator) fetch(ctx context.Context, st *QueryState, need dnssec.Need) fetched {
	q := answer.Question{Name: need.Name, Type: need.Type}
	below := st.forServerAddress(q)
	below.Trust, below.avoidServers, below.needSignatures = cache.Unchecked, st.avoidServers, true
	below.fresh = st.fresh
	below.SecondLevel, below.secondReads = st.SecondLevel, st.secondReads // it is validated as part of that search
	if need.Refresh && !r.keyCache(st).MayRefresh(r.Settings.Now(), q) {
		return fetched{q: q, err: errRefreshed}
	}
	if !need.Refresh && len(st.avoidServers) == 0 && st.fresh.hasFound(q, st.Trust) {
		// What was validated before will do; the rest may be why the last answer was bogus,
		// and is fetched again.
		if a, ok := r.cachedIn(st.table().ViewOf(r.Settings.Now(), q), r.Settings.Now(), st.Trust, q, false); ok {
			return fetched{q: q, responses: []*dnssec.Response{a.Response(need.Zone)}}
		}
	}
	w := r.newWalk(below, q, nil)
	a, err := w.run(ctx)
	if err != nil {
		if resp, from := r.referredDS(ctx, below, q, err); resp != nil {
			return fetched{q: q, responses: []*dnssec.Response{resp}, servers: from}
		}
		return fetched{q: q, err: err}
	}
	zone := w.zone()
	if zone == "" {
		zone = need.Zone
	}
	return fetched{q: q, responses: append(slices.Clip(w.referrals), a.Response(zone)), servers: w.servers, writes: w.writes}
}

// referredDS takes a DS, or the proof that there is none, from a referral, after the
// question for it has failed with cause. Referrals have it too (RFC 4035 §3.1.4), and some
// servers that cannot answer for type DS do refer. The walk got a referral before, but
// questions that are not validated (of a client with CD, or for a name server's address)
// have not kept the DS of it.
func (r *Iterator) referredDS(ctx context.Context, st *QueryState, q answer.Question, cause error) (*dnssec.Response, []netip.AddrPort) {
	f := failure.Of(cause)
	if q.Type != dns.TypeDS || f.IsOfLeader() || f.Zone == nil || !f.Zone.Responded {
		return nil, nil
	}
	now := r.Settings.Now()
	cut := r.closestCut(now, st, st.table().ViewOf(now, q), q)
	m, err := r.ask(ctx, st, &cut, answer.Question{Name: q.Name, Type: dns.TypeA}, askMode{minimised: true})
	if err != nil || m.Kind != answer.KindReferral || m.Delegation.Zone != q.Name {
		return nil, nil
	}
	if m.DS == nil && len(m.Denial) == 0 {
		return nil, nil // it only shows that there is a zone cut: going on would never end
	}
	return referralResponse(&cut, m), []netip.AddrPort{m.Server.Addr}
}

// addServers records a server that sent a part of the evidence.
func (val *validation) addServers(servers ...netip.AddrPort) {
	if val == nil {
		return
	}
	for _, s := range servers {
		if !slices.Contains(val.servers, s) {
			val.servers = append(val.servers, s)
		}
	}
}

// noteSenders records the servers that sent keys or a DS, or denied them.
func (val *validation) noteSenders(q answer.Question, servers ...netip.AddrPort) {
	if val.sentBy == nil {
		val.sentBy = make(map[answer.Question][]netip.AddrPort)
	}
	val.sentBy[q] = servers
}

// validate decides the status of a response and how long it may be kept. It waits for what
// the validator still needs.
func (val *validation) validate(ctx context.Context, resp *dnssec.Response) (*dnssec.Verdict, error) {
	// A question that no caller waits for, or that has run out of time, computes no further:
	// what a hostile zone makes it compute takes many times as long as its packets.
	val.evidence.StopWhen(ctx.Err)
	val.r.tellKeys(resp)
	for range maxValidationRounds {
		verdict, needs, err := val.evidence.Validate(resp)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, val.limitOf(err)
		case len(needs) == 0 && verdict.Status == dnssec.Bogus && val.awaitAll(ctx):
			continue // with the whole evidence
		case len(needs) == 0 && verdict.Status == dnssec.Bogus && val.ownFailure != nil:
			return nil, val.ownFailure // it was not the zone's fault that something is missing
		case len(needs) == 0:
			val.r.clock.Passed(val.evidence.SignedAt())
			now := val.r.Settings.Now()
			for _, d := range val.keyCache.Save(now, resp.Name, val.evidence, &val.known) {
				val.r.keepDS(now, val.st.table(), d)
			}
			val.keyCache.EndContradicted(now, resp, verdict)
			val.r.Counts.Judged(verdict)
			return verdict, nil
		}
		val.fetchAll(ctx, needs)
		if err := val.await(ctx, needs); err != nil {
			return nil, err
		}
	}
	return nil, val.st.Budget.Reached.Exceeded(limits.Referrals, maxValidationRounds)
}

// await waits until none of the needs is pending.
func (val *validation) await(ctx context.Context, needs []dnssec.Need) error {
	for _, need := range needs {
		for val.waits(answer.Question{Name: need.Name, Type: need.Type}) {
			select {
			case f := <-val.fetched:
				val.addFetched(f)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// awaitAll waits until nothing is pending, and reports whether it had to and nothing ended
// it. What is being fetched when an answer is found bogus is part of the evidence of that.
func (val *validation) awaitAll(ctx context.Context) bool {
	if len(val.pending) == 0 {
		return false
	}
	return val.await(ctx, slices.Collect(maps.Values(val.pending))) == nil
}

func (val *validation) waits(q answer.Question) bool {
	_, ok := val.pending[q]
	return ok
}

// addFetched adds what was fetched to the evidence.
func (val *validation) addFetched(f fetched) {
	rescue.Again(f.err)
	need := val.pending[f.q]
	delete(val.pending, f.q)
	if f.err != nil {
		val.evidence.Fail(need, f.err)
		if failed := failure.Of(f.err); failed.IsOfLeader() || failed.Is(failure.Aborted) {
			val.ownFailure = f.err
		}
		return
	}
	for _, resp := range f.responses {
		val.r.tellKeys(resp)
		val.evidence.Add(resp)
	}
	val.addServers(f.servers...)
	val.writes = append(val.writes, f.writes...)
	val.noteSenders(f.q, f.servers...)
}

// tellKeys tells of keys, whether they will be found valid or not: a revocation signs for itself (RFC 5011
// §2.1).
func (r *Iterator) tellKeys(resp *dnssec.Response) {
	if r.KeysReceived == nil || resp.Type != dns.TypeDNSKEY {
		return
	}
	for _, set := range resp.Answer {
		if set.Type == dns.TypeDNSKEY {
			r.KeysReceived(set)
		}
	}
}

// tell reports the result of validating a response of the servers of zone.
func (val *validation) tell(v *dnssec.Verdict, zone dnsname.Name) {
	if v.Zone != "" {
		zone = v.Zone
	}
	val.st.Events.Validated(val.st.WalkRef(), zone, v.Status, v.Reason)
}

// limitOf returns the error for a limit of the validator: the field of Limits that set it.
func (val *validation) limitOf(err error) error {
	var limit *dnssec.LimitError
	if errors.As(err, &limit) {
		return fmt.Errorf("%w: %w", val.st.Budget.Reached.Exceeded(limits.OfValidator(limit.Limit), limit.Max), err)
	}
	return err
}

// ChainOf returns the chain of trust of an answer; nil when it cannot be had. The answer is
// validated once more, with the keys proven before, so that the chain holds now and for this
// very answer, whether that was fetched, came from the cache, or was shared with another
// caller. It spends from the budget of the question.
func (r *Iterator) ChainOf(ctx context.Context, st *QueryState, a *answer.Answer) []dnssec.Link {
	st.Begin()
	val := r.newValidation(st, a.Q)
	if val == nil || a.Stale {
		return nil
	}
	// Fetches that are still under way when this returns are useless.
	ctx, cancel := context.WithDeadline(ctx, st.Budget.Deadline)
	defer cancel()
	now := r.Settings.Now()
	val.keyCache.Load(now, a.Q.Name, val.evidence, &val.known)
	for _, step := range a.Aliases {
		val.keyCache.Load(now, step.To, val.evidence, &val.known)
	}
	response := a.Response("") // of several zones, with the aliases
	verdict, err := val.validate(ctx, response)
	if err != nil || verdict.Status != a.Status {
		return nil
	}
	return verdict.Chain(response)
}

// FetchKeys asks the servers of a zone for its DNSKEY RRset, past the cache, and returns it as they
// sent it, with the servers: the caller judges it (RFC 5011 §2.3). Servers to avoid are asked only
// if there are no others, and the local root, which may be days old, only if no root server replies:
// it could hide that a key was revoked.
func (r *Iterator) FetchKeys(ctx context.Context, zone dnsname.Name, avoid map[netip.AddrPort]bool) (*dnssec.RRset, []netip.AddrPort, error) {
	if !zone.IsRoot() || r.LocalRoot.Zone() == nil {
		return r.fetchKeys(ctx, zone, avoid)
	}
	servers := maps.Clone(avoid)
	if servers == nil {
		servers = make(map[netip.AddrPort]bool)
	}
	servers[localRootAddr] = true
	set, from, err := r.fetchKeys(ctx, zone, servers)
	if err != nil && ctx.Err() == nil {
		return r.fetchKeys(ctx, zone, avoid)
	}
	return set, from, err
}

func (r *Iterator) fetchKeys(ctx context.Context, zone dnsname.Name, avoid map[netip.AddrPort]bool) (*dnssec.RRset, []netip.AddrPort, error) {
	q := answer.Question{Name: zone, Type: dns.TypeDNSKEY}
	st := r.NewQueryState(q, cache.Unchecked)
	st.needSignatures, st.avoidServers = true, avoid
	ctx, cancel := context.WithDeadline(ctx, st.Budget.Deadline)
	defer cancel()
	w := r.newWalk(st, q, nil)
	a, err := w.run(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, set := range a.Sets {
		if set.Type == dns.TypeDNSKEY && set.Owner == zone {
			return set, w.servers, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: %s has no keys", failure.ErrNoReachableServer, zone)
}
