package cache

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// Question is what Find looks for.
type Question struct {
	Name  dnssec.Name
	Type  uint16
	Trust Trust
	// Onward: if there is no answer, look for where to go from here.
	Onward bool
}

// Found is what the cache has about a question.
type Found struct {
	// One of these is set, or else Item: the RRset asked for, or a CNAME of the name, or a
	// DNAME above it.
	Chain     *Chain
	Negative  *Negative
	Synthesis *Synthesis
	Item      Item

	// Without an answer, and only for a question with Onward: Failure if there is one, else
	// the deepest delegation towards the zone that has the answer, if one is known, and what
	// NoCut returns for it and the name.
	Failure *Failure
	Cut     Cut
	NoCut   dnssec.Name
}

// Find looks for all that may answer a question at now, and reports whether something does.
// It returns what Get, GetChain, GetNegative, Synthesise and GetBrief would, asked in the order
// that a resolver asks in, and counts the same, but looks at the name and at those above it
// once, and nowhere where it can tell that nothing is there:
//
//   - an RRset of the name and type, or else a CNAME of the name, of RankNonAuthoritative at
//     least;
//   - an answer, or aliases, kept whole;
//   - a denial of the name or type, or of a name above;
//   - a DNAME above;
//   - for Checked data, what denials and wildcards prove of the zone, but not that there is no
//     CNAME;
//   - an answer kept briefly.
//
// An RRset made from a wildcard is no answer without its proof. Where there is one, Find
// looks for neither a CNAME, nor a denial, nor a DNAME. A question for ANY is answered only by
// what was kept briefly, by a denial of the name, or by a DNAME above it.
//
// With Onward, GetFailure, GetCut and NoCut come after that. For DS records the delegation is
// one above the name, since those are on the parent's side (RFC 4035 §3.1.4.1).
func (v *View) Find(now time.Time, q Question) (f Found, ok bool) {
	i, p := v.cache.at(now), path{view: v, name: q.Name}
	ok = p.answer(i, q, &f)
	if !ok && q.Onward {
		p.onward(now, i, q, &f)
	}
	return f, ok
}

// answer finds the first that answers the question. Each step fills f in if it returns true:
// results are too large to be handed on for nothing.
func (p *path) answer(i instant, q Question, f *Found) bool {
	if q.Type == dns.TypeANY {
		return p.answerANY(i, q, f)
	}
	e, hot, own := p.set(i, q)
	if own && !e.expanded() {
		f.take(i, e, hot)
		return true
	}
	return p.chain(i, q, f) || !own && (p.denial(i, q, f) || p.dname(i, q, f)) || p.synthesis(i, q, f) || p.brief(i, q, f)
}

// answerANY is answer for whatever type.
func (p *path) answerANY(i instant, q Question, f *Found) bool {
	if p.brief(i, q, f) || p.denial(i, q, f) || p.dname(i, q, f) {
		return true
	}
	// A name that is proven not to exist has no type: the proof is the same for any.
	q.Type = dns.TypeA
	if p.synthesis(i, q, f) && f.Synthesis.Denied && f.Synthesis.Negative.NameError {
		return true
	}
	f.Synthesis = nil
	return false
}

// onward finds where to go from here.
func (p *path) onward(now time.Time, i instant, q Question, f *Found) {
	if s := p.at(0, p.name); s.may(markFailure) {
		if failure, ok := p.view.failureAt(now, i, s, q); ok {
			f.Failure = new(failure)
			return
		}
	}
	from, steps := q.Name, 0
	if q.Type == dns.TypeDS {
		from, steps = from.Parent(), 1
	}
	if e := p.deepest(i, steps, from); e != nil {
		f.Cut = p.view.cutOf(now, i, e)
		f.NoCut = p.noCut(i, e.name)
	}
}

// take makes an RRset the answer.
func (f *Found) take(i instant, e entry, hot bool) {
	f.Item = e.item(i)
	f.Item.Prefetch = hot && dueForPrefetch(e.span(), i)
}

// set finds an RRset of the name: of the type, or else a CNAME.
func (p *path) set(i instant, q Question) (e entry, hot, ok bool) {
	s := p.at(0, p.name)
	e, hot, ok = p.view.live(i, s, q.Name, q.Type, q.Trust, RankNonAuthoritative)
	if !ok && q.Type != dns.TypeCNAME {
		e, hot, ok = p.view.live(i, s, q.Name, dns.TypeCNAME, q.Trust, RankNonAuthoritative)
	}
	return e, hot, ok
}

func (p *path) chain(i instant, q Question, f *Found) bool {
	s := p.at(0, p.name)
	if !s.may(markChain) {
		return false
	}
	c, ok := p.view.chainAt(i, s, q.Name, q.Type, q.Trust)
	if !ok && q.Type != dns.TypeCNAME {
		c, ok = p.view.chainAt(i, s, q.Name, dns.TypeCNAME, q.Trust)
	}
	if ok {
		f.Chain = new(c)
	}
	return ok
}

func (p *path) denial(i instant, q Question, f *Found) bool {
	if e, hot, ok := p.denied(i, q.Type, q.Trust); ok {
		f.Negative = new(e.denial(i, q.Name, q.Type, hot))
		return true
	}
	if e, ok := p.nameErrorAbove(i); ok {
		f.Negative = new(e.denialAbove(i, q.Name, q.Type))
		return true
	}
	return false
}

func (p *path) dname(i instant, q Question, f *Found) bool {
	absent, steps := uint64(0), 0
	for above := q.Name.Parent(); !above.IsRoot(); above = above.Parent() {
		steps++
		s := p.at(steps, above)
		if !s.may(markDNAME) {
			absent++
			continue
		}
		if e, hot, ok := p.view.live(i, s, above, dns.TypeDNAME, q.Trust, RankNonAuthoritative); ok {
			p.view.countMany(q.Name, missAbsent, absent)
			f.take(i, e, hot)
			return true
		}
	}
	p.view.countMany(q.Name, missAbsent, absent)
	return false
}

func (p *path) synthesis(i instant, q Question, f *Found) bool {
	if q.Trust != Checked {
		return false
	}
	if p.synthesise(i, q.Type, f) {
		return true
	}
	if q.Type != dns.TypeCNAME && p.synthesise(i, dns.TypeCNAME, f) && !f.Synthesis.Denied {
		return true
	}
	f.Synthesis = nil
	return false
}

func (p *path) synthesise(i instant, rrtype uint16, f *Found) bool {
	z, ok := p.zone(i, rrtype)
	if !ok {
		return false
	}
	s, ok := p.view.synthesiseFrom(i, z, p.name, rrtype)
	if ok {
		f.Synthesis = new(s)
	}
	return ok
}

func (p *path) brief(i instant, q Question, f *Found) bool {
	s := p.at(0, p.name)
	if !s.may(markBrief) {
		return false
	}
	c, ok := p.view.briefAt(i, s, q)
	if ok {
		f.Chain = new(c)
	}
	return ok
}
