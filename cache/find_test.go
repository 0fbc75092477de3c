package cache

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// asked is Find by the single methods, in the order that its comment has.
func asked(v *View, now time.Time, q Question) (f Found, ok bool) {
	chain := func(c Chain, ok bool) bool {
		if ok {
			f.Chain = &c
		}
		return ok
	}
	if ok := answeredOneByOne(v, now, q, &f, chain); ok || !q.Onward {
		return f, ok
	}
	if failure, ok := v.GetFailure(now, q.Name, q.Type, q.Trust); ok {
		f.Failure = &failure
		return f, false
	}
	from := q.Name
	if q.Type == dns.TypeDS {
		from = from.Parent()
	}
	if f.Cut, ok = v.GetCut(now, from); ok {
		f.NoCut = v.NoCut(now, f.Cut.Zone, q.Name)
	}
	return f, false
}

func answeredOneByOne(v *View, now time.Time, q Question, f *Found, chain func(Chain, bool) bool) (ok bool) {
	brief := func() bool { return chain(v.GetBrief(now, q.Name, q.Type, q.Trust)) }
	dname := func() bool {
		for above := q.Name.Parent(); !above.IsRoot(); above = above.Parent() {
			if f.Item, ok = v.Get(now, above, dns.TypeDNAME, q.Trust, RankNonAuthoritative); ok {
				return true
			}
		}
		return false
	}
	denial := func() bool {
		n, ok := v.GetNegative(now, q.Name, q.Type, q.Trust)
		if ok {
			f.Negative = &n
		}
		return ok
	}
	synthesis := func(rrtype uint16) bool {
		if q.Trust != Checked {
			return false
		}
		s, ok := v.Synthesise(now, q.Name, rrtype)
		if !ok && rrtype != dns.TypeCNAME {
			s, ok = v.Synthesise(now, q.Name, dns.TypeCNAME)
			ok = ok && !s.Denied
		}
		if ok {
			f.Synthesis = &s
		}
		return ok
	}
	if q.Type == dns.TypeANY {
		if brief() || denial() || dname() {
			return true
		}
		if synthesis(dns.TypeA) && f.Synthesis.Denied && f.Synthesis.Negative.NameError {
			return true
		}
		f.Synthesis = nil
		return false
	}
	item, own := v.Get(now, q.Name, q.Type, q.Trust, RankNonAuthoritative)
	if !own && q.Type != dns.TypeCNAME {
		item, own = v.Get(now, q.Name, dns.TypeCNAME, q.Trust, RankNonAuthoritative)
	}
	if own && !fromWildcardSignature(&item.Set) {
		f.Item = item
		return true
	}
	if chain(v.GetChain(now, q.Name, q.Type, q.Trust)) || q.Type != dns.TypeCNAME && chain(v.GetChain(now, q.Name, dns.TypeCNAME, q.Trust)) {
		return true
	}
	return !own && (denial() || dname()) || synthesis(q.Type) || brief()
}

func fromWildcardSignature(set *dnssec.RRset) bool {
	for sig := range set.Signatures.All() {
		return int(sig[3]) < set.Owner.Labels() && !set.Owner.IsWildcard()
	}
	return false
}

// twin makes an empty cache in which everything has the same place as in c. With everywhere,
// it finds nothing out from its counts, and looks everywhere.
func twin(c *Cache, everywhere bool) *Cache {
	other := New(c.options)
	other.hasher, other.presence.hasher, other.base = c.hasher, c.hasher, c.base
	if everywhere {
		suspectAll(other)
	}
	return other
}

// suspectAll makes all counts be at their largest, at which they stay.
func suspectAll(c *Cache) {
	for at := range c.presence.blocks {
		full := new(presenceBlock)
		for slot := range full {
			full[slot].Store(uint64(anything))
		}
		c.presence.blocks[at].Store(full)
	}
}

// state describes all that a cache holds, in the order in which it is evicted, and what it
// has counted.
func state(c *Cache) []string {
	var all []string
	for _, s := range []*store[entry]{&c.answers, &c.keys, &c.brief} {
		for at := range s.shards {
			for list, g := range s.shards[at].lists() {
				for _, e := range g.lru.Values() {
					all = append(all, fmt.Sprintf("list %d: %q", list, e))
				}
			}
		}
	}
	for _, s := range []*store[*cutEntry]{&c.top, &c.cuts} {
		for at := range s.shards {
			for list, g := range s.shards[at].lists() {
				for _, e := range g.lru.Values() {
					all = append(all, fmt.Sprintf("list %d: %v %v %v %v", list, e.key, e.span, e.cut, e.leases))
				}
			}
		}
	}
	for at := range c.ranges.shards {
		for _, z := range c.ranges.shards[at].zones.Values() {
			all = append(all, fmt.Sprintf("%q %v", z.name, z.ranges))
		}
	}
	for at := range c.noCuts.shards {
		all = append(all, fmt.Sprint(c.noCuts.shards[at].sets))
	}
	s := c.Stats()
	s.Bytes, s.Shards = 0, nil
	return append(all, fmt.Sprintf("%+v", s))
}

// checkFind does the same to three caches, and asks them the same questions: one by its
// single methods as if it had no counts, one by these with its counts, and one with Find.
// All must answer the same, hold the same in the same order, and have counted the same.
func checkFind(t *testing.T, seed uint64, steps int) {
	plain := New(Options{MaxBytes: 1 << 18, KeepStale: time.Hour})
	suspectAll(plain)
	caches := [...]*Cache{plain, twin(plain, false), twin(plain, false)}
	chosen := rand.New(rand.NewPCG(seed, 3))
	now := start
	for step := range steps {
		now = now.Add(time.Duration(chosen.IntN(3000)) * time.Millisecond)
		variant := chosen.IntN(16)
		q := Question{Name: someName(chosen), Type: someType(chosen), Trust: Trust(chosen.IntN(6) / 5), Onward: chosen.IntN(2) == 0}
		var found [len(caches)]Found
		var ok [len(caches)]bool
		for at, c := range caches {
			v := c.View([32]byte{byte(variant & 1)})
			if variant&2 != 0 {
				v = v.Strict()
			}
			act(t, rand.New(rand.NewPCG(seed, uint64(step)+1000)), v, now)
			if step%8 == 0 {
				v.Put(now, addressSet(made(step), 300, anyAddr), answer)
			}
			if variant&12 == 12 {
				v = v.Uncounted()
			}
			if at < 2 {
				found[at], ok[at] = asked(v, now, q)
			} else {
				found[at], ok[at] = v.Find(now, q)
			}
		}
		for at := 1; at < len(caches); at++ {
			if ok[at] != ok[0] || !reflect.DeepEqual(found[at], found[0]) {
				t.Fatalf("seed %d, step %d, %+v: cache %d finds %t %+v, the plain one %t %+v", seed, step, q, at, ok[at], found[at], ok[0], found[0])
			}
		}
		if step%50 == 0 || step == steps-1 {
			for at := 1; at < len(caches); at++ {
				want := state(caches[0])
				for line, got := range state(caches[at]) {
					if line >= len(want) || got != want[line] {
						t.Fatalf("seed %d, step %d, %+v: cache %d has come apart from the plain one:\n%s\n%s", seed, step, q, at, got, want[min(line, len(want)-1)])
					}
				}
			}
		}
	}
	checkPresence(t, caches[1])
	checkPresence(t, caches[2])
}

func TestFindAsAskedOneByOne(t *testing.T) {
	seeds := uint64(20)
	if raceDetector || testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		checkFind(t, seed, 2000)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(uint64(1), uint16(100))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) { checkFind(t, seed, int(steps%2000)) })
}

// What is found is of each sort at times, so that the comparison above is about something.
func TestFindFindsEachSort(t *testing.T) {
	v := newView(Options{})
	r := rand.New(rand.NewPCG(1, 4))
	counts := map[string]int{}
	for n := range 20_000 {
		now := start.Add(time.Duration(n) * time.Second / 4)
		act(t, r, v, now)
		f, ok := v.Find(now, Question{Name: someName(r), Type: someType(r), Trust: Trust(r.IntN(2)), Onward: true})
		switch {
		case f.Chain != nil:
			counts["chain"]++
		case f.Negative != nil && f.Negative.Cut:
			counts["name error above"]++
		case f.Negative != nil:
			counts["negative"]++
		case f.Synthesis != nil && f.Synthesis.Denied:
			counts["synthesised denial"]++
		case f.Synthesis != nil:
			counts["synthesised answer"]++
		case ok:
			counts[dns.TypeToString[f.Item.Set.Type]]++
		case f.Failure != nil:
			counts["failure"]++
		case f.NoCut != "":
			counts["no cut"]++
		case f.Cut.Delegation != nil:
			counts["cut"]++
		default:
			counts["nothing"]++
		}
	}
	for _, sort := range []string{"chain", "name error above", "negative", "synthesised denial", "synthesised answer", "A", "CNAME", "DNAME", "failure", "no cut", "cut", "nothing"} {
		if counts[sort] < 10 {
			t.Errorf("%s: found %d times", sort, counts[sort])
		}
	}
	t.Log(counts)
}

// The longest names there are, with more labels than a path keeps.
func TestFindLongNames(t *testing.T) {
	v := newView(Options{})
	n := dnsname.Root
	for range dnsname.MaxLabels {
		n, _ = n.Child("a")
	}
	for _, labels := range []int{1, 2, dnsname.MaxLabels - pathLength, dnsname.MaxLabels - pathLength + 1, dnsname.MaxLabels - 1} {
		v.cache.Clear()
		above := n.Ancestor(labels)
		v.PutCut(start, someDelegation(above, 300), referral)
		if f, ok := v.Find(start, Question{Name: n, Type: dns.TypeA, Onward: true}); ok || f.Cut.Delegation == nil || f.Cut.Zone != above {
			t.Errorf("%d labels: found %+v, want the cut", labels, f)
		}
		v.PutNoCut(start, above, n, 300, time.Time{})
		if f, _ := v.Find(start, Question{Name: n, Type: dns.TypeA, Onward: true}); f.NoCut != n {
			t.Errorf("%d labels: no cut at %s, want %s", labels, f.NoCut, n)
		}
		alias := &dnssec.RRset{Owner: above, Type: dns.TypeDNAME, Class: dns.ClassINET, TTL: 300, Records: dnssec.Pack(string(name("b.")))}
		v.Put(start, alias, answer)
		if f, ok := v.Find(start, Question{Name: n, Type: dns.TypeA}); !ok || f.Item.Set.Owner != above {
			t.Errorf("%d labels: found %+v, want the DNAME", labels, f)
		}
	}
}

// A question that finds nothing allocates nothing.
func TestFindAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	v := newView(Options{})
	v.PutCut(start, someDelegation(name("example.com"), 300), referral)
	v.Put(start, addressSet(name("www.example.com"), 300, anyAddr), answer)
	for n, onward := range map[string]bool{"other.www.example.com": true, "www.example.com": false} {
		q := Question{Name: name(n), Type: dns.TypeA, Onward: onward}
		if got := testing.AllocsPerRun(100, func() { v.Find(start, q) }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", n, got)
		}
	}
}
