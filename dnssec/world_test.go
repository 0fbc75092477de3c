package dnssec

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func name(s string) dnsname.Name { return dnsname.MustParse(s) }

// sets leaves out what is nil or repeated.
func sets(all ...*RRset) []*RRset {
	var out []*RRset
	for _, s := range all {
		dup := s == nil
		for _, o := range out {
			dup = dup || o == s
		}
		if !dup {
			out = append(out, s)
		}
	}
	return out
}

// answer is what the zone's server says (RFC 1034 §4.3.2, RFC 4035 §3.1).
func (z *testZone) answer(qname string, qtype uint16) *Response {
	z.t.Helper()
	r := &Response{Name: name(qname), Type: qtype, Zone: name(z.name)}
	if cut := z.cutAt(qname); cut != "" && (cut != qname || qtype != dns.TypeDS) {
		r.Name, r.Kind = name(cut), KindReferral
		if ds := z.set(cut, dns.TypeDS); ds != nil {
			r.Authority = sets(ds)
		} else {
			r.Authority = z.denyDS(cut)
		}
		return r
	}
	for n := name(qname).Parent(); n.IsAtOrBelow(name(z.name)); n = n.Parent() {
		if d := z.set(n.String(), dns.TypeDNAME); d != nil {
			r.Kind, r.Answer = KindAlias, sets(d)
			return r
		}
		if n.IsRoot() {
			break
		}
	}
	if z.exists[qname] || z.records[qname] != nil {
		z.answerAt(r, qname, qname)
		return r
	}
	encloser := name(qname).Parent()
	for !z.exists[encloser.String()] && encloser != name(z.name) {
		encloser = encloser.Parent()
	}
	next := name(qname).Ancestor(encloser.Labels() + 1).String()
	wildcard, err := encloser.Wildcard()
	if err != nil {
		z.t.Fatal(err)
	}
	switch {
	case z.options.compact:
		r.Kind, r.Authority = KindNoData, sets(z.set(z.name, dns.TypeSOA), z.compactDenial(qname, dns.TypeNXNAME))
	case z.records[wildcard.String()] != nil:
		z.answerAt(r, qname, wildcard.String())
		r.Authority = append(r.Authority, z.covers(qname, next)...)
	default:
		r.Kind, r.Authority = KindNameError, sets(z.set(z.name, dns.TypeSOA))
		if !z.options.unsigned {
			if z.options.nsec3 {
				r.Authority = append(r.Authority, z.matching(encloser.String()))
			}
			r.Authority = sets(append(append(r.Authority, z.covers(qname, next)...), z.covering(wildcard.String()))...)
		}
	}
	return r
}

// covers proves that the next closer name of qname does not exist.
func (z *testZone) covers(qname, next string) []*RRset {
	switch {
	case z.options.unsigned:
		return nil
	case z.options.nsec3:
		return []*RRset{z.covering(next)}
	}
	return []*RRset{z.covering(qname)}
}

// answerAt answers with the data at owner, which is qname or the wildcard for it.
func (z *testZone) answerAt(r *Response, qname, owner string) {
	types := []uint16{r.Type}
	if r.Type == dns.TypeANY {
		types = nil
		for t := range z.records[owner] {
			types = append(types, t)
		}
	}
	for _, t := range types {
		if s := z.set(owner, t); s != nil {
			r.Answer = append(r.Answer, expanded(s, qname))
		}
	}
	if len(r.Answer) > 0 {
		return
	}
	if s := z.set(owner, dns.TypeCNAME); s != nil {
		r.Kind, r.Answer = KindAlias, sets(expanded(s, qname))
		return
	}
	r.Kind, r.Authority = KindNoData, sets(z.set(z.name, dns.TypeSOA))
	switch {
	case z.options.unsigned:
	case z.options.compact && z.records[owner] == nil:
		r.Authority = append(r.Authority, z.compactDenial(owner))
	case r.Type == dns.TypeDS && owner == qname && owner != z.name:
		r.Authority = append(r.Authority, z.denyDS(owner)...)
	case z.matching(owner) != nil:
		r.Authority = append(r.Authority, z.matching(owner))
	default: // an empty non-terminal with NSEC
		r.Authority = append(r.Authority, z.covering(owner))
	}
	if owner != qname && z.options.nsec3 {
		r.Authority = append(r.Authority, z.matching(name(owner).Parent().String()))
	}
}

// denyDS proves that name, which exists, has no DS.
func (z *testZone) denyDS(owner string) []*RRset {
	if z.options.unsigned {
		return nil
	}
	if m := z.matching(owner); m != nil {
		return sets(m)
	}
	if !z.options.nsec3 {
		return sets(z.covering(owner))
	}
	encloser, next := name(owner).Parent(), owner
	for z.matching(encloser.String()) == nil {
		next, encloser = encloser.String(), encloser.Parent()
	}
	return sets(z.matching(encloser.String()), z.covering(next))
}

// compactDenial makes the NSEC record of RFC 9824 for one name.
func (z *testZone) compactDenial(owner string, extra ...uint16) *RRset {
	id := setName{owner, dns.TypeNSEC}
	if z.signed[id] == nil {
		z.signed[id] = z.signSet([]dns.RR{&dns.NSEC{
			Hdr:        dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300},
			NextDomain: `\000.` + owner,
			TypeBitMap: append([]uint16{dns.TypeRRSIG, dns.TypeNSEC}, extra...),
		}}, true)
	}
	return z.signed[id]
}

// expanded returns a set under another owner, as a wildcard is expanded.
func expanded(s *RRset, owner string) *RRset {
	if s.Owner == name(owner) {
		return s
	}
	c := *s
	c.Owner = name(owner)
	return &c
}

// world is a tree of zones and a resolver without a cache.
type world struct {
	t     testing.TB
	zones map[string]*testZone
	// hosts says which other zones the servers of a zone also have.
	hosts map[string][]string
	v     *Validator
	// tamper changes what servers say.
	tamper func(*Response) *Response
	// asked counts questions, by name and type.
	asked map[string]int
	limit Limits
	last  *Evidence
	final *Response // the last response judged
	cache func(*Evidence)
	// memory of good signatures; nil for none.
	memory *mapMemory
	// plainForms: chains are not verified in the form of RFC 9102 too, where work is counted.
	plainForms bool
	// rounds is how many times Validate was called.
	rounds int
}

// newWorld links zones: the parent gets NS, and DS if the child is signed. The first
// zone is anchored.
func newWorld(t testing.TB, zones ...*testZone) *world {
	t.Helper()
	w := &world{t: t, zones: make(map[string]*testZone), hosts: make(map[string][]string), asked: make(map[string]int)}
	for _, z := range zones {
		w.zones[z.name] = z
	}
	w.v = mustValidator(t, Options{Anchors: []Anchor{zones[0].anchor()}})
	return w
}

func mustValidator(t testing.TB, o Options) *Validator {
	t.Helper()
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// dsText returns the DS record of a zone as text for its parent.
func dsText(t testing.TB, zone string, o zoneOptions) string {
	t.Helper()
	z := newTestZone(t, zone, "", o)
	return z.ds().String()
}

// ask asks the servers of zone.
func (w *world) ask(zone dnsname.Name, qname dnsname.Name, qtype uint16) *Response {
	w.asked[fmt.Sprintf("%s %s", qname, typeName(qtype))]++
	best := w.zones[zone.String()]
	for _, other := range w.hosts[zone.String()] {
		o := name(other)
		inside := qname.IsAtOrBelow(o) && (qtype != dns.TypeDS || qname != o)
		if inside && len(other) > len(best.name) {
			best = w.zones[other]
		}
	}
	if best == nil {
		return nil
	}
	r := *best.answer(qname.String(), qtype)
	r.Zone = zone
	if w.tamper != nil {
		return w.tamper(&r)
	}
	return &r
}

// fetch meets a need, following referrals.
func (w *world) fetch(e *Evidence, n Need) {
	for zone := n.Zone; ; {
		r := w.ask(zone, n.Name, n.Type)
		switch {
		case r == nil:
			e.Fail(n, fmt.Errorf("no server for %s", zone))
			return
		case r.Kind == KindReferral && n.Name.IsBelow(r.Name) && r.Name.IsBelow(zone):
			e.Add(r)
			zone = r.Name
		default:
			c := *r
			c.Name, c.Type = n.Name, n.Type
			e.Add(&c)
			return
		}
	}
}

// evidence starts a question.
func (w *world) evidence() *Evidence {
	e := w.v.Evidence(testTime, testTime, NewWork(w.limit))
	if w.cache != nil {
		w.cache(e)
	}
	if w.memory != nil {
		e.Remember(w.memory)
	}
	w.last = e
	return e
}

// resolve walks from the root and validates what it finds, without following
// aliases.
func (w *world) resolve(qname string, qtype uint16) (*Verdict, error) {
	w.t.Helper()
	e := w.evidence()
	zone := dnsname.Root
	for {
		r := w.ask(zone, name(qname), qtype)
		if r == nil {
			return nil, fmt.Errorf("no server for %s", zone)
		}
		if r.Kind != KindReferral {
			return w.validate(e, r)
		}
		e.Add(r)
		zone = r.Name
	}
}

// validate calls Validate until it is content.
func (w *world) validate(e *Evidence, r *Response) (*Verdict, error) {
	w.t.Helper()
	w.final = r
	for w.rounds = 1; w.rounds < 50; w.rounds++ {
		v, needs, err := e.Validate(r)
		if err != nil {
			return nil, err
		}
		if v != nil {
			w.verifyAgain(v, r)
			return v, nil
		}
		if len(needs) == 0 {
			w.t.Fatal("neither verdict nor needs")
		}
		for _, n := range needs {
			w.fetch(e, n)
		}
	}
	w.t.Fatal("needs do not end")
	return nil, nil
}

// verifyAgain has a verdict's chain verified without the validator, with the same result.
func (w *world) verifyAgain(v *Verdict, r *Response) {
	w.t.Helper()
	if v.Status == Bogus || w.cache != nil {
		return
	}
	chain := v.Chain(r)
	again, err := w.v.VerifyChain(chain, testTime)
	if err != nil || again.Status != v.Status {
		w.t.Errorf("%s %s: the chain of a %v verdict is verified as %v, %v\n%v", r.Name, typeName(r.Type), v.Status, again, err, chain)
	}
	w.verifyStored(v, chain)
	w.verifyAuthenticationChain(v, chain)
}

// expect resolves and compares status and reason.
func (w *world) expect(qname string, qtype uint16, status Status, code ReasonCode) *Verdict {
	w.t.Helper()
	v, err := w.resolve(qname, qtype)
	if err != nil {
		w.t.Fatalf("%s %s: %v", qname, typeName(qtype), err)
	}
	if v.Status != status || v.Reason.Code != code {
		w.t.Fatalf("%s %s: got %v (%v), want %v (%s)", qname, typeName(qtype), v.Status, v.Reason, status, code.phrase())
	}
	return v
}

// upper returns a name in capital letters.
func upper(s string) string { return strings.ToUpper(s) }
