package dnssec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// TestFollow: which answers follow from the name asked.
func TestFollow(t *testing.T) {
	long := strings.Repeat(strings.Repeat("l", 40)+".", 5)
	for _, c := range []struct {
		label   string
		kind    ResponseKind
		qname   string
		qtype   uint16
		records []string
		sname   string // "": refused
		steps   int
	}{
		{"plain", KindAnswer, "a.example.", dns.TypeA, []string{"a.example. A 192.0.2.1"}, "a.example.", 1},
		{"alias and target", KindAnswer, "a.example.", dns.TypeA, []string{"a.example. CNAME b.example.", "b.example. A 192.0.2.1"}, "b.example.", 2},
		{"alias alone", KindAlias, "a.example.", dns.TypeA, []string{"a.example. CNAME b.example."}, "b.example.", 1},
		{"alias alone as answer", KindAnswer, "a.example.", dns.TypeA, []string{"a.example. CNAME b.example."}, "", 0},
		{"alias asked for", KindAnswer, "a.example.", dns.TypeCNAME, []string{"a.example. CNAME b.example."}, "a.example.", 1},
		{"alias, then nothing", KindNameError, "a.example.", dns.TypeA, []string{"a.example. CNAME b.example."}, "b.example.", 1},
		{"answer as name error", KindNameError, "a.example.", dns.TypeA, []string{"a.example. A 192.0.2.1"}, "", 0},
		{"alias in the wrong order", KindAnswer, "a.example.", dns.TypeA, []string{"b.example. A 192.0.2.1", "a.example. CNAME b.example."}, "", 0},
		{"another name", KindAnswer, "a.example.", dns.TypeA, []string{"b.example. A 192.0.2.1"}, "", 0},
		{"another type", KindAnswer, "a.example.", dns.TypeA, []string{"a.example. AAAA 2001:db8::1"}, "", 0},
		{"something behind", KindAnswer, "a.example.", dns.TypeA, []string{"a.example. A 192.0.2.1", "b.example. A 192.0.2.1"}, "", 0},
		{"ANY", KindAnswer, "a.example.", dns.TypeANY, []string{"a.example. A 192.0.2.1", "a.example. TXT x", "a.example. CNAME b."}, "a.example.", 3},
		{"DNAME", KindAlias, "x.a.example.", dns.TypeA, []string{"a.example. DNAME b.example."}, "x.b.example.", 1},
		{"DNAME with its CNAME", KindAlias, "x.a.example.", dns.TypeA, []string{"a.example. DNAME b.example.", "x.a.example. CNAME x.b.example."}, "x.b.example.", 2},
		{"DNAME with another CNAME", KindAlias, "x.a.example.", dns.TypeA, []string{"a.example. DNAME b.example.", "x.a.example. CNAME y.b.example."}, "", 0},
		{"DNAME with two CNAMEs", KindAlias, "x.a.example.", dns.TypeA,
			[]string{"a.example. DNAME b.example.", "x.a.example. CNAME x.b.example.", "x.a.example. CNAME x.b.example. ;"}, "x.b.example.", 2},
		{"DNAME and answer", KindAnswer, "x.a.example.", dns.TypeA,
			[]string{"a.example. DNAME b.example.", "x.a.example. CNAME x.b.example.", "x.b.example. A 192.0.2.1"}, "x.b.example.", 3},
		{"DNAME, answer, and its CNAME", KindAnswer, "x.a.example.", dns.TypeA,
			[]string{"a.example. DNAME b.example.", "x.b.example. A 192.0.2.1", "x.a.example. CNAME x.b.example."}, "", 0},
		{"DNAME at the name itself", KindAlias, "a.example.", dns.TypeA, []string{"a.example. DNAME b.example."}, "", 0},
		{"DNAME asked for", KindAnswer, "a.example.", dns.TypeDNAME, []string{"a.example. DNAME b.example."}, "a.example.", 1},
		{"DNAME beside the name", KindAlias, "x.example.", dns.TypeA, []string{"a.example. DNAME b.example."}, "", 0},
		{"DNAME to a name too long", KindAlias, long + "a.example.", dns.TypeA, []string{"a.example. DNAME " + long + "b.example."}, long + "a.example.", 1},
		{"two DNAMEs", KindAlias, "x.a.example.", dns.TypeA, []string{"a.example. DNAME b.example.", "b.example. DNAME c.example."}, "x.c.example.", 2},
		{"nothing as alias", KindAlias, "a.example.", dns.TypeA, nil, "", 0},
		{"nothing", KindNoData, "a.example.", dns.TypeA, nil, "a.example.", 0},
		{"referral with answer", KindReferral, "a.example.", dns.TypeA, []string{"a.example. A 192.0.2.1"}, "", 0},
		{"loop", KindAlias, "a.example.", dns.TypeA, []string{"a.example. CNAME a.example."}, "a.example.", 1},
	} {
		r := &Response{Name: name(c.qname), Type: c.qtype, Kind: c.kind}
		for _, text := range c.records {
			owner, rest, _ := strings.Cut(text, " ")
			r.Answer = append(r.Answer, record(t, owner+" 60 IN "+rest))
		}
		if c.label == "DNAME with two CNAMEs" { // a CNAME RRset of two records
			r.Answer = r.Answer[:2]
		}
		steps, sname, ok := r.follow(nil)
		if !ok {
			sname = ""
		}
		if sname.String() != c.sname || ok && len(steps) != c.steps {
			t.Errorf("%s: got %d steps to %q, want %d to %q", c.label, len(steps), sname, c.steps, c.sname)
		}
	}
	two := record(t, "a.example. 60 IN CNAME b.example.")
	two.Records = two.Records.With("\x01c\x00")
	for _, set := range []*RRset{two, {Owner: two.Owner, Type: dns.TypeCNAME, Records: Pack("\x05short")}} {
		r := &Response{Name: two.Owner, Type: dns.TypeA, Kind: KindAlias, Answer: sets(set)}
		if _, _, ok := r.follow(nil); ok {
			t.Errorf("%q: was followed", set.Records)
		}
	}
}

// TestAliases: chains inside one response, each step proven.
func TestAliases(t *testing.T) {
	w := family(t, zoneOptions{})
	child := w.zones["child.example."]
	alias, www := child.set("alias.child.example.", dns.TypeCNAME), child.set("www.child.example.", dns.TypeA)
	r := &Response{Name: alias.Owner, Type: dns.TypeA, Answer: sets(alias, www), Zone: name("child.example.")}
	v := w.judge(r)
	if v.Status != Secure || len(v.Sets) != 2 {
		t.Fatalf("got %+v, want Secure", v)
	}
	for how, alter := range alterations {
		for _, s := range r.Answer {
			altered := alter(s)
			if s == alias && how == "record added" {
				continue // then it is no alias at all
			}
			if v := w.judge(with(r, s, altered)); v.Status != Bogus {
				t.Errorf("%s, %s: got %v, want bogus", withRole(r, s), how, v.Status)
			}
		}
	}

	dname := child.set("old.child.example.", dns.TypeDNAME)
	made := record(t, "x.old.child.example. 60 IN CNAME x.new.child.example.")
	r = &Response{Name: made.Owner, Type: dns.TypeA, Kind: KindAlias, Answer: sets(dname, made)}
	v = w.judge(r)
	if v.Status != Secure || len(v.Sets) != 2 || v.Sets[1].Status != Secure || v.Sets[1].TTL != v.Sets[0].TTL {
		t.Errorf("DNAME with its CNAME: got %+v, want Secure", v)
	}
	made = record(t, "x.old.child.example. 60 IN CNAME x.evil.example.")
	if v := w.judge(with(r, r.Answer[1], made)); v.Status != Bogus || v.Reason.Code != ReasonAlias {
		t.Errorf("DNAME with another CNAME: got %v (%v), want bogus", v.Status, v.Reason)
	}

	// An alias, and the proof that its target does not exist.
	gone := record(t, "gone.child.example. 60 IN CNAME nope.child.example.")
	gone = resigned(t, child, gone, func(*dns.RRSIG) {})
	r = &Response{Name: gone.Owner, Type: dns.TypeA, Kind: KindNameError, Answer: sets(gone),
		Authority: child.answer("nope.child.example.", dns.TypeA).Authority}
	if v := w.judge(r); v.Status != Secure || !v.Denial.NameError {
		t.Errorf("alias to nothing: got %+v, want Secure", v)
	}
	r.Authority = child.answer("nope2.www.child.example.", dns.TypeA).Authority
	w.notGood(r, "alias with the proof of another name")

	// The worst of the steps decides.
	out := record(t, "www.unsigned.example. 60 IN A 192.0.2.1")
	cname := resigned(t, child, record(t, "far.child.example. 60 IN CNAME www.unsigned.example."), func(*dns.RRSIG) {})
	v = w.judge(&Response{Name: cname.Owner, Type: dns.TypeA, Answer: sets(cname, out)})
	if v.Status != Insecure || v.Sets[0].Status != Secure || v.Sets[1].Status != Insecure || v.AuthenticData() {
		t.Errorf("alias into an unsigned zone: got %+v, want insecure", v)
	}
}

// TestWildcardDNAME: a DNAME that was made from a wildcard redirects nothing.
func TestWildcardDNAME(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	wild := record(t, "*.example. 60 IN DNAME other.")
	wild = resigned(t, w.zone, wild, func(*dns.RRSIG) {})
	made := expanded(wild, "a.example.")
	r := &Response{Name: name("x.a.example."), Type: dns.TypeA, Kind: KindAlias, Answer: sets(made), Authority: w.zone.covers("a.example.", "a.example.")}
	w.notGood(r, "wildcard DNAME")
}

// TestTooManySets: more than an ANY answer may have.
func TestTooManySets(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	r := &Response{Name: name("www.example."), Type: dns.TypeANY}
	for i := range maxAnswerSets + 1 {
		r.Answer = append(r.Answer, &RRset{Owner: r.Name, Type: uint16(1000 + i), Class: dns.ClassINET, Records: Pack("x")})
	}
	w.notGood(r, "too many sets")
	w.notGood(&Response{Name: name("www.example."), Kind: KindReferral}, "referral")
}

// TestSOAOfAnotherZone: the SOA of a negative response is the proving zone's.
func TestSOAOfAnotherZone(t *testing.T) {
	w := family(t, zoneOptions{})
	child, parent := w.zones["child.example."], w.zones["example."]
	r := child.answer("nope.child.example.", dns.TypeA)
	soa := r.Authority[0]
	w.notGood(with(r, soa, parent.set("example.", dns.TypeSOA)), "SOA of the parent")
	w.notGood(with(r, soa, w.zones["sibling.example."].set("sibling.example.", dns.TypeSOA)), "SOA of the sibling")
	v := w.judge(without(r, soa))
	if v.Status != Secure || v.TTL != 300 {
		t.Errorf("without SOA: got %+v, want Secure for 300 s", v)
	}
	v = w.judge(w.zones["unsigned.example."].answer("nope.unsigned.example.", dns.TypeA))
	if v.Status != Insecure || v.TTL != 3600 {
		t.Errorf("unsigned: got %+v, want Insecure with the SOA's TTL", v)
	}
	if v := w.judge(&Response{Name: name("nope.unsigned.example."), Type: dns.TypeA, Kind: KindNameError, Zone: name("unsigned.example.")}); v.TTL != 0 {
		t.Errorf("unsigned without SOA: got TTL %d, want 0", v.TTL)
	}
}

// TestDeniedFromAbove: an unanchored zone denies what is below a trust anchor. That says
// nothing against the anchored zone's records, which still have to be signed.
func TestDeniedFromAbove(t *testing.T) {
	o := zoneOptions{}
	island := newTestZone(t, "island.plain.", childText, o)
	above := newTestZone(t, "plain.", "@ SOA ns h 1 2 3 4 300\nwww A 192.0.2.1\n", o)
	w := newWorld(t, island)
	denial := above.answer("www.island.plain.", dns.TypeA)
	denial.Zone = name("plain.")
	v := w.judge(denial)
	if v.Status != Indeterminate || v.Reason.Code != ReasonNoAnchor {
		t.Errorf("signed denial from above: got %v (%v), want indeterminate for want of an anchor", v.Status, v.Reason)
	}

	stripped := *denial
	stripped.Authority = nil
	for _, s := range denial.Authority {
		stripped.Authority = append(stripped.Authority, resigned(t, above, s, func(sig *dns.RRSIG) { sig.TypeCovered = dns.TypeTXT }))
	}
	w.notGood(&stripped, "denial from above without signatures")
	below := *denial
	below.Zone = name("island.plain.")
	w.notGood(&below, "denial by the island's own server in the name of the zone above")

	// What would make positive data of the island insecure: DS denied from above.
	w.tamper = func(r *Response) *Response {
		forged := *above.answer(r.Name.String(), r.Type)
		forged.Zone = name("plain.")
		return &forged
	}
	bare := record(t, "www.island.plain. 60 IN A 203.0.113.66")
	for _, zone := range []string{"plain.", "island.plain."} {
		w.notGood(&Response{Name: bare.Owner, Type: dns.TypeA, Zone: name(zone), Answer: sets(bare)}, "unsigned address, asked in "+zone)
	}
	w.tamper = nil

	// The zone above is anchored too: then its denial has to be proven.
	w.v = mustValidator(t, Options{Anchors: []Anchor{island.anchor(), above.anchor()}})
	w.zones["plain."] = above
	for _, s := range denial.Authority {
		w.notGood(without(denial, s), "denial by an anchored zone, a record missing")
	}
}

// TestDeniedBeside: the denial of a DS that came with an alias is as good as one asked
// for, and altered as bad as none.
func TestDeniedBeside(t *testing.T) {
	for _, o := range []zoneOptions{{}, {nsec3: true}} {
		w := family(t, o)
		parent := w.zones["example."]
		alias := resigned(t, parent, record(t, "far.example. 60 IN CNAME www.unsigned.example."), func(*dns.RRSIG) {})
		denial := parent.denyDS("unsigned.example.")
		address := &Response{Name: name("www.unsigned.example."), Type: dns.TypeA, Zone: name(parent.name),
			Answer: sets(record(t, "www.unsigned.example. 60 IN A 192.0.2.1"))}
		ask := func(beside []*RRset) (*Verdict, int) {
			e := w.evidence()
			if _, err := w.validate(e, &Response{Name: alias.Owner, Type: dns.TypeA, Kind: KindAlias, Zone: name(parent.name), Answer: sets(alias), Authority: beside}); err != nil {
				t.Fatal(err)
			}
			before := w.asked["unsigned.example. DS"]
			v, err := w.validate(e, address)
			if err != nil {
				t.Fatal(err)
			}
			return v, w.asked["unsigned.example. DS"] - before
		}
		if v, asked := ask(nil); v.Status != Insecure || asked != 1 {
			t.Errorf("NSEC3 %v, nothing beside: got %v and %d questions for DS, want insecure and 1", o.nsec3, v.Status, asked)
		}
		if v, asked := ask(denial); v.Status != Insecure || asked != 0 {
			t.Errorf("NSEC3 %v, denial beside: got %v and %d questions for DS, want insecure and 0", o.nsec3, v.Status, asked)
		}
		for how, alter := range alterations {
			var altered []*RRset
			for _, s := range denial {
				altered = append(altered, alter(s))
			}
			if _, asked := ask(altered); asked != 1 {
				t.Errorf("NSEC3 %v, %s: the altered denial was used", o.nsec3, how)
			}
		}
		other := w.zones["child.example."].answer("nope.child.example.", dns.TypeA).Authority
		if _, asked := ask(other); asked != 1 {
			t.Errorf("NSEC3 %v: another zone's denial was used", o.nsec3)
		}
	}
}

// TestDenialDetails: what a verdict tells those who want to reuse a proof.
func TestDenialDetails(t *testing.T) {
	for label, c := range map[string]struct {
		flavour string
		qname   string
		want    Denial
	}{
		"name error":        {"nsec", "a.b.nope.", Denial{NameError: true, ClosestEncloser: name("child.example."), NextCloser: name("nope.child.example.")}},
		"name error, NSEC3": {"nsec3", "a.b.nope.", Denial{NameError: true, ClosestEncloser: name("child.example."), NextCloser: name("nope.child.example.")}},
		"opt-out":           {"nsec3 opt-out", "nope.", Denial{NameError: true, OptOut: true, ClosestEncloser: name("child.example."), NextCloser: name("nope.child.example.")}},
		"no data":           {"nsec", "www.", Denial{}},
		"compact":           {"compact denial", "nope.", Denial{NameError: true, Compact: true}},
	} {
		w := family(t, flavours[c.flavour])
		v, err := w.resolve(c.qname+"child.example.", dns.TypeTXT)
		if err != nil || v.Denial == nil {
			t.Fatalf("%s: got %+v, %v", label, v, err)
		}
		got := *v.Denial
		if len(got.Records) == 0 {
			t.Errorf("%s: no records", label)
		}
		got.Records = nil
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %+v, want %+v", label, got, c.want)
		}
	}
	w := family(t, zoneOptions{})
	v := w.expect("a.b.c.wild.child.example.", dns.TypeMX, Secure, 0)
	if s := v.Sets[0]; s.Wildcard != name("*.wild.child.example.") || len(s.Expansion) != 1 || s.Zone != name("child.example.") {
		t.Errorf("wildcard: got %+v", s)
	}
	if v.Denial != nil || v.Zone != name("child.example.") {
		t.Errorf("wildcard: got %+v", v)
	}
}

// TestNewResponse makes responses of messages.
func TestNewResponse(t *testing.T) {
	w := family(t, zoneOptions{})
	message := func(r *Response, qname string, rcode int) *dns.Msg {
		m := new(dns.Msg).SetQuestion(qname, r.Type)
		m.Rcode = rcode
		for _, s := range r.Answer {
			rrs, err := s.AppendRRs(nil, s.TTL, true)
			if err != nil {
				t.Fatal(err)
			}
			m.Answer = append(m.Answer, rrs...)
		}
		for _, s := range r.Authority {
			rrs, err := s.AppendRRs(nil, s.TTL, true)
			if err != nil {
				t.Fatal(err)
			}
			slices.Reverse(rrs) // signatures may come first
			m.Ns = append(m.Ns, rrs...)
		}
		if r.Kind == KindReferral {
			m.Ns = append(m.Ns, &dns.NS{Hdr: dns.RR_Header{Name: r.Name.String(), Rrtype: dns.TypeNS, Class: dns.ClassINET}, Ns: "ns."})
		}
		m.SetEdns0(1232, true)
		m.Ns = append(m.Ns, m.Extra...)
		return m
	}
	for _, c := range []struct {
		zone, qname string
		qtype       uint16
		kind        ResponseKind
		rcode       int
	}{
		{"child.example.", "www.child.example.", dns.TypeA, KindAnswer, 0},
		{"child.example.", "alias.child.example.", dns.TypeA, KindAlias, 0},
		{"child.example.", "www.child.example.", dns.TypeTXT, KindNoData, 0},
		{"child.example.", "nope.child.example.", dns.TypeA, KindNameError, dns.RcodeNameError},
		{"example.", "www.child.example.", dns.TypeA, KindReferral, 0},
		{"example.", "www.unsigned.example.", dns.TypeA, KindReferral, 0},
		{"unsigned.example.", "nope.unsigned.example.", dns.TypeANY, KindNameError, dns.RcodeNameError},
	} {
		want := w.zones[c.zone].answer(c.qname, c.qtype)
		got, err := NewResponse(message(want, c.qname, c.rcode), c.zone)
		if err != nil || got.Kind != c.kind || got.Name != want.Name || got.Zone != name(c.zone) {
			t.Errorf("%s: got %+v, %v, want %v of %s", c.qname, got, err, c.kind, want.Name)
			continue
		}
		if got.Kind != KindReferral {
			if v, before := w.judge(got), w.judge(want); v.Status != before.Status {
				t.Errorf("%s: got %v (%v), want %v", c.qname, v.Status, v.Reason, before.Status)
			}
		}
	}
	empty, err := NewResponse(new(dns.Msg).SetQuestion("example.", dns.TypeA), "")
	if err != nil || empty.Kind != KindNoData {
		t.Errorf("empty: got %+v, %v", empty, err)
	}
	sig := w.zones["child.example."].set("www.child.example.", dns.TypeA)
	m := new(dns.Msg).SetQuestion("www.child.example.", dns.TypeRRSIG)
	rrs, err := sig.AppendRRs(nil, 60, true)
	if err != nil {
		t.Fatal(err)
	}
	m.Answer = rrs[len(rrs)-1:]
	if r, err := NewResponse(m, ""); err != nil || r.Kind != KindAnswer || r.Answer[0].Type != dns.TypeRRSIG || r.Answer[0].Len() != 1 {
		t.Errorf("RRSIG: got %+v, %v", r, err)
	}
	m.Question[0].Qtype = dns.TypeA
	if r, err := NewResponse(m, ""); err != nil || len(r.Answer) != 0 {
		t.Errorf("stray RRSIG: got %+v, %v", r, err)
	}
}

func TestNewResponseErrors(t *testing.T) {
	good := func() *dns.Msg { return new(dns.Msg).SetQuestion("example.", dns.TypeA) }
	bad := &dns.A{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeA, Class: dns.ClassINET}, A: []byte{1, 2}}
	badSig := &dns.RRSIG{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeRRSIG, Class: dns.ClassINET}, SignerName: "a..b"}
	for label, change := range map[string]func(*dns.Msg) string{
		"no question":   func(m *dns.Msg) string { m.Question = nil; return "" },
		"class CH":      func(m *dns.Msg) string { m.Question[0].Qclass = dns.ClassCHAOS; return "" },
		"bad name":      func(m *dns.Msg) string { m.Question[0].Name = "a..b."; return "" },
		"bad zone":      func(m *dns.Msg) string { return "a..b." },
		"SERVFAIL":      func(m *dns.Msg) string { m.Rcode = dns.RcodeServerFailure; return "" },
		"bad answer":    func(m *dns.Msg) string { m.Answer = []dns.RR{bad}; return "" },
		"bad authority": func(m *dns.Msg) string { m.Ns = []dns.RR{bad}; return "" },
		"bad signature": func(m *dns.Msg) string { m.Question[0].Qtype = dns.TypeRRSIG; m.Answer = []dns.RR{badSig}; return "" },
	} {
		m := good()
		zone := change(m)
		if r, err := NewResponse(m, zone); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: got %+v, %v", label, r, err)
		}
	}
}

// TestSynthesise answers from records kept of other responses.
func TestSynthesise(t *testing.T) {
	for _, label := range []string{"nsec", "nsec3", "nsec3 opt-out"} {
		o := flavours[label]
		w := family(t, o)
		child := w.zones["child.example."]
		all := func(names ...string) (out []*RRset) {
			for _, n := range names {
				for _, s := range child.answer(n+"child.example.", dns.TypeTXT).Authority {
					if isDenial(s.Type) {
						out = append(out, s)
					}
				}
			}
			return sets(out...)
		}
		for _, c := range []struct {
			label   string
			records []*RRset
			qname   string
			qtype   uint16
			want    string // "", "name error", "no data", or a wildcard
		}{
			{"the same name", all("nope."), "nope.child.example.", dns.TypeA, "name error"},
			{"below it", all("nope."), "x.y.nope.child.example.", dns.TypeA, "name error"},
			{"no data", all("www."), "www.child.example.", dns.TypeMX, "no data"},
			{"data", all("www."), "www.child.example.", dns.TypeA, ""},
			{"wildcard with data", all("a.wild."), "b.c.wild.child.example.", dns.TypeA, "*.wild.child.example."},
			{"wildcard without data", all("a.wild."), "a.wild.child.example.", dns.TypeTXT, "no data"},
			{"another zone", all("nope."), "nope.example.", dns.TypeA, ""},
			{"nothing known", nil, "nope.child.example.", dns.TypeA, ""},
			{"DS of the zone itself", all("www."), "child.example.", dns.TypeDS, ""},
		} {
			if o.optOut && (c.want == "name error" || c.label == "wildcard without data" || strings.HasPrefix(c.want, "*")) {
				c.want = ""
			}
			if c.label == "wildcard with data" && o.nsec3 {
				c.records = append(c.records, all("b.c.wild.")...)
				c.records = sets(c.records...)
			}
			d, err := Synthesise(name("child.example."), name(c.qname), c.qtype, c.records, NewWork(Limits{}))
			got := ""
			switch {
			case err != nil:
				t.Fatal(err)
			case d == nil:
			case d.NameError:
				got = "name error"
			case d.Wildcard != "":
				got = d.Wildcard.String()
			default:
				got = "no data"
			}
			if got != c.want {
				t.Errorf("%s, %s: got %q (%+v), want %q", label, c.label, got, d, c.want)
			}
			if d != nil && len(d.Records) == 0 {
				t.Errorf("%s, %s: no records", label, c.label)
			}
		}
	}
	w := family(t, flavours["compact denial"])
	child := w.zones["child.example."]
	s := child.compactDenial("nope.child.example.", dns.TypeNXNAME)
	for _, qname := range []string{"nope.child.example.", "x.nope.child.example.", "nopf.child.example."} {
		if d, err := Synthesise(name("child.example."), name(qname), dns.TypeA, sets(s), NewWork(Limits{})); d != nil || err != nil {
			t.Errorf("compact, %s: got %+v, %v, want nothing", qname, d, err)
		}
	}
	nsec3 := family(t, flavours["nsec3"]).zones["child.example."].denial(0)
	many := make([]*RRset, DefaultNSEC3Records+1)
	for i := range many {
		many[i] = nsec3
	}
	var le *LimitError
	if _, err := Synthesise(name("child.example."), name("x.child.example."), dns.TypeA, many, NewWork(Limits{})); !errors.As(err, &le) {
		t.Errorf("got %v, want a limit", err)
	}
	work := NewWork(Limits{NSEC3Hashes: 1})
	if _, err := Synthesise(name("child.example."), name("x.y.child.example."), dns.TypeA, sets(nsec3), work); !errors.As(err, &le) {
		t.Errorf("got %v, want a limit", err)
	}
}

// TestVerifyChainErrors: chains that do not hold.
func TestVerifyChainErrors(t *testing.T) {
	w := family(t, zoneOptions{})
	v := w.expect("www.child.example.", dns.TypeA, Secure, 0)
	chain := v.Chain(w.final)
	anchors := []Anchor{w.zones["."].anchor()}
	if got, err := VerifyChain(chain, anchors, testTime); err != nil || got.Status != Secure {
		t.Fatalf("got %+v, %v, want Secure", got, err)
	}
	for i := range chain {
		if i == len(chain)-1 {
			continue
		}
		if got, err := VerifyChain(slices.Delete(slices.Clone(chain), i, i+1), anchors, testTime); !errors.Is(err, ErrChain) {
			t.Errorf("without %s: got %+v, %v, want it to be incomplete", &chain[i], got, err)
		}
	}
	var bogus *BogusError
	for i := range chain {
		for j := range chain[i].Answer {
			broken := slices.Clone(chain)
			broken[i].Answer = slices.Clone(chain[i].Answer)
			broken[i].Answer[j] = alterations["signature altered"](chain[i].Answer[j])
			if got, err := VerifyChain(broken, anchors, testTime); !errors.As(err, &bogus) {
				t.Errorf("%s altered: got %+v, %v, want bogus", &chain[i], got, err)
			}
		}
	}
	if _, err := VerifyChain(chain, anchors, testValidity.expiration.Add(1e9)); !errors.As(err, &bogus) || bogus.Reason.Code != ReasonExpired {
		t.Errorf("later: got %v, want bogus", err)
	}
	if _, err := VerifyChain(chain, nil, testTime); !errors.As(err, &bogus) { // the real root signed none of this
		t.Errorf("with the default anchors: got %v, want bogus", err)
	}
	if _, err := VerifyChain(nil, anchors, testTime); !errors.Is(err, ErrChain) {
		t.Errorf("empty: got %v", err)
	}
	if _, err := VerifyChain(chain, []Anchor{{}}, testTime); !errors.Is(err, ErrAnchor) {
		t.Errorf("zero anchor: got %v", err)
	}
	var le *LimitError
	last := &chain[len(chain)-1]
	many := slices.Clone(chain)
	many[len(many)-1].Answer = sets(badSignatures(w.zones["child.example."], last.Answer[0], 20))
	if _, err := VerifyChain(many, anchors, testTime); !errors.As(err, &le) {
		t.Errorf("many signatures: got %v, want a limit", err)
	}
	if got := chain[0].String(); got != ". DNSKEY answer" {
		t.Errorf("got %q", got)
	}
}

// TestReasons: each code has words and an EDE code of its own choice.
func TestReasons(t *testing.T) {
	seen := map[string]bool{"unknown reason": true}
	for c := ReasonNoAnchor; c <= ReasonUnavailable; c++ {
		if p := c.phrase(); seen[p] || p == "" {
			t.Errorf("reason %d: got %q", c, p)
		} else {
			seen[p] = true
		}
		r := Reason{Code: c, Name: dnsname.Root, Type: dns.TypeA, KeyTag: 7}
		if code, ok := r.EDE(); ok && (code == 0 || code > 30) {
			t.Errorf("%v: got EDE %d", r, code)
		}
		if want := c.phrase() + ": . A (key 7)"; r.String() != want {
			t.Errorf("got %q, want %q", r, want)
		}
	}
	if got := (Reason{}).String(); got != "" {
		t.Errorf("got %q for nothing", got)
	}
	if _, ok := (Reason{}).EDE(); ok {
		t.Error("nothing has an EDE code")
	}
	if c := ReasonCode(200); c.phrase() != "unknown reason" || c.ede() != dns.ExtendedErrorCodeDNSBogus {
		t.Error("an unknown code has no name")
	}
	if got := (&BogusError{Reason{Code: ReasonExpired, Name: name("example.")}}).Error(); got != "bogus: signature expired: example." {
		t.Errorf("got %q", got)
	}
	if v := (Verdict{Status: Insecure}); v.Err() != nil {
		t.Errorf("got %v", v.Err())
	}
}

// TestNames of things that traces show.
func TestNames(t *testing.T) {
	key := Key{Flags: 257 | 0x80, Algorithm: 13, Tag: 7}
	for got, want := range map[string]string{
		key.String():                                            "key 7 ECDSAP256SHA256 SEP revoked",
		(Key{Algorithm: 200}).String():                          "key 0 ALG200 not a zone key",
		(DS{7, 8, 2, ""}).String():                              "DS 7 RSASHA256 SHA256",
		(DS{7, 8, 99, ""}).String():                             "DS 7 RSASHA256 DIGEST99",
		fmt.Sprint(Indeterminate, Insecure):                     "indeterminate insecure",
		fmt.Sprint(Secure, Bogus, Status(9)):                    "secure bogus unknown",
		fmt.Sprint(KindAnswer, KindAlias):                       "answer alias",
		fmt.Sprint(KindNoData, KindNameError):                   "nodata name error",
		fmt.Sprint(KindReferral, ResponseKind(9)):               "referral unknown",
		fmt.Sprint(DelegationBogus, DelegationSigned):           "bogus signed",
		fmt.Sprint(DelegationUnsigned, NotDelegated):            "unsigned not delegated",
		fmt.Sprint(DelegationKind(9)):                           "unknown",
		typeName(dns.TypeA) + " " + typeName(65280):             "A TYPE65280",
		fmt.Sprint(Secure.Worst(Insecure), Bogus.Worst(Secure)): "insecure bogus",
		fmt.Sprint(Insecure.Worst(Indeterminate)):               "indeterminate",
		fmt.Sprint(Status(9).Worst(Secure)):                     "unknown",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestJudgeForTraces: the state of each cut as a trace shows it.
func TestJudgeForTraces(t *testing.T) {
	w := family(t, zoneOptions{})
	w.expect("www.child.example.", dns.TypeA, Secure, 0)
	e := w.last
	z, needs, err := e.JudgeZone(name("child.example."))
	if err != nil || needs != nil || z.Status != Secure || z.Keys == nil {
		t.Errorf("got %+v, %v, %v", z, needs, err)
	}
	if _, needs, _ = e.JudgeZone(name("sibling.example.")); len(needs) != 2 {
		t.Errorf("got %v, want DS and DNSKEY to be needed", needs)
	}
	e = w.evidence()
	e.work.limits.SignatureChecks = 0
	e.Add(w.ask(dnsname.Root, name("www.example."), dns.TypeA))
	e.Add(w.ask(dnsname.Root, dnsname.Root, dns.TypeDNSKEY))
	if _, _, err := e.JudgeZone(dnsname.Root); err == nil {
		t.Error("the limit was not noticed")
	}
	if _, _, err := e.Judge(name("example.")); err == nil {
		t.Error("the limit was not noticed")
	}
}
