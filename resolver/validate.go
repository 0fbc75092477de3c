package resolver

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
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
)

// maxValidationRounds is how often the validator may ask for more about one response. Each
// round goes at least one zone further down; there are at most 40 referrals.
const maxValidationRounds = 48

// proof is what the validation of one search needs: the evidence gathered on the way, and
// the keys and DS records being fetched beside the walk. Only the search's own goroutine
// uses it.
type proof struct {
	r       *Resolver
	st      *step
	view    *view // whose validator is used
	proven  keyCacheView
	ev      *dnssec.Evidence
	pending map[question]dnssec.Need
	arrived chan fetched
	sources map[netip.AddrPort]bool       // servers that sent the evidence
	blind   []unsignedServer              // those that were asked without EDNS
	gave    map[question][]netip.AddrPort // the servers that sent the keys and DS records, or denied them
	started dnsname.Name                  // the zone cut that the walk began at
	writes  []*secondWrite                // what was fetched, for the second level
	spent   error                         // why something was not fetched, if it was the question's own limit or a panic
}

// fetched is what came of fetching keys or a DS.
type fetched struct {
	q         question
	responses []*dnssec.Response
	sources   []netip.AddrPort
	writes    []*secondWrite
	err       error
}

// newProof begins the validation of a search; nil when it is not to be validated.
func (r *Resolver) newProof(st *step, q question) *proof {
	now, rt := r.config.Now(), r.currentRoutes()
	v := rt.viewOf(now, q)
	if v.validator == nil || st.trust == cache.Unchecked {
		return nil
	}
	p := &proof{
		r: r, st: st, view: v, proven: keyCacheView{r.keyCache, rt},
		ev:      v.validator.Evidence(now, r.config.SignatureTime(), st.budget.work),
		pending: make(map[question]dnssec.Need),
		arrived: make(chan fetched),
		sources: make(map[netip.AddrPort]bool),
		gave:    make(map[question][]netip.AddrPort),
	}
	return p
}

// begin adds to the evidence what is known of the zones above name, and of the cut that a
// walk starts at.
func (p *proof) begin(ctx context.Context, cut *zoneCut, name dnsname.Name) {
	if p == nil {
		return
	}
	p.proven.load(p.r.config.Now(), name, p.ev)
	if !cut.source.forwards() { // a route may begin anywhere in a zone
		p.ev.AddCut(cut.Zone)
	}
	p.fetchAll(ctx, p.ev.Prefetch(name))
}

// referred adds to the evidence the DS records of a referral, or the proof that there are
// none, and begins to fetch the keys that they lead to, beside the next step of the walk.
func (p *proof) referred(ctx context.Context, from *zoneCut, m *reply, name dnsname.Name) {
	if p == nil {
		return
	}
	p.ev.Add(referralResponse(from, m))
	p.gave[question{m.delegation.Zone, dns.TypeDS}] = []netip.AddrPort{m.server.addr}
	p.fetchAll(ctx, p.ev.Prefetch(name))
}

func referralResponse(from *zoneCut, m *reply) *dnssec.Response {
	resp := &dnssec.Response{
		Name: m.delegation.Zone, Type: dns.TypeDS, Zone: from.Zone, Kind: dnssec.KindReferral, Authority: m.Denial,
	}
	if m.DS != nil {
		resp.Authority = append([]*dnssec.RRset{m.DS}, m.Denial...)
	}
	return resp
}

// fetchAll begins to fetch what the validator needs and is not being fetched yet.
func (p *proof) fetchAll(ctx context.Context, needs []dnssec.Need) {
	for _, need := range needs {
		q := question{need.Name, need.Type}
		if _, ok := p.pending[q]; ok {
			continue
		}
		p.pending[q] = need
		// Data from the second level may be older than the keys: both are fetched from the
		// servers before new keys are asked for.
		doubtful := need.Refresh && len(p.st.secondReads.all()) > 0
		p.r.spawn(func() {
			f := fetched{q: q, err: rescue.ErrAborted}
			defer func() {
				select {
				case p.arrived <- f:
				case <-ctx.Done():
				}
			}()
			defer rescue.Into(&f.err)
			if doubtful {
				f.err = errRefreshed
				return
			}
			f = p.r.fetch(ctx, p.st, need)
		})
	}
}

// errRefreshed means that keys or a DS have been fetched again a moment ago.
var errRefreshed = errors.New("asked for again a moment ago")

// fetch searches keys or a DS at the servers, not validated.
func (r *Resolver) fetch(ctx context.Context, st *step, need dnssec.Need) fetched {
	q := question{need.Name, need.Type}
	below := st.below(q)
	below.trust, below.avoid, below.signatures = cache.Unchecked, st.avoid, true
	below.secondLevel, below.secondReads = st.secondLevel, st.secondReads // it is validated as part of that search
	if need.Refresh && !r.keyCacheNow().mayRefresh(r.config.Now(), q) {
		return fetched{q: q, err: errRefreshed}
	}
	if !need.Refresh && len(st.avoid) == 0 {
		// What was validated before will do; the rest may be why the last answer was bogus,
		// and is fetched again.
		if a, ok := r.cached(r.config.Now(), st.trust, q, false); ok {
			return fetched{q: q, responses: []*dnssec.Response{a.response(need.Zone)}}
		}
	}
	w := r.newWalk(below, q)
	a, err := w.run(ctx)
	if err != nil {
		if resp, from := r.referredDS(ctx, below, q, err); resp != nil {
			return fetched{q: q, responses: []*dnssec.Response{resp}, sources: from}
		}
		return fetched{q: q, err: err}
	}
	zone := w.zone()
	if zone == "" {
		zone = need.Zone
	}
	return fetched{q: q, responses: append(slices.Clip(w.referrals), a.response(zone)), sources: w.sources, writes: w.writes}
}

// referredDS takes a DS, or the proof that there is none, from a referral, after the
// question for it has failed with cause. Referrals have it too (RFC 4035 §3.1.4), and some
// servers that cannot answer for type DS do refer. The walk got a referral before, but
// questions that are not validated (of a client with CD, or for a name server's address)
// have not kept the DS of it.
func (r *Resolver) referredDS(ctx context.Context, st *step, q question, cause error) (*dnssec.Response, []netip.AddrPort) {
	f := failureOf(cause)
	if q.rrtype != dns.TypeDS || f.isOfLeader() || f.zone == nil || !f.zone.responded {
		return nil, nil
	}
	now := r.config.Now()
	cut := r.closestCut(now, st, r.viewOf(now, q), q)
	m, err := r.ask(ctx, st.asking(true), cut, question{q.name, dns.TypeA})
	if err != nil || m.kind != kindReferral || m.delegation.Zone != q.name {
		return nil, nil
	}
	if m.DS == nil && len(m.Denial) == 0 {
		return nil, nil // it only shows that there is a zone cut: going on would never end
	}
	return referralResponse(cut, m), []netip.AddrPort{m.server.addr}
}

// used records a server that sent a part of the evidence.
func (p *proof) used(servers ...netip.AddrPort) {
	if p == nil {
		return
	}
	for _, s := range servers {
		p.sources[s] = true
	}
}

// validate decides the status of a response and how long it may be kept. It waits for what
// the validator still needs.
func (p *proof) validate(ctx context.Context, resp *dnssec.Response) (*dnssec.Verdict, error) {
	// A question that no caller waits for, or that has run out of time, computes no further:
	// what a hostile zone makes it compute takes many times as long as its packets.
	p.ev.StopWhen(ctx.Err)
	for range maxValidationRounds {
		verdict, needs, err := p.ev.Validate(resp)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, p.limitOf(err)
		case len(needs) == 0 && verdict.Status == dnssec.Bogus && p.awaitAll(ctx):
			continue // with the whole evidence
		case len(needs) == 0 && verdict.Status == dnssec.Bogus && p.spent != nil:
			return nil, p.spent // it was not the zone's fault that something is missing
		case len(needs) == 0:
			now := p.r.config.Now()
			for _, d := range p.proven.save(now, resp.Name, p.ev) {
				p.r.keepDS(now, d)
			}
			p.r.counts.judged(verdict)
			return verdict, nil
		}
		p.fetchAll(ctx, needs)
		if err := p.await(ctx, needs); err != nil {
			return nil, err
		}
	}
	return nil, p.st.budget.refused.refuse(limitReferrals, maxValidationRounds)
}

// await waits until none of the needs is pending.
func (p *proof) await(ctx context.Context, needs []dnssec.Need) error {
	for _, need := range needs {
		for p.waits(question{need.Name, need.Type}) {
			select {
			case f := <-p.arrived:
				p.take(f)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// awaitAll waits until nothing is pending, and reports whether it had to and nothing ended
// it. What is being fetched when an answer is found bogus is part of the evidence of that.
func (p *proof) awaitAll(ctx context.Context) bool {
	if len(p.pending) == 0 {
		return false
	}
	return p.await(ctx, slices.Collect(maps.Values(p.pending))) == nil
}

func (p *proof) waits(q question) bool {
	_, ok := p.pending[q]
	return ok
}

// take adds what was fetched to the evidence.
func (p *proof) take(f fetched) {
	rescue.Again(f.err)
	need := p.pending[f.q]
	delete(p.pending, f.q)
	if f.err != nil {
		p.ev.Fail(need, f.err)
		if failed := failureOf(f.err); failed.isOfLeader() || failed.is(failAborted) {
			p.spent = f.err
		}
		return
	}
	for _, resp := range f.responses {
		p.ev.Add(resp)
	}
	p.used(f.sources...)
	p.writes = append(p.writes, f.writes...)
	p.gave[f.q] = f.sources
}

// tell reports the result of validating a response of the servers of zone.
func (p *proof) tell(v *dnssec.Verdict, zone dnsname.Name) {
	if v.Zone != "" {
		zone = v.Zone
	}
	p.st.events.Validated(p.st.walkRef(), zone, v.Status, v.Reason)
}

// limitOf names a limit of the validator as the field of Limits that set it.
func (p *proof) limitOf(err error) error {
	var limit *dnssec.LimitError
	if errors.As(err, &limit) {
		return fmt.Errorf("%w: %w", p.st.budget.refused.refuse(limitOfValidator(limit.Limit), limit.Max), err)
	}
	return err
}
