package dnssec

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// FuzzSignature passes an RRset and a signature of it to a zone with one key. Only what
// has the canonical form of the set that the zone signed may be Secure.
func FuzzSignature(f *testing.F) {
	w := newKeyedWorld(f, zoneOptions{})
	www := w.zone.set("www.example.", dns.TypeA)
	var records, signatures []string
	for s := range www.Records.All() {
		records = append(records, s)
	}
	for s := range www.Signatures.All() {
		signatures = append(signatures, s)
	}
	f.Add(records[0], records[1], signatures[0], "\x03www\x07example\x00")      // as it is
	f.Add(records[1], records[0], signatures[0], "\x03WWW\x07example\x00")      // order and case do not count
	f.Add(records[0], records[0], signatures[0], "\x03www\x07example\x00")      // a record less
	f.Add(records[0], records[1], signatures[0], "\x03foo\x07example\x00")      // another owner
	f.Add(records[0], records[1], signatures[0][:20], "\x07example\x00")        // cut short
	f.Add(records[0], records[1], "", "\x00")                                   // no signature, the root
	f.Add(records[0], records[1], signatures[0]+"\x00", "\x01*\x07example\x00") // a byte more, a wildcard
	f.Fuzz(func(t *testing.T, first, second, signature, owner string) {
		n, err := dnsname.FromWire([]byte(owner))
		if err != nil {
			return
		}
		w.use(t)
		set := &RRset{Owner: n, Type: dns.TypeA, Class: dns.ClassINET, TTL: 60, Records: Pack(first).With(second), Signatures: Pack(signature)}
		v, err := w.judgeFuzzed(&Response{Name: n, Type: dns.TypeA, Answer: sets(set)})
		if err != nil {
			t.Skip(err)
		}
		if v != nil && v.Status == Secure && (n != www.Owner || !equalCanonical(set, www)) {
			t.Errorf("%s is Secure: %q signed by %q", n, set.Records, signature)
		}
	})
}

// use makes t the one that is told about failures.
func (w *world) use(t testing.TB) {
	w.t = t
	for _, z := range w.zones {
		z.t = t
	}
}

// judgeFuzzed validates; a need for an unknown zone is none of the fuzzers' business.
func (w *world) judgeFuzzed(r *Response) (*Verdict, error) {
	e := w.evidence()
	for range 10 {
		v, needs, err := e.Validate(r)
		if v != nil || err != nil {
			return v, err
		}
		for _, n := range needs {
			w.fetch(e, n)
		}
	}
	return nil, nil
}

// FuzzNSEC passes a record to each of the proofs. A name that the record shows to exist
// must not be denied.
func FuzzNSEC(f *testing.F) {
	add := func(text, qname string, qtype uint16) {
		s := record(f, text)
		for rdata := range s.Records.All() {
			f.Add(string(s.Owner), rdata, string(name(qname)), qtype)
		}
	}
	add("a.example. 60 IN NSEC c.example. A RRSIG NSEC", "b.example.", dns.TypeA)           // covers
	add("a.example. 60 IN NSEC c.example. A RRSIG NSEC", "a.example.", dns.TypeTXT)         // matches
	add("a.example. 60 IN NSEC x.b.example. A RRSIG NSEC", "b.example.", dns.TypeA)         // empty non-terminal
	add("a.example. 60 IN NSEC c.example. NS RRSIG NSEC", "b.a.example.", dns.TypeA)        // below a delegation
	add("a.example. 60 IN NSEC c.example. NS RRSIG NSEC", "a.example.", dns.TypeDS)         // unsigned delegation
	add("example. 60 IN NSEC example. SOA NS RRSIG NSEC", "b.example.", dns.TypeA)          // the only name
	add(`b.example. 60 IN NSEC \000.b.example. RRSIG NSEC NXNAME`, "b.example.", dns.TypeA) // compact
	add("z.example. 60 IN NSEC a.other. A RRSIG NSEC", "zz.example.", dns.TypeA)            // out of the zone
	f.Fuzz(func(t *testing.T, owner, rdata, qname string, qtype uint16) {
		o, err := dnsname.FromWire([]byte(owner))
		if err != nil {
			return
		}
		q, err := dnsname.FromWire([]byte(qname))
		zone := name("example.")
		if err != nil || !q.IsAtOrBelow(zone) {
			return
		}
		set := &RRset{Owner: o, Type: dns.TypeNSEC, Class: dns.ClassINET, TTL: 60, Records: Pack(rdata)}
		checkDenials(t, zone, q, qtype, set, func(p *proof) (matches, exists bool) {
			if len(p.nsec) == 0 {
				return false, false
			}
			n := p.nsec[0]
			return n.owner == q, n.owner == q || n.next.IsAtOrBelow(q)
		})
	})
}

// FuzzNSEC3 is FuzzNSEC for NSEC3. The owner is the name hashed, so that records can
// match.
func FuzzNSEC3(f *testing.F) {
	zone := name("example.")
	add := func(owner, rdata, qname string, qtype uint16) {
		rr, err := dns.NewRR(strings.Repeat("0", 32) + ".example. 60 IN NSEC3 " + rdata)
		if err != nil {
			f.Fatal(err)
		}
		for rdata := range mustSet(f, rr).Records.All() {
			f.Add(string(name(owner)), rdata, string(name(qname)), qtype)
		}
	}
	last := strings.Repeat("V", 32)
	add("example.", "1 0 0 - "+last+" SOA NS RRSIG", "b.example.", dns.TypeA)    // closest encloser, and all covered
	add("example.", "1 1 0 - "+last+" SOA NS RRSIG", "b.example.", dns.TypeDS)   // opt-out
	add("b.example.", "1 0 10 AABB "+last+" A RRSIG", "b.example.", dns.TypeTXT) // matches
	add("b.example.", "1 0 51 AABB "+last+" A RRSIG", "b.example.", dns.TypeTXT) // too many iterations
	add("b.example.", "2 0 0 - "+last+" A RRSIG", "b.example.", dns.TypeTXT)     // unknown hash
	f.Fuzz(func(t *testing.T, owner, rdata, qname string, qtype uint16) {
		o, err := dnsname.FromWire([]byte(owner))
		if err != nil || len(rdata) < 5 || len(rdata) < 5+int(rdata[4]) {
			return
		}
		q, err := dnsname.FromWire([]byte(qname))
		iterations := binary.BigEndian.Uint16([]byte(rdata[2:]))
		if err != nil || !q.IsAtOrBelow(zone) || iterations > 100 {
			return
		}
		h := nsec3Hash(hashInput{o, rdata[5 : 5+int(rdata[4])], iterations})
		label, err := zone.Child(base32Hex.EncodeToString(h[:]))
		if err != nil {
			t.Fatal(err)
		}
		set := &RRset{Owner: label, Type: dns.TypeNSEC3, Class: dns.ClassINET, TTL: 60, Records: Pack(rdata)}
		checkDenials(t, zone, q, qtype, set, func(p *proof) (matches, exists bool) { return o == q, o == q })
	})
}

// checkDenials asks all provers about a name.
func checkDenials(t *testing.T, zone, q dnsname.Name, qtype uint16, set *RRset, about func(*proof) (matches, exists bool)) {
	p, err := newProof(zone, []*RRset{set}, NewWork(Limits{}), unchecked)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(prove prover) finding {
		p.records = nil
		f, err := prove(p, q, qtype)
		if err != nil {
			t.Skip(err)
		}
		if f.proven && len(p.records) == 0 {
			t.Errorf("proven by nothing")
		}
		return f
	}
	matches, exists := about(p)
	if f := ask((*proof).nameError); f.proven && !f.compact && !f.iterations && exists {
		t.Errorf("%s exists but was denied: %+v", q, f)
	}
	if f := ask((*proof).noDS); f.unsigned && !f.optOut && !matches {
		t.Errorf("%s was shown to be a delegation by another name's record", q)
	}
	data := ask((*proof).noData)
	if qtype != dns.TypeDS && data.proven && !data.compact && !data.iterations && matches && (len(p.nsec) > 0 && p.nsec[0].types.has(qtype)) {
		t.Errorf("%s has %s but it was denied", q, typeName(qtype))
	}
	if _, err := Synthesise(zone, q, qtype, []*RRset{set}, NewWork(Limits{})); err != nil {
		t.Skip(err)
	}
}

// FuzzAnchors: what is read can be written and read again.
func FuzzAnchors(f *testing.F) {
	f.Add(rootAnchors)                                                             // as shipped
	f.Add("example. DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=") // a key
	f.Add("example. DS 1 15 2 (\n" + strings.Repeat("AB", 32) + "\n) ; comment\n") // several lines
	f.Add("$ORIGIN example.\n$TTL 5\n@ DS 1 15 2 " + strings.Repeat("AB", 32))     // directives
	f.Add(`a\.b\000. DS 1 15 2 ` + strings.Repeat("AB", 32))                       // escapes
	f.Add("example. A 192.0.2.1")                                                  // no anchor
	f.Add("$GENERATE 1-3 k$ DS 1 15 2 AB")                                         // many at once
	f.Add(`{"zone":"example.","keys":[{"record":"example. DS 1 15 2 ` + strings.Repeat("AB", 32) + `","state":"Valid","since":"2026-01-01T00:00:00Z"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToUpper(text), "$GENERATE") {
			return // a few bytes ask for 65,535 records
		}
		anchors, err := ParseAnchors(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, a := range anchors {
			again, err := ParseAnchors(strings.NewReader(a.String()))
			if err != nil || len(again) != 1 || again[0] != a {
				t.Errorf("%q reads as %v, %v", a, again, err)
			}
		}
		if _, err := New(Options{Anchors: anchors}); err != nil {
			t.Errorf("%v: %v", anchors, err)
		}
	})
}

// FuzzChain changes a byte anywhere in a chain of trust: it holds only if nothing
// signed has changed.
func FuzzChain(f *testing.F) {
	w := family(f, zoneOptions{nsec3: true})
	e := w.evidence()
	r := w.zones["child.example."].answer("nope.child.example.", dns.TypeA)
	v, err := w.validate(e, r)
	if err != nil || v.Status != Secure {
		f.Fatal(v, err)
	}
	chain := v.Chain(r)
	anchors := []Anchor{w.zones["."].anchor()}
	f.Add(uint8(0), uint8(0), false, uint16(0), byte(0))  // unchanged
	f.Add(uint8(0), uint8(0), false, uint16(4), byte(1))  // the root's key
	f.Add(uint8(1), uint8(0), true, uint16(40), byte(1))  // a signature of DS
	f.Add(uint8(5), uint8(1), false, uint16(20), byte(8)) // a denial
	f.Add(uint8(5), uint8(0), true, uint16(8), byte(128)) // an expiration
	f.Fuzz(func(t *testing.T, link, set uint8, signature bool, at uint16, bit byte) {
		broken := append([]Link(nil), chain...)
		l := &broken[int(link)%len(broken)]
		part := &l.Answer
		if len(l.Answer) == 0 || len(l.Authority) > 0 && set%2 == 1 {
			part = &l.Authority
		}
		all := append([]*RRset(nil), *part...)
		i := int(set/2) % len(all)
		c := *all[i]
		if signature {
			c.Signatures = flipped(c.Signatures, 0, int(at), bit)
		} else {
			c.Records = flipped(c.Records, 0, int(at), bit)
		}
		same := equalCanonical(&c, all[i])
		all[i] = &c
		*part = all
		got, err := VerifyChain(broken, anchors, testTime)
		if same != (err == nil && got.Status == Secure) {
			t.Errorf("link %s, byte %d ^ %#x: got %+v, %v, canonical form unchanged: %v", l, at, bit, got, err, same)
		}
	})
}
