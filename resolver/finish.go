package resolver

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/wire"
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
func (r *iterator) finish(ctx context.Context, w *walk, asked question, m *reply) (*answer, error) {
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
func (r *iterator) judge(ctx context.Context, w *walk, asked question, m *reply) (fresh, error) {
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
			err: fmt.Errorf("%w: %w", errNoReachableServer, errLame),
		}
	}
	return f, nil
}

// trimToView returns the steps of an alias chain, from its start, that belong to the view:
// the server of a zone does not know where names below it are searched that have a route,
// and a forwarder does not know the names that this resolver answers itself.
func (r *iterator) trimToView(v *view, steps []scrub.Alias) []scrub.Alias {
	now, rt := r.settings.Now(), r.routes.currentRoutes()
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

// accept takes over what validation found.
func (f *fresh) accept(v *dnssec.Verdict) {
	f.status, f.ttl = v.Status, min(f.ttl, v.TTL)
	if e := extendedReason(v.Reason); e != (extendedError{}) {
		f.extended = []extendedError{e}
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

// learnApexNS remembers which name servers the zone itself names beside those of its parent,
// for when all of these fail. They are believed from the answer to a query for them, when
// they are signed, or when the sender has seen our query; otherwise the reply may be forged.
// They are no part of the delegation, which is the parent's to make, and are forgotten with
// it.
func (w *walk) learnApexNS(m *reply, f *fresh) {
	asked := f.q == (question{w.cut.Zone, dns.TypeNS})
	switch {
	case !m.AA || m.fromSecond, w.cut.isConfigured() || w.cut.source.forwards() || w.cut.Zone.IsRoot():
		return
	case asked && f.kind == kindAnswer:
		w.keepApexNS(w.apexServers(f.sets[0]))
		return
	case asked || w.cut.apexNS != nil || !m.Upward || !m.vouched && f.status != dnssec.Secure:
		return
	}
	set := w.apexNS(m)
	if set == nil {
		return
	}
	if own := w.apexServers(set); m.vouched || len(own) == 0 || w.signedByZone(f, set) {
		w.keepApexNS(own)
	}
}

// apexNS returns the NS records of the zone that came beside an answer; nil if none did.
func (w *walk) apexNS(m *reply) *dnssec.RRset {
	message, err := wire.Parse(m.wire)
	if err != nil {
		return nil
	}
	return scrub.ApexNS(message, w.cut.Zone, w.r.settings.Limits.Records)
}

// apexServers lists the servers of the zone's NS records that its parent does not name.
func (w *walk) apexServers(set *dnssec.RRset) []dnsname.Name {
	own := []dnsname.Name{}
	for rdata := range set.Records.All() {
		target, ok := wire.TargetName(dns.TypeNS, rdata)
		if _, named := w.cut.Server(target); ok && !named {
			own = append(own, target)
		}
	}
	return own[:min(len(own), glue.MaxServers)]
}

// signedByZone reports whether the NS records beside a secure answer are secure too.
func (w *walk) signedByZone(f *fresh, set *dnssec.RRset) bool {
	if w.st.validation == nil || f.signer != w.cut.Zone || len(set.Signatures) == 0 {
		return false
	}
	verdict, needs, err := w.st.validation.evidence.Validate(&dnssec.Response{
		Name: set.Owner, Type: set.Type, Zone: w.cut.Zone, Kind: dnssec.KindAnswer, Answer: []*dnssec.RRset{set},
	})
	return err == nil && len(needs) == 0 && verdict.Status == dnssec.Secure
}

func (w *walk) keepApexNS(own []dnsname.Name) {
	w.view.cuts.PutOwnServers(w.cut.Delegation, own)
}
