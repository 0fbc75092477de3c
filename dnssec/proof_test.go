package dnssec

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// negatives are questions whose answer takes a proof, in a zone with childText.
var negatives = []struct {
	label string
	name  string // relative to the zone
	qtype uint16
}{
	{"type missing", "www.", dns.TypeTXT},
	{"empty non-terminal", "b.ent.", dns.TypeA},
	{"name missing", "nope.", dns.TypeA},
	{"deep name missing", "a.b.nope.", dns.TypeA},
	{"name missing below a name", "x.www.", dns.TypeA},
	{"wildcard answer", "a.wild.", dns.TypeA},
	{"deep wildcard answer", "a.b.c.wild.", dns.TypeMX},
	{"wildcard without the type", "a.b.wild.", dns.TypeTXT},
	{"wildcard alias", "foo.alias.", dns.TypeA},
	{"no DS at a host", "www.", dns.TypeDS},
	{"last name", "zzz.", dns.TypeA},
	{"before the first name", "0.", dns.TypeA},
}

// withRole names a set of a response by what it is for, to be read in failures.
func withRole(r *Response, s *RRset) string {
	where := "authority"
	if slices.Contains(r.Answer, s) {
		where = "answer"
	}
	return fmt.Sprintf("%s %s %s", where, s.Owner, typeName(s.Type))
}

// without returns a response without one RRset.
func without(r *Response, s *RRset) *Response {
	c := *r
	drop := func(o *RRset) bool { return o == s }
	c.Answer = slices.DeleteFunc(slices.Clone(r.Answer), drop)
	c.Authority = slices.DeleteFunc(slices.Clone(r.Authority), drop)
	return &c
}

// with returns a response with another RRset in the place of one.
func with(r *Response, s, other *RRset) *Response {
	c := *r
	swap := func(all []*RRset) []*RRset {
		all = slices.Clone(all)
		for i := range all {
			if all[i] == s {
				all[i] = other
			}
		}
		return all
	}
	c.Answer, c.Authority = swap(r.Answer), swap(r.Authority)
	return &c
}

// flipped returns a Packed with one bit of its i-th field's byte changed.
func flipped(p Packed, field, at int, bit byte) Packed {
	var fields []string
	i := 0
	for f := range p.All() {
		if i == field {
			b := []byte(f)
			b[at%len(b)] ^= bit
			f = string(b)
		}
		fields = append(fields, f)
		i++
	}
	return Pack(fields...)
}

// alterations of an RRset, each of which has to make it worthless.
var alterations = map[string]func(*RRset) *RRset{
	"no signature": func(s *RRset) *RRset {
		c := *s
		c.Signatures = ""
		return &c
	},
	"signature altered": func(s *RRset) *RRset {
		c := *s
		c.Signatures = flipped(s.Signatures, 0, len(s.Signatures)-3, 1)
		return &c
	},
	"last byte altered": func(s *RRset) *RRset {
		c := *s
		for f := range s.Records.All() {
			c.Records = flipped(s.Records, 0, len(f)-1, 0x40)
			break
		}
		return &c
	},
	"record added": func(s *RRset) *RRset {
		c := *s
		for f := range s.Records.All() {
			c.Records = s.Records.With(f[:len(f)-1] + "\x77")
			break
		}
		return &c
	},
}

// TestProofs takes away and alters each RRset of each proof in turn.
func TestProofs(t *testing.T) {
	for label, o := range flavours {
		t.Run(label, func(t *testing.T) {
			w := family(t, o)
			w.memory = newMemory() // of all signatures of the proofs as they should be
			child := w.zones["child.example."]
			for _, n := range negatives {
				r := child.answer(n.name+child.name, n.qtype)
				if v := w.judge(r); v.Status == Bogus {
					t.Errorf("%s: whole proof: %v", n.label, v.Reason)
				}
				for _, s := range slices.Concat(r.Answer, r.Authority) {
					if s.Type != dns.TypeSOA {
						w.notGood(without(r, s), n.label+": without "+withRole(r, s))
					}
					for how, alter := range alterations {
						w.notGood(with(r, s, alter(s)), n.label+": "+how+": "+withRole(r, s))
					}
				}
			}
		})
	}
}

// judge validates a response with untouched DS and DNSKEY.
func (w *world) judge(r *Response) *Verdict {
	w.t.Helper()
	v, err := w.validate(w.evidence(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// notGood expects Bogus. Whatever lies in an opt-out range may also be Insecure: it
// may belong to a zone whose delegation is not in the NSEC3 chain (RFC 5155 §12.1).
func (w *world) notGood(r *Response, label string) {
	w.t.Helper()
	v := w.judge(r)
	if v.Status == Insecure && v.Reason.Code == ReasonOptOut && w.zones["example."].options.optOut {
		return
	}
	if v.Status != Bogus {
		w.t.Errorf("%s: got %v (%v), want bogus", label, v.Status, v.Reason)
	}
}

// TestProofsOfOtherZones uses the proof records of each zone of a family in the
// response of each other one (attacks: NSEC of the wrong zone).
func TestProofsOfOtherZones(t *testing.T) {
	for label, o := range flavours {
		if testing.Short() && label != "nsec" && label != "nsec3 opt-out" {
			continue
		}
		t.Run(label, func(t *testing.T) {
			w := family(t, o)
			names := []string{"example.", "child.example.", "sibling.example.", "grand.child.example."}
			for _, n := range negatives {
				for _, victim := range names {
					for _, other := range names {
						if victim == other {
							continue
						}
						r := *w.zones[victim].answer(n.name+victim, n.qtype)
						if len(r.Authority) == 0 || r.Kind == KindReferral {
							continue
						}
						from := w.zones[other].answer(n.name+other, n.qtype)
						if victim == "example." && n.label != "name missing" || other == "example." && n.label != "name missing" {
							continue // the parent has less in it
						}
						r.Authority = from.Authority
						w.notGood(&r, fmt.Sprintf("%s: %s with proof of %s", n.label, victim, other))
						w.swapsAreWorthless(w.zones[victim].answer(n.name+victim, n.qtype), from, fmt.Sprintf("%s: %s", n.label, victim))
					}
				}
			}
		})
	}
}

// swapsAreWorthless puts each record of another zone's proof in the place of each record
// of a response's: that is never better than leaving the record out.
func (w *world) swapsAreWorthless(r, from *Response, label string) {
	w.t.Helper()
	for _, mine := range r.Authority {
		less := w.judge(without(r, mine)).Status
		for _, foreign := range from.Authority {
			if got := w.judge(with(r, mine, foreign)).Status; got != Bogus && got != less {
				w.t.Errorf("%s: with %s in the place of %s: got %v, want bogus or %v", label, withRole(from, foreign), withRole(r, mine), got, less)
			}
		}
	}
}

// TestChildDeniesDS uses what the child says of its own apex for the parent's DS.
func TestChildDeniesDS(t *testing.T) {
	for label, o := range flavours {
		t.Run(label, func(t *testing.T) {
			w := family(t, o)
			child, grand := w.zones["child.example."], w.zones["grand.child.example."]
			apex := child.matching("child.example.")
			if o.compact {
				apex = child.compactDenial("child.example.", dns.TypeSOA, dns.TypeNS)
			}
			for _, r := range []*Response{
				{Name: name("child.example."), Type: dns.TypeDS, Kind: KindNoData, Authority: sets(apex)},
				{Name: name("child.example."), Kind: KindReferral, Authority: sets(apex)},
				{Name: name("child.example."), Kind: KindReferral, Authority: sets(grand.denial(0))},
			} {
				e := w.evidence()
				e.Add(r)
				v, err := w.validate(e, child.answer("www.child.example.", dns.TypeA))
				if err != nil || v.Status != Bogus {
					t.Errorf("%s of %s: got %v, %v, want bogus", r.Kind, r.Authority[0].Owner, v, err)
				}
			}
		})
	}
}

// TestRootDS: the root has no parent, so that its own apex record denies its DS. Nobody
// else's does: not that of a zone with an anchor of its own, nor the root's for another
// name, whichever response it is swapped into.
func TestRootDS(t *testing.T) {
	for label, o := range flavours {
		t.Run(label, func(t *testing.T) {
			w := family(t, o)
			child := w.zones["child.example."]
			root := newTestZone(t, ".", "example. NS ns.example.\n"+dsText(t, "example.", o)+"\nns.example. A 192.0.2.1\n", o)
			w.zones["."] = root
			w.v = mustValidator(t, Options{Anchors: []Anchor{root.anchor(), child.anchor()}})
			good := root.answer(".", dns.TypeDS)
			w.expect(".", dns.TypeDS, Secure, 0)
			for _, part := range good.Authority {
				if isDenial(part.Type) {
					w.notGood(without(good, part), "the root without "+withRole(good, part))
				}
			}
			for _, zone := range []string{"child.example.", "example."} {
				apex := w.zones[zone].answer(zone, dns.TypeMX).Authority // its SOA and apex record
				for _, from := range []string{zone, name(zone).Parent().String(), "."} {
					r := &Response{Name: name(zone), Type: dns.TypeDS, Kind: KindNoData, Zone: name(from), Authority: apex}
					w.notGood(r, "DS of "+zone+" denied by its apex, from a server of "+from)
					r = &Response{Name: name(zone), Type: dns.TypeDS, Kind: KindNoData, Zone: name(from), Authority: good.Authority}
					w.notGood(r, "DS of "+zone+" denied by the root's apex, from a server of "+from)
				}
				w.swapsAreWorthless(good, &Response{Authority: apex}, "the root's DS")
			}
		})
	}
}

// TestParentDeniesChild uses the parent's record at the cut for types of the child.
func TestParentDeniesChild(t *testing.T) {
	for _, label := range []string{"nsec", "nsec3"} {
		w := family(t, flavours[label])
		parent := w.zones["example."]
		cut := parent.matching("child.example.")
		for _, qname := range []string{"child.example.", "www.child.example.", "child.example."} {
			for _, kind := range []ResponseKind{KindNoData, KindNameError} {
				r := &Response{Name: name(qname), Type: dns.TypeTXT, Kind: kind, Zone: name("example."),
					Authority: append(slices.Clone(parent.answer("nope.example.", dns.TypeA).Authority), cut)}
				w.notGood(r, fmt.Sprintf("%s: %s %v", label, qname, kind))
			}
		}
	}
}

// TestBitFlips changes one bit anywhere in a response: nothing but what the canonical
// form leaves out may stay Secure.
func TestBitFlips(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for label, o := range flavours {
		w := family(t, o)
		child := w.zones["child.example."]
		for _, n := range negatives {
			r := child.answer(n.name+child.name, n.qtype)
			w.memory = newMemory()
			w.judge(r)
			for range 6 {
				all := slices.Concat(r.Answer, r.Authority)
				s := all[random.IntN(len(all))]
				c := *s
				bit := byte(1) << random.IntN(8)
				if random.IntN(2) == 0 {
					c.Records = flipped(s.Records, 0, random.IntN(len(s.Records)), bit)
				} else {
					c.Signatures = flipped(s.Signatures, 0, random.IntN(len(s.Signatures)), bit)
				}
				if equalCanonical(s, &c) {
					continue
				}
				w.notGood(with(r, s, &c), fmt.Sprintf("%s, %s: flip in %s", label, n.label, withRole(r, s)))
			}
		}
	}
}

// equalCanonical reports whether two sets are signed the same way.
func equalCanonical(a, b *RRset) bool {
	if !slices.Equal(appendCanonicalRecords(nil, a), appendCanonicalRecords(nil, b)) {
		return false
	}
	same := func(p Packed) (out []string) {
		for f := range p.All() {
			if sig, err := ParseSignature(f); err == nil {
				out = append(out, sig.fixed+string(sig.Signer)+sig.Signature)
			} else {
				out = append(out, f)
			}
		}
		return out
	}
	return slices.Equal(same(a.Signatures), same(b.Signatures))
}

// TestDenialReasons: a failed proof says why, for the Extended DNS Error.
func TestDenialReasons(t *testing.T) {
	w := family(t, zoneOptions{})
	child := w.zones["child.example."]
	r := child.answer("nope.child.example.", dns.TypeA)
	denial := r.Authority[1]
	expired := resigned(t, child, denial, func(s *dns.RRSIG) { s.Expiration = uint32(testTime.Unix()) - 1 })
	other := child.answer("www.child.example.", dns.TypeTXT)
	for label, c := range map[string]struct {
		response *Response
		reason   ReasonCode
		ede      uint16
	}{
		"expired":         {with(r, denial, expired), ReasonExpired, 7},
		"wrong signature": {with(r, denial, alterations["signature altered"](denial)), ReasonBadSignature, 6},
		"missing":         {without(r, denial), ReasonNoDenial, 12},
		"of another name": {with(r, denial, other.Authority[1]), ReasonNoDenial, 12},
		"type is there":   {&Response{Name: name("www.child.example."), Type: dns.TypeAAAA, Kind: KindNoData, Authority: other.Authority}, ReasonWrongDenial, 6},
		"SOA altered":     {with(r, r.Authority[0], alterations["signature altered"](r.Authority[0])), ReasonBadSignature, 6},
		"SOA not signed":  {with(r, r.Authority[0], alterations["no signature"](r.Authority[0])), ReasonNoSignature, 10},
		"wildcard unproven": {&Response{Name: name("a.wild.child.example."), Type: dns.TypeA,
			Answer: child.answer("a.wild.child.example.", dns.TypeA).Answer}, ReasonWildcard, 12},
	} {
		v := w.judge(c.response)
		if code, _ := v.Reason.EDE(); v.Status != Bogus || v.Reason.Code != c.reason || code != c.ede {
			t.Errorf("%s: got %v (%v, EDE %d), want bogus (%s, EDE %d)", label, v.Status, v.Reason, code, c.reason.phrase(), c.ede)
		}
	}
}
