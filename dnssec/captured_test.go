package dnssec

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// capture is an answer of a real server.
type capture struct {
	Time  float64 `json:"t"`
	RRSIG int     `json:"rrsigs"`
	Wire  []byte  `json:"wire"`
	at    time.Time
	msg   *dns.Msg
}

// captures returns the recorded answers with signatures.
func captures(t testing.TB) []capture {
	t.Helper()
	zip, err := gzip.NewReader(realData(t, "captured", "zonemaster-2015-2025.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(zip)
	lines.Buffer(nil, 1<<20)
	var all []capture
	for lines.Scan() {
		var c capture
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if c.RRSIG == 0 {
			continue
		}
		c.at, c.msg = time.Unix(int64(c.Time), 0), new(dns.Msg)
		if err := c.msg.Unpack(c.Wire); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// setsOf returns the RRsets of all sections of a message.
func setsOf(t testing.TB, m *dns.Msg) []*RRset {
	t.Helper()
	var all []*RRset
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		sets, err := GroupRRsets(section, false)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sets...)
	}
	return all
}

// TestCapturedSignatures verifies every recorded signature whose key was recorded,
// at the time it was received, and finds what miekg/dns finds.
func TestCapturedSignatures(t *testing.T) {
	all := captures(t)
	keys := make(map[dnsname.Name]*KeySet) // of all times together
	for _, c := range all {
		for _, s := range setsOf(t, c.msg) {
			if s.Type != dns.TypeDNSKEY {
				continue
			}
			merged := *s
			if old := keys[s.Owner]; old != nil {
				merged = *old.RRset
				for rdata := range s.Records.All() {
					merged.Records = merged.Records.With(rdata)
				}
			}
			keys[s.Owner] = newKeySet(&merged, builtin())
		}
	}
	v := mustValidator(t, Options{})
	good, bad, unknown := 0, 0, 0
	for _, c := range all {
		for _, s := range setsOf(t, c.msg) {
			for rdata := range s.Signatures.All() {
				sig, err := ParseSignature(rdata)
				if err != nil {
					t.Fatal(err)
				}
				ks := keys[sig.Signer]
				if ks == nil || len(ks.withTag(sig.KeyTag, sig.Algorithm)) == 0 {
					unknown++
					continue
				}
				one := *s
				one.Signatures = Pack(rdata)
				e := v.Evidence(c.at, c.at, NewWork(Limits{KeysPerTag: -1}))
				_, reason, err := e.verify(&one, sig.Signer, ks.withTag)
				if err != nil {
					t.Fatal(err)
				}
				want := miekgVerifies(t, &one, ks, c.at)
				if ok := reason.Code == ReasonNone; ok != want {
					t.Errorf("%s %s by %s: got %v, want verified=%v", s.Owner, typeName(s.Type), sig.Signer, reason, want)
				} else if ok {
					good++
				} else {
					bad++
				}
			}
		}
	}
	t.Logf("%d good, %d bad, %d of unknown keys", good, bad, unknown)
	if good < 698 {
		t.Errorf("got %d good signatures, want at least 698", good)
	}
}

// miekgVerifies asks another implementation.
func miekgVerifies(t testing.TB, s *RRset, ks *KeySet, at time.Time) bool {
	t.Helper()
	rrs, err := s.AppendRRs(nil, s.TTL, true)
	if err != nil {
		t.Fatal(err)
	}
	sig := rrs[len(rrs)-1].(*dns.RRSIG)
	if !sig.ValidityPeriod(at) {
		return false
	}
	keys, err := ks.RRset.AppendRRs(nil, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		key := k.(*dns.DNSKEY)
		if key.KeyTag() == sig.KeyTag && sig.Verify(key, rrs[:len(rrs)-1]) == nil {
			return true
		}
	}
	return false
}

// TestCapturedChain follows the real chain from the root by se. to nic.se. on 14
// November 2025. The DS of nic.se. was recorded in the year before only, when it was
// the same: it serves as an anchor.
func TestCapturedChain(t *testing.T) {
	all := captures(t)
	d := newCapturedDay(t, all, rootHistory(t), time.Date(2025, 11, 14, 0, 0, 0, 0, time.UTC))
	anchors := append(DefaultAnchors(), recordedAnchors(t, all, name("nic.se."))...)
	v := mustValidator(t, Options{Anchors: anchors})
	for zone, want := range map[string]int{"se.": 194, "nic.se.": 7} {
		if got := d.validate(v, name(zone)); len(got) != 1 || got[Secure] != want {
			t.Errorf("%s: got %v, want %d secure", zone, got, want)
		}
	}
}

// recordedAnchors makes anchors of the DS RRset of a zone, whenever it was recorded.
func recordedAnchors(t testing.TB, all []capture, zone dnsname.Name) []Anchor {
	t.Helper()
	for _, c := range all {
		for _, s := range setsOf(t, c.msg) {
			if s.Type == dns.TypeDS && s.Owner == zone {
				return anchorsOf(t, s)
			}
		}
	}
	t.Fatalf("no DS of %s was recorded", zone)
	return nil
}

// anchorsOf makes anchors of a DS or DNSKEY RRset.
func anchorsOf(t testing.TB, set *RRset) []Anchor {
	t.Helper()
	rrs, err := set.AppendRRs(nil, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	var anchors []Anchor
	for _, rr := range rrs {
		a, err := NewAnchor(rr)
		if err != nil {
			t.Fatal(err)
		}
		anchors = append(anchors, a)
	}
	return anchors
}

// capturedDay is what was recorded on one day.
type capturedDay struct {
	t       testing.TB
	all     []capture
	root    *RRset
	answers map[setName]*Response // DS and DNSKEY
}

func newCapturedDay(t testing.TB, all []capture, history []snapshot, day time.Time) *capturedDay {
	t.Helper()
	d := &capturedDay{t: t, answers: make(map[setName]*Response)}
	for _, s := range history {
		if !s.at.After(day) {
			d.root = s.set
		}
	}
	for _, c := range all {
		if c.at.Before(day) || !c.at.Before(day.Add(24*time.Hour)) || !c.msg.Authoritative {
			continue
		}
		d.all = append(d.all, c)
		r, err := NewResponse(c.msg, "")
		if err == nil && r.Kind == KindAnswer && (r.Type == dns.TypeDS || r.Type == dns.TypeDNSKEY) {
			d.answers[setName{r.Name.String(), r.Type}] = r
		}
	}
	return d
}

// validate judges the answers for names of a zone.
func (d *capturedDay) validate(v *Validator, zone dnsname.Name) map[Status]int {
	d.t.Helper()
	count := make(map[Status]int)
	for _, c := range d.all {
		r, err := NewResponse(c.msg, "")
		if err != nil || !r.Name.IsAtOrBelow(zone) {
			continue
		}
		e := v.Evidence(c.at, c.at, NewWork(Limits{}))
		e.Add(&Response{Name: dnsname.Root, Type: dns.TypeDNSKEY, Answer: sets(d.root)})
		for _, a := range d.answers {
			e.Add(a)
		}
		verdict, needs, err := e.Validate(r)
		if err != nil {
			d.t.Fatal(err)
		}
		if verdict == nil {
			d.t.Fatalf("%s %s %v needs %v", r.Name, typeName(r.Type), r.Kind, needs)
		}
		count[verdict.Status]++
		if verdict.Status != Secure {
			d.t.Errorf("%s %s %v: %v", r.Name, typeName(r.Type), r.Kind, verdict.Reason)
		}
	}
	return count
}
