package dnssec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// mapMemory remembers without bounds, and counts.
type mapMemory struct {
	good map[SignatureID]bool
	hits int
}

func newMemory() *mapMemory { return &mapMemory{good: make(map[SignatureID]bool)} }

func (m *mapMemory) Has(id SignatureID) bool {
	if m.good[id] {
		m.hits++
	}
	return m.good[id]
}

func (m *mapMemory) Add(id SignatureID) { m.good[id] = true }

// TestRemembered: what was good once is not computed again, and the verdict is the same; what
// else is wanted of it is judged as ever.
func TestRemembered(t *testing.T) {
	for _, algorithm := range []uint8{dns.RSASHA1, dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519} {
		for _, qname := range []string{"www.child.example.", "nope.child.example.", "x.wild.child.example."} {
			t.Run(fmt.Sprint(AlgorithmName(algorithm), " ", qname), func(t *testing.T) {
				w := family(t, zoneOptions{algorithm: algorithm, nsec3: true})
				w.memory = newMemory()
				first := w.expect(qname, dns.TypeA, Secure, 0)
				spent := w.last.work.Spent()
				if spent.SignatureChecks != len(w.memory.good) || w.memory.hits != 0 {
					t.Errorf("got %+v, %d signatures and %d of them known, want each of them checked", spent, len(w.memory.good), w.memory.hits)
				}
				again := w.expect(qname, dns.TypeA, Secure, 0)
				if got := w.last.work.Spent(); got.SignatureChecks != 0 || got.CostUnits != 0 || w.memory.hits != spent.SignatureChecks {
					t.Errorf("again: got %+v and %d known, want no check and %d known", got, w.memory.hits, spent.SignatureChecks)
				}
				if again.TTL != first.TTL || again.Zone != first.Zone || len(again.Sets) != len(first.Sets) {
					t.Errorf("again: got %+v, want %+v", again, first)
				}
			})
		}
	}
}

// TestRememberedOfAnother: a signature that is remembered says nothing of another key, zone,
// RRset or time.
func TestRememberedOfAnother(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{split: true, algorithm: dns.ED25519})
	w.memory = newMemory()
	w.expect("www.example.", dns.TypeA, Secure, 0)
	keys, r := w.last.KeySet(name("example.")), w.final
	www := r.Answer[0]
	judge := func(keys *KeySet, at time.Time, set *RRset) *Verdict {
		t.Helper()
		e := w.v.Evidence(at, at, NewWork(Limits{}))
		e.Remember(w.memory)
		e.AddKeySet(keys)
		v, needs, err := e.Validate(&Response{Name: set.Owner, Type: set.Type, Answer: sets(set)})
		for _, n := range needs {
			e.Fail(n, errors.New("nothing new"))
			v, _, err = e.Validate(&Response{Name: set.Owner, Type: set.Type, Answer: sets(set)})
		}
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	known := w.memory.hits
	if v := judge(keys, testTime, www); v.Status != Secure || w.memory.hits != known+1 {
		t.Fatalf("itself: got %v, %v and %d hits, want a secure one that is remembered", v.Status, v.Reason, w.memory.hits-known)
	}
	// The zone's key is another one by now, of the same tag and algorithm.
	changed := *keys
	changed.keys = nil
	for _, key := range keys.keys {
		other := *w.zone.zsk.dnskey
		if key.Tag == other.KeyTag() {
			twin := zoneKey{Key: key.Key, algorithm: key.algorithm}
			public := []byte(key.PublicKey)
			public[0], public[1], public[2], public[3] = public[2], public[3], public[0], public[1]
			twin.PublicKey = string(public)
			key = &twin
		}
		changed.keys = append(changed.keys, key)
	}
	revoked := *keys
	revoked.keys = nil
	for _, key := range keys.keys {
		flags := zoneKey{Key: key.Key, algorithm: key.algorithm}
		flags.Flags |= flagRevoke
		revoked.keys = append(revoked.keys, &flags)
	}
	moved := *www
	moved.Owner = name("other.example.")
	for label, c := range map[string]struct {
		keys *KeySet
		at   time.Time
		set  *RRset
		want ReasonCode
	}{
		"another key of the tag": {&changed, testTime, www, ReasonBadSignature},
		"the key revoked":        {&revoked, testTime, www, ReasonNotZoneKey},
		"another name":           {keys, testTime, &moved, ReasonBadSignature},
		"a signature expired":    {keys, testTime.Add(365 * 24 * time.Hour), www, ReasonExpired},
		"a signature to come":    {keys, testTime.Add(-24 * time.Hour), www, ReasonNotYetValid},
		"other records":          {keys, testTime, alterations["last byte altered"](www), ReasonBadSignature},
		"another signature":      {keys, testTime, alterations["signature altered"](www), ReasonBadSignature},
	} {
		if v := judge(c.keys, c.at, c.set); v.Status != Bogus || v.Reason.Code != c.want {
			t.Errorf("%s: got %v (%v), want bogus for %s", label, v.Status, v.Reason, c.want.phrase())
		}
	}
}

// TestWrongIsNotRemembered: only what was good is, and no more than may be checked is looked up.
func TestWrongIsNotRemembered(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	w.memory = newMemory()
	www := w.zone.set("www.example.", dns.TypeA)
	w.expect("www.example.", dns.TypeTXT, Secure, 0)
	before := len(w.memory.good)
	w.zone.signed[setName{"www.example.", dns.TypeA}] = badSignatures(w.zone, www, DefaultSignaturesPerRRset)
	for range 2 {
		w.expect("www.example.", dns.TypeA, Bogus, ReasonBadSignature)
		if got := w.last.work.Spent(); got.FailedChecks != DefaultSignaturesPerRRset || got.SignatureChecks != got.FailedChecks {
			t.Errorf("got %+v, want %d checks, all failed", got, DefaultSignaturesPerRRset)
		}
	}
	if len(w.memory.good) != before {
		t.Errorf("got %d signatures remembered, want the %d of before", len(w.memory.good), before)
	}
}

// TestLongIsNotRemembered: hashing long data for each signature that a hostile zone makes up
// would not be counted by anything.
func TestLongIsNotRemembered(t *testing.T) {
	w := newKeyedWorld(t, zoneOptions{})
	var rrs []dns.RR
	for i := range 20 {
		rrs = append(rrs, &dns.TXT{
			Hdr: dns.RR_Header{Name: "www.example.", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 3600},
			Txt: []string{strings.Repeat(string(rune('a'+i)), 250)},
		})
	}
	w.zone.signed[setName{"www.example.", dns.TypeTXT}] = w.zone.signSet(rrs, true)
	w.memory = newMemory()
	for range 2 {
		w.expect("www.example.", dns.TypeTXT, Secure, 0)
	}
	if got := w.last.work.Spent(); got.SignatureChecks != 1 {
		t.Errorf("got %+v, want the signature of the long RRset alone", got)
	}
}

// TestSignatureID: no two signatures share an ID.
func TestSignatureID(t *testing.T) {
	e := mustValidator(t, Options{}).Evidence(testTime, testTime, NewWork(Limits{}))
	seen := make(map[SignatureID]string)
	for _, c := range []struct {
		algorithm               uint8
		public, signature, data string
	}{
		{13, "key", "signature", "data"},
		{14, "key", "signature", "data"},
		{13, "kex", "signature", "data"},
		{13, "key", "signaturf", "data"},
		{13, "key", "signature", "datb"},
		{13, "keys", "ignature", "data"},
		{13, "ke", "ysignature", "data"},
		{13, "key", "signatured", "ata"},
		{13, "key", "signatur", "edata"},
		{13, "", "", "keysignaturedata"},
	} {
		key := &zoneKey{Key: Key{Algorithm: c.algorithm, PublicKey: c.public}}
		id, text := e.signatureID(key, []byte(c.data), c.signature), fmt.Sprint(c)
		if other, ok := seen[id]; ok {
			t.Errorf("%s has the ID of %s", text, other)
		}
		seen[id] = text
		if e.signatureID(key, []byte(c.data), c.signature) != id {
			t.Errorf("%s has two IDs", text)
		}
	}
}
