package dnssec

import (
	"errors"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// warm returns a cache that has proven what a question needed.
func warm(t *testing.T, w *world, qname string) func(*Evidence) {
	t.Helper()
	w.expect(qname, dns.TypeA, Secure, 0)
	old := w.last
	return func(e *Evidence) {
		for n := name(qname); ; n = n.Parent() {
			if ks := old.KeySet(n); ks != nil {
				e.AddKeySet(ks)
			}
			if d := old.Delegation(n); d != nil {
				e.AddDelegation(d)
			}
			if n.IsRoot() {
				return
			}
		}
	}
}

// TestWarm: with keys and delegations from a cache one signature is checked and
// nothing asked.
func TestWarm(t *testing.T) {
	w := family(t, zoneOptions{})
	cache := warm(t, w, "www.child.example.")
	e := w.evidence()
	cache(e)
	r := w.zones["child.example."].answer("ns.child.example.", dns.TypeA)
	v, needs, err := e.Validate(r)
	if err != nil || needs != nil || v.Status != Secure {
		t.Fatalf("got %+v, %v, %v, want Secure", v, needs, err)
	}
	if got := e.work.Spent(); got.SignatureChecks != 1 {
		t.Errorf("got %+v, want one check", got)
	}
	again, err := w.v.VerifyChain(v.Chain(r), testTime) // cached links bring their own evidence
	if err != nil || again.Status != Secure {
		t.Errorf("chain: got %+v, %v, want Secure", again, err)
	}
	if ks := e.KeySet(name("child.example.")); ks == nil || ks.TTL != 3600 || len(ks.keys) != 1 {
		t.Errorf("key set: got %+v", ks)
	}
	if e.KeySet(name("sibling.example.")) != nil || e.Delegation(name("sibling.example.")) != nil {
		t.Error("something is known of a zone that nobody asked for")
	}
	e.AddDelegation(&Delegation{Name: name("sibling.example.")})
	if e.Delegation(name("sibling.example.")) != nil {
		t.Error("a bogus delegation was taken from the cache")
	}
}

// countingAlgorithm is Ed25519 that counts.
type countingAlgorithm struct {
	ed25519Algorithm
	parsed *int
}

func (a countingAlgorithm) ParseKey(public string) (PublicKey, error) {
	*a.parsed++
	return a.ed25519Algorithm.ParseKey(public)
}

// TestKeysParsedOnce: a key is parsed when it is first needed, and stays parsed with its key
// set; that of a new key set is parsed anew.
func TestKeysParsedOnce(t *testing.T) {
	w := family(t, zoneOptions{split: true})
	w.plainForms = true
	parsed := 0
	w.v = mustValidator(t, Options{
		Anchors:    []Anchor{w.zones["."].anchor()},
		Algorithms: map[uint8]Algorithm{dns.ED25519: countingAlgorithm{parsed: &parsed}},
	})
	cache := warm(t, w, "www.child.example.")
	// warm verifies the chain again with key sets of its own.
	if parsed != 2*5 {
		t.Errorf("got %d keys parsed, want the key of the root and two of each zone, for two judgements", parsed)
	}
	for range 3 {
		e := w.evidence()
		cache(e)
		for _, qname := range []string{"www.child.example.", "ns.child.example.", "nope.child.example."} {
			if v, _, err := e.Validate(w.zones["child.example."].answer(qname, dns.TypeA)); err != nil || v.Status != Secure {
				t.Errorf("%s: got %v, %v, want a secure answer", qname, v, err)
			}
		}
	}
	if parsed != 2*5 {
		t.Errorf("with known keys: got %d keys parsed, want none more", parsed)
	}
	w.cache = func(*Evidence) {} // no second judgement
	w.expect("www.child.example.", dns.TypeA, Secure, 0)
	if parsed != 3*5 {
		t.Errorf("with keys fetched again: got %d keys parsed, want 5 more", parsed)
	}
}

// judgeRolled validates an answer of a family whose child has changed to other keys since
// it was cached; serve does something about each need.
func judgeRolled(t *testing.T, serve func(*world, *Evidence, Need)) *Verdict {
	t.Helper()
	old := family(t, zoneOptions{})
	cache := warm(t, old, "www.child.example.")
	w := family(t, zoneOptions{algorithm: dns.ECDSAP256SHA256})
	w.v = mustValidator(t, Options{Anchors: []Anchor{w.zones["."].anchor(), w.zones["example."].anchor()}})
	e := w.evidence()
	cache(e)
	r := w.zones["child.example."].answer("www.child.example.", dns.TypeA)
	for range 10 {
		v, needs, err := e.Validate(r)
		if err != nil {
			t.Fatal(err)
		}
		if v != nil {
			return v
		}
		for _, n := range needs {
			serve(w, e, n)
		}
	}
	t.Fatal("no verdict")
	return nil
}

// TestKeyRollWhileCached: a signature by a key that the cached set does not have, and
// a cached DS that no longer fits, are fetched again once (RFC 8901 §3).
func TestKeyRollWhileCached(t *testing.T) {
	var refreshed []string
	v := judgeRolled(t, func(w *world, e *Evidence, n Need) {
		if n.Refresh {
			refreshed = append(refreshed, n.Name.String()+" "+typeName(n.Type))
		}
		w.fetch(e, n)
	})
	if v.Status != Secure {
		t.Errorf("got %v (%v), want secure", v.Status, v.Reason)
	}
	want := []string{"child.example. DNSKEY", "child.example. DS", "example. DNSKEY"}
	if len(refreshed) != len(want) {
		t.Errorf("got %q refreshed, want %q", refreshed, want)
	}
}

// TestRefreshRefused: without a refresh the cached keys count, and the answer is
// Bogus.
func TestRefreshRefused(t *testing.T) {
	v := judgeRolled(t, func(_ *world, e *Evidence, n Need) {
		if !n.Refresh {
			t.Fatalf("got %v, want only refreshes", n)
		}
		e.Fail(n, errors.New("refreshed a moment ago"))
	})
	if v.Status != Bogus || v.Reason.Code != ReasonNoKey {
		t.Errorf("got %v (%v), want bogus for want of a key", v.Status, v.Reason)
	}
}

// TestRefreshedDSRefused: likewise for the DS.
func TestRefreshedDSRefused(t *testing.T) {
	v := judgeRolled(t, func(w *world, e *Evidence, n Need) {
		if n.Type == dns.TypeDNSKEY {
			w.fetch(e, n)
		} else {
			e.Fail(n, errors.New("refreshed a moment ago"))
		}
	})
	if v.Status != Bogus || v.Reason.Code != ReasonDSMismatch {
		t.Errorf("got %v (%v), want a DS mismatch", v.Status, v.Reason)
	}
}

// TestNewZoneWhileCached: a name that the cache knows to be no zone has become one.
func TestNewZoneWhileCached(t *testing.T) {
	w := family(t, zoneOptions{})
	e := w.evidence()
	e.AddDelegation(&Delegation{Name: name("child.example."), Kind: NotDelegated})
	r := w.zones["child.example."].answer("www.child.example.", dns.TypeA)
	r.Zone = name("example.")
	if v, err := w.validate(e, r); err != nil || v.Status != Secure {
		t.Errorf("got %+v, %v, want Secure", v, err)
	}
}

// TestUnsignedBelowIsNotKept: what follows from a delegation above that a cache held is not
// to be kept for that one's whole life again, label after label.
func TestUnsignedBelowIsNotKept(t *testing.T) {
	w := family(t, zoneOptions{})
	e := w.evidence()
	e.AddDelegation(&Delegation{Name: name("unsigned.example."), Kind: DelegationUnsigned, TTL: 3600})
	below := name("sub.unsigned.example.")
	e.Add(&Response{Name: below, Type: dns.TypeDS, Kind: KindNoData, Zone: below.Parent(),
		Authority: sets(record(t, "unsigned.example. 3600 IN SOA ns. h. 1 1 1 1 3600"), record(t, "sub.unsigned.example. 3600 IN NSEC t.unsigned.example. NS"))})
	d, needs, err := e.Judge(below)
	if err != nil || d == nil || d.Kind != DelegationUnsigned || d.TTL != 0 {
		t.Errorf("got %+v, %v, %v, want it unsigned, and not to be kept", d, needs, err)
	}
}

// TestShared: validator, work, proven keys and RRsets are used from many goroutines.
func TestShared(t *testing.T) {
	w := family(t, zoneOptions{nsec3: true, algorithm: dns.ECDSAP256SHA256})
	cache := warm(t, w, "www.child.example.")
	work := NewWork(Limits{SignatureChecks: -1, CostUnits: -1})
	child := w.zones["child.example."]
	responses := []*Response{child.answer("ns.child.example.", dns.TypeA), child.answer("nope.child.example.", dns.TypeA)}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			e := w.v.Evidence(testTime, testTime, work)
			cache(e)
			for _, r := range responses {
				if v, needs, err := e.Validate(r); err != nil || needs != nil || v.Status != Secure {
					t.Errorf("%s: got %+v, %v, %v, want Secure", r.Name, v, needs, err)
				}
			}
		})
	}
	group.Wait()
	if got := work.Spent(); got.NSEC3Hashes != 3 || got.SignatureChecks != 8*(1+len(responses[1].Authority)) {
		t.Errorf("got %+v, want each hash once and each goroutine's own checks", got)
	}
}
