package dnssec

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// TestLimitsFilled walks all fields, so that none is forgotten.
func TestLimitsFilled(t *testing.T) {
	zero, negative := Limits{}.filled(), Limits{}
	for i := range reflect.TypeFor[Limits]().NumField() {
		reflect.ValueOf(&negative).Elem().Field(i).SetInt(-1)
	}
	negative = negative.filled()
	for i := range reflect.TypeFor[Limits]().NumField() {
		field := reflect.TypeFor[Limits]().Field(i).Name
		if got := reflect.ValueOf(zero).Field(i).Int(); got <= 0 {
			t.Errorf("%s: zero becomes %d, want a default", field, got)
		}
		if got := reflect.ValueOf(negative).Field(i).Int(); got < 1<<31-1 {
			t.Errorf("%s: negative becomes %d, want no limit", field, got)
		}
	}
	for l := LimitSignatureChecks; l <= LimitNSEC3Records; l++ {
		if e := (&LimitError{l, 3}).Error(); !strings.Contains(e, "more than 3 ") || strings.Contains(e, "unknown") {
			t.Errorf("limit %d: got %q", l, e)
		}
	}
	if got := Limit(0).String(); got != "unknown limit" {
		t.Errorf("got %q", got)
	}
}

// trap resolves and expects to be stopped by a limit.
func (w *world) trap(qname string, qtype uint16, limit Limit) Spent {
	w.t.Helper()
	start := time.Now()
	_, err := w.resolve(qname, qtype)
	var le *LimitError
	if !errors.As(err, &le) || le.Limit != limit {
		w.t.Fatalf("got %v, want to be stopped by %s", err, limit)
	}
	spent := w.last.work.Spent()
	w.t.Logf("%s: %+v in %s", limit, spent, time.Since(start))
	return spent
}

// collidingKeys returns keys that share the tag of key: public keys in which bytes at
// even places are swapped add up to the same.
func collidingKeys(key *dns.DNSKEY, n int) []*dns.DNSKEY {
	public, rotate := []byte(nil), 0
	for i := 0; len(public) < 32; i++ {
		public = append(public, byte(i))
	}
	_ = rotate
	var keys []*dns.DNSKEY
	for i := range n {
		p := append([]byte(nil), public...)
		p[2*(i%16)], p[2*((i+1+i/16)%16)] = p[2*((i+1+i/16)%16)], p[2*(i%16)]
		p[1], p[3+2*(i%14)] = p[3+2*(i%14)], p[1]
		k := *key
		k.PublicKey = base64Of(p)
		keys = append(keys, &k)
	}
	return keys
}

// TestKeyTrapKeys: many keys of one tag (CVE-2023-50387, CVE-2026-19668).
func TestKeyTrapKeys(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{split: true})
	keys := collidingKeys(w.zone.zsk.dnskey, 20)
	tag := keys[0].KeyTag()
	for _, k := range keys {
		if k.KeyTag() != tag {
			t.Fatal("tags differ")
		}
	}
	w.setKeys([]signingKey{w.zone.ksk}, append([]*dns.DNSKEY{w.zone.ksk.dnskey}, keys...)...)
	www := w.zone.set("www.example.", dns.TypeA)
	set := *www
	set.Signatures = ""
	w.zone.signed[setName{"www.example.", dns.TypeA}] = oddSigned(&set, keys[0], strings.Repeat("s", 64))
	spent := w.trap("www.example.", dns.TypeA, LimitKeysPerTag)
	if spent.FailedChecks != DefaultKeysPerTag {
		t.Errorf("got %d failed checks, want %d", spent.FailedChecks, DefaultKeysPerTag)
	}
}

// TestKeysOfOneTag: chance gives an honest zone two keys of one tag.
func TestKeysOfOneTag(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{split: true, algorithm: dns.ED25519})
	public, err := base64.StdEncoding.DecodeString(w.zone.zsk.dnskey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public[0], public[1], public[2], public[3] = public[2], public[3], public[0], public[1]
	twin := *w.zone.zsk.dnskey
	twin.PublicKey = base64Of(public)
	if twin.KeyTag() != w.zone.zsk.dnskey.KeyTag() {
		t.Fatal("tags differ")
	}
	w.setKeys([]signingKey{w.zone.ksk}, w.zone.ksk.dnskey, &twin, w.zone.zsk.dnskey)
	w.expect("www.example.", dns.TypeA, Secure, 0)
	if got := w.last.work.Spent(); got.FailedChecks != 1 {
		t.Errorf("got %+v, want one check with the wrong key", got)
	}
}

// TestKeyTrapDS: many DS for keys of one tag.
func TestKeyTrapDS(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	keys := collidingKeys(w.zone.ksk.dnskey, 20)
	keys[0].Flags, keys[19].Flags = 257, 257
	w.setKeys(nil, keys...)
	ds := keys[0].ToDS(dns.SHA256)
	ds.Digest = strings.Repeat("00", 32)
	w.setDS(ds)
	w.trap("www.example.", dns.TypeA, LimitKeysPerTag)

	var many []*dns.DS
	for i := range 20 {
		d := *ds
		d.KeyTag += uint16(i + 1)
		many = append(many, &d)
	}
	w.setDS(many...)
	w.trap("www.example.", dns.TypeA, LimitDSPerZone)
}

// badSignatures returns a set with n wrong signatures of existing keys.
func badSignatures(z *testZone, s *RRset, n int) *RRset {
	c := *s
	c.Signatures = ""
	for i := range n {
		c = *oddSigned(&c, z.zsk.dnskey, fmt.Sprintf("%064d", i))
	}
	return &c
}

// TestKeyTrapSignatures: many signatures of one RRset.
func TestKeyTrapSignatures(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	www := w.zone.set("www.example.", dns.TypeA)
	w.zone.signed[setName{"www.example.", dns.TypeA}] = badSignatures(w.zone, www, 100)
	spent := w.trap("www.example.", dns.TypeA, LimitSignaturesPerRRset)
	if spent.FailedChecks != DefaultSignaturesPerRRset {
		t.Errorf("got %+v, want %d failed checks", spent, DefaultSignaturesPerRRset)
	}
	w.zone.signed[setName{"www.example.", dns.TypeA}] = badSignatures(w.zone, www, DefaultSignaturesPerRRset)
	w.expect("www.example.", dns.TypeA, Bogus, ReasonBadSignature)
}

// TestFailedChecks: many RRsets, each with wrong signatures, in one answer and over
// the responses of one question, negative ones too (CVE-2026-11605).
func TestFailedChecks(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	r := &Response{Name: name("www.example."), Type: dns.TypeANY}
	for i := range 20 {
		set := *w.zone.set("www.example.", dns.TypeA)
		set.Type = uint16(1000 + i)
		r.Answer = append(r.Answer, badSignatures(w.zone, &set, 4))
	}
	e := w.evidence()
	_, err := w.validate(e, r)
	var le *LimitError
	if !errors.As(err, &le) || le.Limit != LimitFailedChecks {
		t.Fatalf("got %v, want the limit of failed checks", err)
	}
	if got := e.work.Spent().FailedChecks; got != DefaultFailedChecks+1 {
		t.Errorf("got %d failed checks, want %d", got, DefaultFailedChecks+1)
	}
	good := w.zone.answer("ns.example.", dns.TypeA)
	if _, err := w.validate(e, good); !errors.As(err, &le) {
		t.Errorf("after the limit: got %v, want it to hold", err)
	}
	other := w.v.Evidence(testTime, testTime, e.work) // a subquestion shares the work
	if _, err := w.validate(other, good); !errors.As(err, &le) {
		t.Errorf("in a subquestion: got %v, want the limit to hold", err)
	}

	e = w.evidence()
	for range 4 {
		r := w.zone.answer("nope.example.", dns.TypeA)
		for _, s := range r.Authority {
			if s.Type == dns.TypeNSEC {
				r = with(r, s, badSignatures(w.zone, s, 6))
			}
		}
		if _, err = w.validate(e, r); err != nil {
			break
		}
	}
	if !errors.As(err, &le) || le.Limit != LimitFailedChecks {
		t.Errorf("negative answers: got %v, want the limit of failed checks", err)
	}
}

// TestTotalChecks: good signatures count too.
func TestTotalChecks(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	w.limit = Limits{SignatureChecks: 4}
	w.expect("www.example.", dns.TypeA, Secure, 0) // keys, DS, keys, data
	if got := w.last.work.Spent(); got.SignatureChecks != 4 || got.FailedChecks != 0 {
		t.Errorf("got %+v, want 4 checks", got)
	}
	w.limit = Limits{SignatureChecks: 3}
	w.trap("www.example.", dns.TypeA, LimitSignatureChecks)
}

// TestCostUnits: P-384 takes ten times P-256.
func TestCostUnits(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{algorithm: dns.ECDSAP384SHA384})
	w.limit = Limits{CostUnits: 22}
	w.expect("www.example.", dns.TypeA, Secure, 0)
	if got := w.last.work.Spent().CostUnits; got != 22 {
		t.Errorf("got %d units, want 22", got)
	}
	w.limit = Limits{CostUnits: 21}
	w.trap("www.example.", dns.TypeA, LimitCostUnits)
}

// TestDeepChain: each level takes three checks, whatever the depth; the counter is
// one for all (BIND's delegationtrap).
func TestDeepChain(t *testing.T) {
	zones := []*testZone{}
	owner, text := ".", ""
	for range 33 {
		child := "z." + strings.TrimPrefix(owner, ".")
		text = "z NS ns.z\n" + dsText(t, child, zoneOptions{})
		zones = append(zones, newTestZone(t, owner, text, zoneOptions{}))
		owner = child
	}
	zones = append(zones, newTestZone(t, owner, childText, zoneOptions{}))
	w := newWorld(t, zones...)
	w.trap("www."+owner, dns.TypeA, LimitSignatureChecks)
	w.limit.SignatureChecks = -1
	w.cache = func(*Evidence) {}
	w.expect("www."+owner, dns.TypeA, Secure, 0)
	if got, want := w.last.work.Spent().SignatureChecks, 33*2+2; got != want {
		t.Errorf("got %d checks, want %d", got, want)
	}
}

// TestNSEC3Records: more records than any proof needs (CVE-2026-42923).
func TestNSEC3Records(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{nsec3: true})
	r := w.zone.answer("nope.example.", dns.TypeA)
	for i := 0; len(r.Authority) < DefaultNSEC3Records+2; i++ {
		s := *w.zone.denial(0)
		s.Owner = name(fmt.Sprintf("%032d.example.", i))
		r.Authority = append(r.Authority, &s)
	}
	var le *LimitError
	if _, err := w.validate(w.evidence(), r); !errors.As(err, &le) || le.Limit != LimitNSEC3Records {
		t.Errorf("got %v, want the limit of NSEC3 records", err)
	}
}

// TestNSEC3Hashes: the deepest names, with the most iterations, over many responses
// (CVE-2023-50868). Hashes are remembered.
func TestNSEC3Hashes(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{nsec3: true, iterate: 50})
	deep := strings.Repeat("a.", 120) + "example."
	e := w.evidence()
	e.work.limits.SignatureChecks = 1 << 30
	start := time.Now()
	if v, err := w.validate(e, w.zone.answer(deep, dns.TypeA)); err != nil || v.Status != Secure {
		t.Fatalf("got %+v, %v", v, err)
	}
	if got := e.work.Spent().NSEC3Hashes; got != 121 { // 120 ancestors and the wildcard
		t.Errorf("got %d hashes, want 121", got)
	}
	if _, err := w.validate(e, w.zone.answer(deep, dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	if got := e.work.Spent().NSEC3Hashes; got != 121 {
		t.Errorf("asked again: got %d hashes, want the same 121", got)
	}
	var err error
	for i := 0; err == nil && i < 10; i++ {
		_, err = w.validate(e, w.zone.answer(fmt.Sprintf("%s%d.example.", strings.Repeat("b.", 118), i), dns.TypeA))
	}
	var le *LimitError
	if !errors.As(err, &le) || le.Limit != LimitNSEC3Hashes || e.work.Spent().NSEC3Hashes != DefaultNSEC3Hashes {
		t.Errorf("got %v after %+v, want the limit of hashes", err, e.work.Spent())
	}
	t.Logf("%d hashes of 50 iterations: %s", e.work.Spent().NSEC3Hashes, time.Since(start))
}

// TestSignerFlood: signatures in the name of every ancestor make neither many needs
// nor much work.
func TestSignerFlood(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	owner := name(strings.Repeat("a.", 100) + "example.")
	set := &RRset{Owner: owner, Type: dns.TypeA, Class: dns.ClassINET, TTL: 60, Records: Pack("\xC0\x00\x02\x01")}
	for n := owner; n != dnsname.Root; n = n.Parent() {
		key := *w.zone.ksk.dnskey
		key.Hdr.Name = n.String()
		set = oddSigned(set, &key, "wrong")
	}
	e := w.evidence()
	r := &Response{Name: owner, Type: dns.TypeA, Answer: sets(set)}
	v, err := w.validate(e, r)
	if err != nil || v.Status != Bogus {
		t.Fatalf("got %+v, %v, want bogus", v, err)
	}
	asked := 0
	for _, n := range w.asked {
		asked += n
	}
	if asked > 10 || w.rounds > 6 {
		t.Errorf("got %d questions in %d rounds: %v", asked, w.rounds, w.asked)
	}
}

// TestSearchEnds: unsigned data at a deep name, whose ancestors all exist, makes a
// search for zone cuts that gives up in time.
func TestSearchEnds(t *testing.T) {
	root := newTestZone(t, ".", "example. NS ns.example.\n"+dsText(t, "example.", zoneOptions{})+"\n", zoneOptions{})
	deep := strings.Repeat("a.", 100)
	w := newWorld(t, root, newTestZone(t, "example.", deep+"example. TXT deep\n", zoneOptions{}))
	owner := name(deep + "example.")
	set := &RRset{Owner: owner, Type: dns.TypeA, Class: dns.ClassINET, TTL: 60, Records: Pack("\xC0\x00\x02\x01")}
	w.notGood(&Response{Name: owner, Type: dns.TypeA, Zone: name("example."), Answer: sets(set)}, "deep name")
	asked := 0
	for question, n := range w.asked {
		if strings.HasSuffix(question, " DS") && question != "example. DS" {
			asked += n
		}
	}
	if asked != maxSearched {
		t.Errorf("got %d questions for DS, want %d", asked, maxSearched)
	}
}

// TestStopWhen: between two looks at whether somebody still wants to know, at most one
// signature is checked or one name hashed; what it ends with is what was said.
func TestStopWhen(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{nsec3: true, iterate: 50})
	r := w.zone.answer(strings.Repeat("a.", 20)+"example.", dns.TypeA)
	errEnough := errors.New("enough")
	for most := range 24 {
		e, looks := w.evidence(), 0
		e.StopWhen(func() error {
			if looks++; looks > most {
				return errEnough
			}
			return nil
		})
		_, err := w.validate(e, r)
		if spent := e.work.Spent(); !errors.Is(err, errEnough) || spent.SignatureChecks+spent.NSEC3Hashes > most {
			t.Errorf("stopped at look %d: got %v after %+v", most+1, err, spent)
		}
	}
}
