package iterate

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/upstream"
	"github.com/iterdns/iterdns/internal/wire"
)

// fresh is an answer made of a response, with what matters only until it is in the cache.
type fresh struct {
	*answer.Answer
	signer          dnsname.Name // the zone that signed it; "" unless Secure
	compact         bool         // the denial is about this very name only (RFC 9824)
	onlyForQuestion bool         // it may answer only questions for this name
	notStored       bool         // the cache has not taken it as usual: it is kept briefly
}

// finish makes an answer of the response to the full question, validates it, and caches it.
func (r *Iterator) finish(ctx context.Context, w *walk, asked answer.Question, m *upstream.Reply) (*answer.Answer, error) {
	f, err := r.judge(ctx, w, asked, m)
	if err != nil {
		return nil, err
	}
	r.keep(w, &f, m)
	if m.Kind != answer.KindRecursive {
		w.noteNoCuts(f.Answer)
	}
	w.learnApexNS(m, &f)
	return f.Answer, nil
}

// judge makes an answer of a response and validates it.
func (r *Iterator) judge(ctx context.Context, w *walk, asked answer.Question, m *upstream.Reply) (fresh, error) {
	f := fresh{Answer: &answer.Answer{
		Q: asked, Kind: m.Kind,
		Sets: m.Answer, Aliases: r.trimToView(w.view, w.cut, m.Aliases), SOA: m.SOA, Denial: m.Denial,
	}}
	if f.Kind == answer.KindRecursive {
		f.Kind = kindOfRecursive(&m.Reply)
	}
	f.Reconcile()
	f.TTL = answer.MaxTTL
	if w.st.validation == nil {
		return f, nil
	}
	response := f.Response(w.zone())
	verdict, err := w.st.validation.validate(ctx, response)
	if err != nil {
		return fresh{}, err
	}
	w.st.validation.tell(verdict, w.zone())
	if err := verdict.Err(); err != nil {
		return fresh{}, &failure.BogusError{
			Zone: w.cut.Zone, Server: m.Server.Addr, Reason: verdict.Reason, Err: err, Verdict: verdict, Response: response,
		}
	}
	f.accept(verdict)
	disclose(w.view, w.st.Trust, f.Answer)
	f.CapTTLs(verdict)
	if m.RestsOnProof() && f.Status != dnssec.Secure && verdict.Reason.Code != dnssec.ReasonOptOut {
		return fresh{}, &failure.ZoneError{
			Zone: w.cut.Zone, Servers: []netip.AddrPort{m.Server.Addr}, Responded: true,
			Err: fmt.Errorf("%w: %w", failure.ErrNoReachableServer, failure.ErrLame),
		}
	}
	return f, nil
}

// trimToView returns the steps of an alias chain, from its start, that belong to the view:
// the server of a zone does not know where names below it are searched that have a route,
// and a forwarder does not know the names that this resolver answers itself. Nor are servers believed
// about the names of a zone below that has to be asked over TLS; cut is nil for what is cached.
func (r *Iterator) trimToView(v *routes.View, cut *routes.ZoneCut, steps []scrub.Alias) []scrub.Alias {
	now, rt := r.Settings.Now(), r.routes.CurrentRoutes()
	rt = rt.While(v.IsFallback(rt))
	for i, step := range steps {
		if i == 0 {
			continue // it was asked for
		}
		q := answer.Question{Name: step.From, Type: dns.TypeCNAME}
		if rt.ViewOf(now, q).ID != v.ID {
			return steps[:i]
		}
		if cut != nil {
			if _, above := r.routes.TLSZone(cut, step.From); above {
				return steps[:i]
			}
		}
		if _, special := r.specialUse(cache.Checked, q, false); special {
			return steps[:i]
		}
	}
	return steps
}

// accept takes over what validation found.
func (f *fresh) accept(v *dnssec.Verdict) {
	f.Status, f.TTL = v.Status, min(f.TTL, v.TTL)
	if e := failure.ExtendedReason(v.Reason); e != (failure.ExtendedError{}) {
		f.Extended = []failure.ExtendedError{e}
	}
	if v.Denial != nil && v.Denial.NameError && f.Kind == answer.KindNoData {
		f.Kind, f.Rcode = answer.KindNameError, dns.RcodeNameError // RFC 9824 §5
	}
	f.compact = v.Denial != nil && v.Denial.Compact
	if v.Status != dnssec.Secure {
		return
	}
	f.SOA, f.Denial, f.signer = nil, nil, v.Zone
	for i := range v.Sets {
		switch s := v.Sets[i].Set; s.Type {
		case dns.TypeSOA:
			if f.Kind == answer.KindNoData || f.Kind == answer.KindNameError {
				f.SOA = s
			}
		case dns.TypeNSEC, dns.TypeNSEC3:
			if f.Q.Type != s.Type || f.Q.Name != s.Owner {
				f.Denial = append(f.Denial, s)
			}
		}
	}
}

// kindOfRecursive returns the kind that a response would have if it came from an
// authoritative server.
func kindOfRecursive(m *scrub.Reply) answer.Kind {
	switch {
	case len(m.Answer) > 0:
		return answer.KindAnswer
	case len(m.Aliases) > 0:
		return answer.KindAlias
	case m.Rcode == dns.RcodeNameError:
		return answer.KindNameError
	}
	return answer.KindNoData
}

// learnApexNS remembers which name servers the zone itself names beside those of its parent,
// for when all of these fail. They are believed from the answer to a query for them, when
// they are signed, or when the sender has seen our query; otherwise the reply may be forged.
// They are no part of the delegation, which is the parent's to make, and are forgotten with
// it.
func (w *walk) learnApexNS(m *upstream.Reply, f *fresh) {
	asked := f.Q == (answer.Question{Name: w.cut.Zone, Type: dns.TypeNS})
	switch {
	case !m.AA || m.FromSecond, w.cut.IsConfigured() || w.cut.Source.Forwards() || w.cut.Zone.IsRoot():
		return
	case asked && f.Kind == answer.KindAnswer:
		w.keepApexNS(w.apexServers(f.Sets[0]))
		return
	case asked || w.cut.ApexNS != nil || !m.Upward || !m.Vouched && f.Status != dnssec.Secure:
		return
	}
	set := w.apexNS(m)
	if set == nil {
		return
	}
	if own := w.apexServers(set); m.Vouched || len(own) == 0 || w.signedByZone(f, set) {
		w.keepApexNS(own)
	}
}

// apexNS returns the NS records of the zone that came beside an answer; nil if none did.
func (w *walk) apexNS(m *upstream.Reply) *dnssec.RRset {
	message, err := wire.Parse(m.Wire)
	if err != nil {
		return nil
	}
	return scrub.ApexNS(message, w.cut.Zone, w.r.Settings.Limits.Records)
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
	w.view.Cuts.PutOwnServers(w.cut.Delegation, own)
}
