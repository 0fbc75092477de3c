package dnssec

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// TestNeedsTogether expects a cold question to ask for all keys at the same time.
func TestNeedsTogether(t *testing.T) {
	w := family(t, zoneOptions{})
	w.expect("www.grand.child.example.", dns.TypeA, Secure, 0)
	if w.rounds != 2 {
		t.Errorf("got %d rounds, want 2: needs, then the verdict", w.rounds)
	}
	for _, zone := range []string{".", "example.", "child.example.", "grand.child.example."} {
		if got := w.asked[zone+" DNSKEY"]; got != 1 {
			t.Errorf("%s DNSKEY asked %d times, want 1", zone, got)
		}
	}
}

// TestPrefetch expects all keys to be named as soon as the referrals are there, so
// that the verdict waits for nothing.
func TestPrefetch(t *testing.T) {
	w := family(t, zoneOptions{})
	e := w.evidence()
	qname, zone := name("www.child.example."), dnsname.Root
	var asked []string
	for {
		for _, n := range e.Prefetch(qname) {
			asked = append(asked, n.Name.String()+" "+typeName(n.Type))
			w.fetch(e, n)
		}
		r := w.ask(zone, qname, dns.TypeA)
		if r.Kind != KindReferral {
			v, needs, err := e.Validate(r)
			if err != nil || needs != nil || v.Status != Secure {
				t.Errorf("got %+v, %v, %v, want a Secure verdict at once", v, needs, err)
			}
			break
		}
		e.Add(r)
		zone = r.Name
	}
	want := []string{". DNSKEY", "example. DNSKEY", "child.example. DNSKEY"}
	if !slices.Equal(asked, want) {
		t.Errorf("got %q, want %q", asked, want)
	}
	if again := e.Prefetch(qname); len(again) != 0 {
		t.Errorf("got %v to fetch again, want nothing", again)
	}
}

func TestPrefetchStops(t *testing.T) {
	w := family(t, zoneOptions{})
	for label, c := range map[string]struct {
		options Options
		qname   string
		add     func(*Evidence)
		want    []string
	}{
		"no anchor":       {Options{Anchors: []Anchor{}}, "www.child.example.", nil, nil},
		"negative anchor": {Options{NegativeAnchors: []NegativeAnchor{{Zone: name("child.example.")}}}, "www.child.example.", nil, nil},
		"below an unsigned delegation": {Options{}, "a.www.plain.", func(e *Evidence) {
			e.Add(w.ask(dnsname.Root, name("www.plain."), dns.TypeA))
			e.AddCut(name("www.plain."))
		}, []string{". DNSKEY"}},
		"cut without DS": {Options{}, "www.child.example.", func(e *Evidence) {
			e.AddCut(name("example."))
		}, []string{". DNSKEY", "example. DS", "example. DNSKEY"}},
		"proven delegation": {Options{}, "www.child.example.", func(e *Evidence) {
			e.AddDelegation(&Delegation{Name: name("example."), Kind: DelegationUnsigned})
			e.AddCut(name("child.example."))
		}, []string{". DNSKEY"}},
		"DS of no use": {Options{}, "www.example.", func(e *Evidence) {
			ds := *w.zones["example."].ds()
			ds.Algorithm = dns.ED448
			e.Add(&Response{Name: name("example."), Kind: KindReferral, Authority: sets(mustSet(t, &ds))})
			e.AddCut(name("www.example."))
		}, []string{". DNSKEY"}},
		"signer that is no cut": {Options{}, "www.grand.child.example.", func(e *Evidence) {
			r := w.zones["child.example."].answer("www.grand.child.example.", dns.TypeA)
			e.Add(r)
		}, []string{". DNSKEY", "child.example. DS", "child.example. DNSKEY", "grand.child.example. DNSKEY"}},
	} {
		e := mustValidator(t, c.options).Evidence(testTime, testTime, NewWork(Limits{}))
		if c.add != nil {
			c.add(e)
		}
		var got []string
		for _, n := range e.Prefetch(name(c.qname)) {
			got = append(got, n.Name.String()+" "+typeName(n.Type))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", label, got, c.want)
		}
	}
}

// TestUnseenCuts has servers that host parent and child, so that no referral shows
// the cut between them.
func TestUnseenCuts(t *testing.T) {
	for label, o := range flavours {
		t.Run(label, func(t *testing.T) {
			w := family(t, o)
			w.hosts["."] = []string{"example.", "plain."}
			w.hosts["example."] = []string{"child.example.", "grand.child.example.", "unsigned.example."}
			w.expect("www.child.example.", dns.TypeA, Secure, 0)
			w.expect("www.grand.child.example.", dns.TypeA, Secure, 0)
			w.expect("www.grand.child.example.", dns.TypeTXT, Secure, 0)
			w.expect("child.example.", dns.TypeSOA, Secure, 0)
			insecure := ReasonUnsigned
			if o.optOut {
				insecure = ReasonOptOut
			}
			for _, qname := range []string{"www.unsigned.example.", "nope.unsigned.example.", "unsigned.example.", "b.ent.unsigned.example."} {
				w.expect(qname, dns.TypeA, Insecure, insecure)
			}
			w.hosts["."] = []string{"example.", "child.example.", "grand.child.example.", "unsigned.example.", "plain."}
			w.expect("www.grand.child.example.", dns.TypeA, Secure, 0)
			w.expect("nope.www.unsigned.example.", dns.TypeA, Insecure, insecure)
			w.expect("www.plain.", dns.TypeA, Insecure, ReasonUnsigned)
		})
	}
}

// TestStripped takes all signatures off answers of signed zones.
func TestStripped(t *testing.T) {
	for label, o := range flavours {
		if o.optOut {
			continue // see TestOptOutRange
		}
		t.Run(label, func(t *testing.T) {
			w := family(t, o)
			w.tamper = func(r *Response) *Response {
				if r.Kind == KindReferral || r.Type == dns.TypeDNSKEY || r.Type == dns.TypeDS {
					return r
				}
				c := *r
				strip := func(all []*RRset) (out []*RRset) {
					for _, s := range all {
						if isDenial(s.Type) {
							continue
						}
						bare := *s
						bare.Signatures = ""
						out = append(out, &bare)
					}
					return out
				}
				c.Answer, c.Authority = strip(r.Answer), strip(r.Authority)
				return &c
			}
			w.expect("www.child.example.", dns.TypeA, Bogus, ReasonNoSignature)
			w.expect("a.b.ent.child.example.", dns.TypeTXT, Bogus, ReasonNoSignature)
			w.expect("www.child.example.", dns.TypeTXT, Bogus, ReasonNoDenial)
			w.expect("nope.child.example.", dns.TypeA, Bogus, ReasonNoDenial)
			w.expect("www.unsigned.example.", dns.TypeA, Insecure, ReasonUnsigned)
		})
	}
}

// TestOptOutRange: a name that an opt-out range covers may be an insecure delegation,
// so unsigned data for it is Insecure; a name that has a record is not in one.
func TestOptOutRange(t *testing.T) {
	w := family(t, flavours["nsec3 opt-out"])
	bare := &RRset{Owner: name("www.child.example."), Type: dns.TypeA, Class: dns.ClassINET, TTL: 60, Records: Pack("\xC0\x00\x02\x01")}
	r := &Response{Name: bare.Owner, Type: dns.TypeA, Zone: name("child.example."), Answer: sets(bare)}
	if v := w.judge(r); v.Status != Bogus {
		t.Errorf("unsigned data of a signed name: got %v, want bogus", v.Status)
	}
	inRange := *bare
	inRange.Owner = name("nope.child.example.")
	r = &Response{Name: inRange.Owner, Type: dns.TypeA, Zone: name("child.example."), Answer: sets(&inRange)}
	if v := w.judge(r); v.Status != Insecure || v.Reason.Code != ReasonOptOut {
		t.Errorf("unsigned data in an opt-out range: got %v (%v), want insecure", v.Status, v.Reason)
	}
}

// TestReferralWithoutProof: parents that say nothing of the DS are asked for it.
func TestReferralWithoutProof(t *testing.T) {
	w := family(t, zoneOptions{})
	w.tamper = func(r *Response) *Response {
		c := *r
		if r.Kind == KindReferral {
			c.Authority = nil
		}
		return &c
	}
	w.expect("www.child.example.", dns.TypeA, Secure, 0)
	w.expect("www.unsigned.example.", dns.TypeA, Insecure, ReasonUnsigned)
	if w.asked["child.example. DS"] != 1 || w.asked["unsigned.example. DS"] != 1 {
		t.Errorf("got %v, want one question each for DS", w.asked)
	}
}

// TestReferralToNoDelegation: the parent proves that there is no cut where its server
// refers to.
func TestReferralToNoDelegation(t *testing.T) {
	w := family(t, zoneOptions{})
	e := w.evidence()
	for _, s := range []*RRset{w.zones["child.example."].matching("www.child.example."), w.zones["child.example."].covering("nope.child.example.")} {
		qname := name("www.child.example.")
		if s.Owner != qname {
			qname = name("nope.child.example.")
		}
		e.Add(&Response{Name: qname, Kind: KindReferral, Authority: sets(s)})
		r := &Response{Name: qname, Type: dns.TypeA, Answer: sets(&RRset{
			Owner: qname, Type: dns.TypeA, Class: dns.ClassINET, Records: Pack("\xC0\x00\x02\x01"),
		})}
		v, err := w.validate(e, r)
		if err != nil || v.Status != Bogus {
			t.Errorf("%s: got %+v, %v, want bogus", qname, v, err)
		}
		if d := e.Delegation(qname); d == nil || d.Kind != DelegationBogus || d.Reason.Code != ReasonNotDelegated {
			t.Errorf("%s: got %+v, want it to be no delegation", qname, d)
		}
	}
}

// TestIslands anchors zones other than the root.
func TestIslands(t *testing.T) {
	w := family(t, zoneOptions{})
	child, parent := w.zones["child.example."], w.zones["example."]
	w.v = mustValidator(t, Options{Anchors: []Anchor{child.anchor()}})
	w.expect("www.child.example.", dns.TypeA, Secure, 0)
	w.expect("www.grand.child.example.", dns.TypeA, Secure, 0)
	w.expect("nope.child.example.", dns.TypeA, Secure, 0)
	w.expect("www.example.", dns.TypeA, Indeterminate, ReasonNoAnchor)
	w.expect("child.example.", dns.TypeDS, Indeterminate, ReasonNoAnchor)
	w.expect("nope.", dns.TypeA, Indeterminate, ReasonNoAnchor)
	w.expect(".", dns.TypeDS, Indeterminate, ReasonNoAnchor)

	// An island below an unsigned delegation, and the deepest anchor counts.
	o := zoneOptions{}
	island := newTestZone(t, "island.plain.", childText, o)
	w.zones["island.plain."] = island
	plain := newTestZone(t, "plain.", childText+"island NS ns.island\n", zoneOptions{unsigned: true})
	w.zones["plain."] = plain
	w.v = mustValidator(t, Options{Anchors: []Anchor{w.zones["."].anchor(), island.anchor(), parent.anchor()}})
	w.expect("www.plain.", dns.TypeA, Insecure, ReasonUnsigned)
	w.expect("www.island.plain.", dns.TypeA, Secure, 0)
	w.expect("nope.island.plain.", dns.TypeA, Secure, 0)
	w.expect("www.child.example.", dns.TypeA, Secure, 0)
	w.tamper = func(r *Response) *Response { // the island may not be made unsigned from above
		c := *r
		for i, s := range r.Answer {
			if s.Owner == name("www.island.plain.") {
				bare := *s
				bare.Signatures = plain.signedAs("island.plain.", s)
				c.Answer = sets(append(slices.Clone(r.Answer[:i]), &bare)...)
			}
		}
		return &c
	}
	w.expect("www.island.plain.", dns.TypeA, Bogus, ReasonNoSignature)
}

// signedAs returns the signature of a set by the zone's own name and key, even if the
// set belongs to another zone.
func (z *testZone) signedAs(_ string, s *RRset) Packed {
	rrs, err := s.AppendRRs(nil, s.TTL, false)
	if err != nil {
		z.t.Fatal(err)
	}
	key := newSigningKey(z.t, z.name, "ksk", 257, dns.ED25519)
	return mustSet(z.t, append(rrs, key.sign(z.t, testValidity, rrs...))...).Signatures
}

func TestNegativeAnchors(t *testing.T) {
	w := family(t, zoneOptions{})
	root, grand := w.zones["."].anchor(), w.zones["grand.child.example."].anchor()
	w.tamper = func(r *Response) *Response { // child is broken
		c := *r
		for i, s := range r.Answer {
			if s.Type != dns.TypeDS && s.Owner.IsAtOrBelow(name("child.example.")) && !s.Owner.IsAtOrBelow(name("grand.child.example.")) {
				c.Answer = slices.Clone(r.Answer)
				c.Answer[i] = alterations["signature altered"](s)
			}
		}
		return &c
	}
	w.v = mustValidator(t, Options{Anchors: []Anchor{root}})
	w.expect("www.child.example.", dns.TypeA, Bogus, ReasonBadSignature)

	w.v = mustValidator(t, Options{
		Anchors:         []Anchor{root, grand},
		NegativeAnchors: []NegativeAnchor{{Zone: name("child.example."), Until: testTime.Add(time.Hour)}},
	})
	w.expect("www.child.example.", dns.TypeA, Insecure, ReasonNegativeAnchor)
	w.expect("nope.child.example.", dns.TypeA, Insecure, ReasonNegativeAnchor)
	w.expect("www.example.", dns.TypeA, Secure, 0)
	w.expect("child.example.", dns.TypeDS, Secure, 0)
	w.expect("www.grand.child.example.", dns.TypeA, Secure, 0) // an anchor below it still holds

	w.v = mustValidator(t, Options{
		Anchors:         []Anchor{root},
		NegativeAnchors: []NegativeAnchor{{Zone: name("child.example."), Until: testTime}, {Zone: name("sibling.example.")}},
	})
	w.expect("www.child.example.", dns.TypeA, Bogus, ReasonBadSignature) // it has ended
	w.expect("www.sibling.example.", dns.TypeA, Insecure, ReasonNegativeAnchor)

	w.v = mustValidator(t, Options{ // at one zone the negative one wins
		Anchors:         []Anchor{root},
		NegativeAnchors: []NegativeAnchor{{Zone: dnsname.Root}},
	})
	w.expect("www.child.example.", dns.TypeA, Insecure, ReasonNegativeAnchor)
}

// TestFailedNeeds: a zone whose keys or DS cannot be had is Bogus.
func TestFailedNeeds(t *testing.T) {
	w := family(t, zoneOptions{})
	silent := errors.New("timeout")
	for label, c := range map[string]struct {
		fail func(Need) bool
		code ReasonCode
	}{
		"DNSKEY of the root":   {func(n Need) bool { return n.Name.IsRoot() }, ReasonNoDNSKEY},
		"DNSKEY of the child":  {func(n Need) bool { return n.Name == name("child.example.") && n.Type == dns.TypeDNSKEY }, ReasonNoDNSKEY},
		"DS asked for by name": {func(n Need) bool { return n.Type == dns.TypeDS }, ReasonUnavailable},
	} {
		w.tamper = nil
		if c.code == ReasonUnavailable {
			w.tamper = func(r *Response) *Response {
				c := *r
				if r.Kind == KindReferral {
					c.Authority = nil
				}
				return &c
			}
		}
		e, r := w.evidence(), (*Response)(nil)
		for zone := dnsname.Root; ; zone = r.Name {
			if r = w.ask(zone, name("www.child.example."), dns.TypeA); r.Kind != KindReferral {
				break
			}
			e.Add(r)
		}
		for {
			v, needs, err := e.Validate(r)
			if err != nil {
				t.Fatal(err)
			}
			if v != nil {
				if v.Status != Bogus || v.Reason.Code != c.code || !errors.Is(v.Err(), silent) || v.TTL != 0 {
					t.Errorf("%s: got %v (%v), %v", label, v.Status, v.Reason, v.Err())
				}
				break
			}
			for _, n := range needs {
				if c.fail(n) {
					e.Fail(n, silent)
				} else {
					w.fetch(e, n)
				}
			}
		}
	}
}

// TestNoDNSKEY: a zone with DS answers NODATA for its keys.
func TestNoDNSKEY(t *testing.T) {
	w := family(t, zoneOptions{})
	w.tamper = func(r *Response) *Response {
		c := *r
		if r.Type == dns.TypeDNSKEY && r.Name == name("child.example.") {
			c.Answer, c.Kind = nil, KindNoData
		}
		return &c
	}
	w.expect("www.child.example.", dns.TypeA, Bogus, ReasonNoDNSKEY)
}

// TestDSBehindAlias: a name searched for zone cuts has a CNAME.
func TestDSBehindAlias(t *testing.T) {
	for _, label := range []string{"nsec", "nsec3"} {
		w := family(t, flavours[label])
		for _, owner := range []string{"alias.child.example.", "foo.alias.child.example."} {
			bare := &RRset{Owner: name(owner), Type: dns.TypeCNAME, Class: dns.ClassINET, TTL: 60, Records: Pack("\x01x\x00")}
			r := &Response{Name: bare.Owner, Type: dns.TypeA, Kind: KindAlias, Answer: sets(bare), Zone: name("child.example.")}
			if v := w.judge(r); v.Status != Bogus {
				t.Errorf("%s: %s without signature: got %v, want bogus", label, owner, v.Status)
			}
			if d := w.last.Delegation(name(owner)); d == nil || d.Kind != NotDelegated {
				t.Errorf("%s: %s: got %+v, want no delegation", label, owner, d)
			}
		}
		broken := func(r *Response) *Response {
			c := *r
			if r.Type == dns.TypeDS && len(r.Answer) > 0 && r.Answer[0].Type == dns.TypeCNAME {
				c.Answer = sets(alterations["signature altered"](r.Answer[0]))
			}
			return &c
		}
		w.tamper = broken
		bare := &RRset{Owner: name("alias.child.example."), Type: dns.TypeCNAME, Class: dns.ClassINET, TTL: 60, Records: Pack("\x01x\x00")}
		w.notGood(&Response{Name: bare.Owner, Type: dns.TypeA, Kind: KindAlias, Answer: sets(bare), Zone: name("child.example.")}, "broken alias")
	}
}

// TestSignedBelowUnsigned: a zone that is signed though nobody vouches for it, and
// one more below it. Nobody is asked for DS that cannot exist.
func TestSignedBelowUnsigned(t *testing.T) {
	w := family(t, zoneOptions{})
	o := zoneOptions{}
	w.zones["unsigned.example."] = newTestZone(t, "unsigned.example.", childText+
		"deep NS ns.deep\n"+dsText(t, "deep.unsigned.example.", o)+"\n", o)
	w.zones["deep.unsigned.example."] = newTestZone(t, "deep.unsigned.example.", childText, o)
	for _, qname := range []string{"www.unsigned.example.", "www.deep.unsigned.example.", "nope.deep.unsigned.example."} {
		w.expect(qname, dns.TypeA, Insecure, ReasonUnsigned)
	}
	w.hosts["unsigned.example."] = []string{"deep.unsigned.example."}
	clear(w.asked)
	w.expect("www.deep.unsigned.example.", dns.TypeA, Insecure, ReasonUnsigned)
	e := w.evidence() // the keys are there already, so it is clear that no DS is needed
	for _, zone := range []string{".", "example."} {
		e.Add(w.ask(name(zone), name(zone), dns.TypeDNSKEY))
	}
	for _, zone := range []string{".", "example."} {
		e.Add(w.ask(name(zone), name("www.unsigned.example."), dns.TypeA))
	}
	clear(w.asked)
	v, err := w.validate(e, w.zones["deep.unsigned.example."].answer("www.deep.unsigned.example.", dns.TypeA))
	if err != nil || v.Status != Insecure || len(w.asked) != 0 {
		t.Errorf("got %+v, %v after asking %v, want insecure at once", v, err, w.asked)
	}
	e = w.evidence() // the cut is known, but no longer how
	e.Add(w.ask(name("example."), name("www.unsigned.example."), dns.TypeA))
	e.AddCut(name("deep.unsigned.example."))
	v, err = w.validate(e, w.zones["deep.unsigned.example."].answer("www.deep.unsigned.example.", dns.TypeA))
	if err != nil || v.Status != Insecure {
		t.Errorf("got %+v, %v, want insecure", v, err)
	}
}

// TestBrokenDS: the parent's DS RRset does not verify.
func TestBrokenDS(t *testing.T) {
	for how, alter := range alterations {
		w := family(t, zoneOptions{})
		parent := w.zones["example."]
		id := setName{"child.example.", dns.TypeDS}
		parent.signed[id] = alter(parent.set("child.example.", dns.TypeDS))
		v, err := w.resolve("www.child.example.", dns.TypeA)
		if err != nil || v.Status != Bogus {
			t.Errorf("%s: got %+v, %v, want bogus", how, v, err)
		}
		if v, err := w.resolve("www.grand.child.example.", dns.TypeA); err != nil || v.Status != Bogus {
			t.Errorf("%s, below: got %+v, %v, want bogus", how, v, err)
		}
		w.expect("www.sibling.example.", dns.TypeA, Secure, 0)
	}
}

// TestWildcardDS: no zone cut is made from a wildcard.
func TestWildcardDS(t *testing.T) {
	w := family(t, zoneOptions{})
	child := w.zones["child.example."]
	ds := *w.zones["grand.child.example."].ds()
	ds.Hdr = dns.RR_Header{Name: "a.wild.child.example.", Rrtype: dns.TypeDS, Class: dns.ClassINET, Ttl: 60}
	set := resigned(t, child, mustSet(t, &ds), func(s *dns.RRSIG) { s.Labels = 3 })
	e := w.evidence()
	e.Add(&Response{Name: set.Owner, Kind: KindReferral, Authority: sets(set)})
	v, err := w.validate(e, w.zones["grand.child.example."].answer("www.grand.child.example.", dns.TypeA))
	if err != nil || v.Status != Secure { // elsewhere it does not matter
		t.Errorf("got %+v, %v", v, err)
	}
	d, _, err := e.Judge(set.Owner)
	if err != nil || d == nil || d.Kind != DelegationBogus || d.Reason.Code != ReasonLabels {
		t.Errorf("got %+v, %v, want it refused", d, err)
	}
}

// TestSpareRecords: denial records beyond those the proof takes are listed if they
// are as good, and do no harm if not.
func TestSpareRecords(t *testing.T) {
	w := family(t, zoneOptions{})
	child := w.zones["child.example."]
	r := child.answer("nope.child.example.", dns.TypeA)
	spare := child.matching("www.child.example.")
	for label, c := range map[string]struct {
		set    *RRset
		listed bool
	}{
		"good":            {spare, true},
		"broken":          {alterations["signature altered"](spare), false},
		"of another zone": {w.zones["sibling.example."].matching("www.sibling.example."), false},
	} {
		more := *r
		more.Authority = append(slices.Clone(r.Authority), c.set)
		v := w.judge(&more)
		if v.Status != Secure || v.has(c.set) != c.listed {
			t.Errorf("%s: got %v, listed %v, want secure, listed %v", label, v.Status, v.has(c.set), c.listed)
		}
	}
}

// TestForgedBeside: a forged record that would fit is passed over for the true one.
func TestForgedBeside(t *testing.T) {
	w := family(t, zoneOptions{})
	child := w.zones["child.example."]
	r := child.answer("nope.child.example.", dns.TypeA)
	forged := record(t, "nob.child.example. 60 IN NSEC noz.child.example. A RRSIG NSEC")
	forged.Signatures = child.denial(0).Signatures
	r.Authority = append(sets(forged), r.Authority...)
	if v := w.judge(r); v.Status != Secure || v.has(forged) {
		t.Errorf("got %v (%v), want secure without the forged record", v.Status, v.Reason)
	}
}

// TestWithoutSignature: of the data's own failure and the zone's above, the one that
// tells more is the reason.
func TestWithoutSignature(t *testing.T) {
	zone := &zoneState{status: Bogus, reason: Reason{Code: ReasonNoDNSKEY}}
	for _, c := range []struct {
		st      *zoneState
		failure ReasonCode
		status  Status
		reason  ReasonCode
	}{
		{nil, ReasonNoSignature, Bogus, ReasonNoSignature},
		{nil, ReasonExpired, Bogus, ReasonExpired},
		{zone, ReasonNoSignature, Bogus, ReasonNoDNSKEY},
		{zone, ReasonNoDenial, Bogus, ReasonNoDNSKEY},
		{zone, ReasonExpired, Bogus, ReasonExpired},
		{zone, ReasonWrongDenial, Bogus, ReasonWrongDenial},
		{&zoneState{status: Insecure, reason: Reason{Code: ReasonUnsigned}}, ReasonExpired, Insecure, ReasonUnsigned},
	} {
		j := c.st.withoutSignature(Reason{Code: c.failure}, 60)
		if j.status != c.status || j.reason.Code != c.reason {
			t.Errorf("%+v, %s: got %v (%s), want %v (%s)", c.st, c.failure.phrase(), j.status, j.reason.Code.phrase(), c.status, c.reason.phrase())
		}
	}
}
