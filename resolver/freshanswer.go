package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// fresh is an answer made of a response, with what matters only until it is in the cache.
type fresh struct {
	*answer
	signer          dnsname.Name // the zone that signed it; "" unless Secure
	compact         bool         // the denial is about this very name only (RFC 9824)
	onlyForQuestion bool         // it may answer only questions for this name
	notStored       bool         // the cache has not taken it as usual: it is kept briefly
}

// finish makes an answer of the response to the full question, validates it, and caches it.
func (r *Resolver) finish(ctx context.Context, w *walk, asked question, m *reply) (*answer, error) {
	f, err := r.judge(ctx, w, asked, m)
	if err != nil {
		return nil, err
	}
	r.keep(w, &f, m)
	if m.kind != kindRecursive {
		w.noteNoCuts(f.answer)
	}
	w.learnApexNS(m, &f)
	return f.answer, nil
}

// judge makes an answer of a response and validates it.
func (r *Resolver) judge(ctx context.Context, w *walk, asked question, m *reply) (fresh, error) {
	f := fresh{answer: &answer{
		q: asked, kind: m.kind,
		sets: m.Answer, aliases: r.trimToView(w.view, m.Aliases), soa: m.SOA, denial: m.Denial,
	}}
	if f.kind == kindRecursive {
		f.kind = kindOfRecursive(m.Reply)
	}
	f.reconcile()
	f.ttl = maxTTL
	if w.st.validation == nil {
		return f, nil
	}
	response := f.response(w.zone())
	verdict, err := w.st.validation.validate(ctx, response)
	if err != nil {
		return fresh{}, err
	}
	w.st.validation.tell(verdict, w.zone())
	if err := verdict.Err(); err != nil {
		return fresh{}, &bogusError{
			zone: w.cut.Zone, server: m.server.addr, reason: verdict.Reason, err: err, verdict: verdict, response: response,
		}
	}
	f.accept(verdict)
	f.capTTLs(verdict)
	if m.restsOnProof() && f.status != dnssec.Secure && verdict.Reason.Code != dnssec.ReasonOptOut {
		return fresh{}, &zoneError{
			zone: w.cut.Zone, servers: []netip.AddrPort{m.server.addr}, responded: true,
			err: fmt.Errorf("%w: %w", ErrNoReachableServer, errLame),
		}
	}
	return f, nil
}

// reconcile sets the response code that the answer's records imply, whatever the reply's
// was: only records are signed and kept, so that otherwise a client answered from the cache
// would get another code than the first client. An RRset at a name shows that the name
// exists, and the target of an alias is asked for anyway (RFC 6604 §3). The SOA is the
// denial's, and belongs to no answer (RFC 2308 §2).
func (a *answer) reconcile() {
	switch a.kind {
	case kindAnswer, kindNoData:
	case kindAlias:
		if a.aliases[len(a.aliases)-1].TooLong {
			a.rcode = dns.RcodeYXDomain // RFC 6672 §2.2
		}
	case kindNameError:
		a.rcode = dns.RcodeNameError
	case kindReferral, kindLame, kindUnusable, kindRecursive: // no answer is one of these
	}
	if a.isPositive() {
		a.soa = nil
	}
}

// restsOnProof reports whether only the proof beside it makes an empty reply a denial: a
// server that neither sets AA nor sends an SOA has not claimed the zone.
func (m *reply) restsOnProof() bool {
	return m.kind == kindNoData && !m.AA && !m.RA && m.SOA == nil && len(m.NS) == 0
}

// trimToView returns the steps of an alias chain, from its start, that belong to the view:
// the server of a zone does not know where names below it are searched that have a route,
// and a forwarder does not know the names that this resolver answers itself.
func (r *Resolver) trimToView(v *view, steps []scrub.Alias) []scrub.Alias {
	now, rt := r.config.Now(), r.currentRoutes()
	for i, step := range steps {
		if i == 0 {
			continue // it was asked for
		}
		q := question{step.From, dns.TypeCNAME}
		if rt.viewOf(now, q).id != v.id {
			return steps[:i]
		}
		if _, special := r.specialUse(cache.Checked, q, false); special {
			return steps[:i]
		}
	}
	return steps
}

// capTTLs shortens the TTLs of the records to what their signatures allow (RFC 4035 §5.3.3).
// Those of a denial too: it is kept by the TTLs of its parts, and denies other names by them
// (RFC 8198 §5.4).
func (a *answer) capTTLs(v *dnssec.Verdict) {
	a.sets, a.denial = capSetTTLs(a.sets, v), capSetTTLs(a.denial, v)
	a.aliases = slices.Clone(a.aliases)
	for i, step := range a.aliases {
		a.aliases[i].Set = capTTL(step.Set, v)
	}
	if a.soa != nil {
		a.soa = capTTL(a.soa, v)
	}
}

func capSetTTLs(sets []*dnssec.RRset, v *dnssec.Verdict) []*dnssec.RRset {
	bounded := slices.Clone(sets)
	for i, s := range sets {
		bounded[i] = capTTL(s, v)
	}
	return bounded
}

// capTTL copies the set when its TTL changes, as the set is shared with other callers that
// waited for the response.
func capTTL(s *dnssec.RRset, v *dnssec.Verdict) *dnssec.RRset {
	i := slices.IndexFunc(v.Sets, func(sv dnssec.SetVerdict) bool { return sv.Set == s })
	if i < 0 || v.Sets[i].TTL >= s.TTL {
		return s
	}
	return withTTL(s, v.Sets[i].TTL)
}

// withTTL copies the set with another TTL.
func withTTL(s *dnssec.RRset, ttl uint32) *dnssec.RRset {
	other := *s
	other.TTL = ttl
	return &other
}

// accept takes over what validation found.
func (f *fresh) accept(v *dnssec.Verdict) {
	f.status, f.ttl = v.Status, min(f.ttl, v.TTL)
	if e := extendedReason(v.Reason); e != (ExtendedError{}) {
		f.extended = []ExtendedError{e}
	}
	if v.Denial != nil && v.Denial.NameError && f.kind == kindNoData {
		f.kind, f.rcode = kindNameError, dns.RcodeNameError // RFC 9824 §5
	}
	f.compact = v.Denial != nil && v.Denial.Compact
	if v.Status != dnssec.Secure {
		return
	}
	f.soa, f.denial, f.signer = nil, nil, v.Zone
	for i := range v.Sets {
		switch s := v.Sets[i].Set; s.Type {
		case dns.TypeSOA:
			if f.kind == kindNoData || f.kind == kindNameError {
				f.soa = s
			}
		case dns.TypeNSEC, dns.TypeNSEC3:
			if f.q.rrtype != s.Type || f.q.name != s.Owner {
				f.denial = append(f.denial, s)
			}
		}
	}
}

// nothingBelow makes of the denial of an ancestor one of the name searched (RFC 8020).
func (a *answer) nothingBelow(q question) *answer {
	below := *a
	below.q = q
	return &below
}

// kindOfRecursive returns the kind that a response would have if it came from an
// authoritative server.
func kindOfRecursive(m *scrub.Reply) responseKind {
	switch {
	case len(m.Answer) > 0:
		return kindAnswer
	case len(m.Aliases) > 0:
		return kindAlias
	case m.Rcode == dns.RcodeNameError:
		return kindNameError
	}
	return kindNoData
}
