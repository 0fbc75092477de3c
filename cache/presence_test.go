package cache

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// checkPresence compares what is counted with what is there.
func checkPresence(t *testing.T, c *Cache) {
	t.Helper()
	counted := presence{hasher: c.hasher}
	counted.limit(c.options.MaxBytes)
	for _, s := range []*store[entry]{&c.answers, &c.keys, &c.brief} {
		for at := range s.shards {
			for _, e := range s.shards[at].values() {
				counted.add(s.shards[at].marked(e))
			}
		}
	}
	for _, s := range []*store[*cutEntry]{&c.top, &c.cuts} {
		s.each(func(e *cutEntry) bool { counted.add(e.marked()); return true })
	}
	for at := range c.ranges.shards {
		for _, z := range c.ranges.shards[at].zones.Values() {
			counted.add(z.marked())
		}
	}
	wrong, names := 0, 0
	for at := range counted.blocks {
		var got, want presenceBlock
		if b := c.presence.blocks[at].Load(); b != nil {
			for slot := range b {
				got[slot].Store(b[slot].Load())
			}
		}
		if b := counted.blocks[at].Load(); b != nil {
			for slot := range b {
				want[slot].Store(b[slot].Load())
			}
		}
		for slot := range got {
			for m := range mark(16) {
				g, w := got[slot].Load()>>(m*markBits)&mostMarks, want[slot].Load()>>(m*markBits)&mostMarks
				names += int(w)
				if g != w && g != mostMarks {
					wrong++
				}
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d counts are wrong; %d entries are there", wrong, names)
	}
}

// act does one thing to a cache, chosen by r, with few names, so that things meet.
func act(t testing.TB, r *rand.Rand, v *View, now time.Time) {
	n := someName(r)
	trust := Trust(r.IntN(8) / 7)
	status := [...]dnssec.Status{dnssec.Secure, dnssec.Insecure, dnssec.Indeterminate}[r.IntN(3)]
	ttl := uint32(1 + r.IntN(600))
	m := Meta{Rank: Rank(r.IntN(6)), Status: status, Trust: trust}
	switch r.IntN(19) {
	case 0, 1, 2, 3:
		v.Put(now, someSet(r, n, ttl), m)
	case 4:
		v.PutFailure(now, n, someType(r), trust, 22, "no reachable authority")
	case 5, 6:
		zone := n.Ancestor(r.IntN(n.Labels() + 1))
		start := *exampleSOA
		start.Owner, start.TTL = zone, ttl
		v.PutNegative(now, Negative{Name: n, Type: someType(r), NameError: r.IntN(2) == 0, SOA: &start, Status: status, Proof: someProof(r, zone)}, m)
	case 7, 8:
		sets := []*dnssec.RRset{someSet(r, n, ttl)}
		if r.IntN(2) == 0 {
			sets = append(sets, someSet(r, someName(r), ttl))
		}
		c := Chain{Name: n, Type: someType(r), Answer: sets, Status: status}
		if r.IntN(2) == 0 {
			c.Type = sets[0].Type
		}
		if r.IntN(3) == 0 {
			v.PutBrief(now, c, m)
		} else {
			v.PutChain(now, c, m)
		}
	case 9, 10:
		v.PutCut(now, someDelegation(n, ttl), Meta{Vouched: r.IntN(2) == 0})
	case 11:
		v.DropCut(n)
	case 12:
		zone := n.Ancestor(r.IntN(n.Labels() + 1))
		v.PutDenial(now, zone, someProof(r, zone), Meta{Status: dnssec.Secure})
	case 13:
		v.PutNoCut(now, n.Ancestor(r.IntN(n.Labels()+1)), n, ttl, time.Time{})
	case 14:
		v.ClaimRefresh(now, n, someType(r), trust)
	case 15:
		v.EndStale(now, n, someType(r), trust)
	case 16:
		v.ClearFailure(n, someType(r), trust)
	case 17:
		putWildcard(v, now, n.Ancestor(2), ttl)
	case 18:
		switch r.IntN(40) {
		case 0:
			v.cache.Clear()
		case 1:
			v.cache.PurgeBelow(n.String())
		default:
			v.cache.Purge(n.String())
		}
	}
}

// putWildcard puts what proves that a wildcard answers for all names of a zone.
func putWildcard(v *View, now time.Time, zone dnsname.Name, ttl uint32) {
	source, _ := zone.Wildcard()
	expanded, _ := zone.Child("x")
	s := addressSet(expanded, ttl, anyAddr)
	s.Signatures = signature(zone, dns.TypeA, zone.Labels())
	v.Put(now, s, Meta{Rank: RankAnswer, Status: dnssec.Secure})
	v.PutDenial(now, zone, []*dnssec.RRset{nsec(zone, zone, source, 0), nsec(zone, source, zone, dns.TypeA)}, Meta{Status: dnssec.Secure})
}

func someName(r *rand.Rand) dnsname.Name {
	n := dnsname.Root
	for range r.IntN(5) {
		n, _ = n.Child(string("abc*"[r.IntN(4)]))
	}
	return n
}

func someType(r *rand.Rand) uint16 {
	return [...]uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeDNAME, dns.TypeDS, dns.TypeTXT, dns.TypeANY, 4321}[r.IntN(8)]
}

// someSet makes an RRset, at times with a signature by which it was made from a wildcard.
func someSet(r *rand.Rand, owner dnsname.Name, ttl uint32) *dnssec.RRset {
	s := &dnssec.RRset{Owner: owner, Type: someType(r), Class: dns.ClassINET, TTL: ttl, Records: dnssec.Pack("\xC0\x00\x02\x01")}
	if s.Type == dns.TypeCNAME || s.Type == dns.TypeDNAME {
		s.Records = dnssec.Pack(string(someName(r)))
	}
	if r.IntN(2) == 0 {
		s.Signatures = signature(owner.Ancestor(r.IntN(owner.Labels()+1)), s.Type, r.IntN(owner.Labels()+1))
	}
	return s
}

// signature makes one of a zone, over so many labels.
func signature(zone dnsname.Name, rrtype uint16, labels int) dnssec.Packed {
	return dnssec.Pack(string([]byte{byte(rrtype >> 8), byte(rrtype), 13, byte(labels)}) + string(make([]byte, 14)) + string(zone) + string(make([]byte, 64)))
}

// someDelegation makes one to two hosts, with the address of one.
func someDelegation(zone dnsname.Name, ttl uint32) *glue.Delegation {
	return &glue.Delegation{Zone: zone, TTL: time.Duration(ttl) * time.Second, Servers: []glue.Server{
		{Name: zone, Addrs: []netip.Addr{anyAddr}}, {Name: name("ns.example.com")},
	}}
}

// someProof makes an NSEC record of the zone.
func someProof(r *rand.Rand, zone dnsname.Name) []*dnssec.RRset {
	owner, next := zone, zone
	if c, err := zone.Child(string("abc*"[r.IntN(4)])); err == nil && r.IntN(2) == 0 {
		owner = c
	}
	if c, err := zone.Child(string("bcz"[r.IntN(3)])); err == nil {
		next = c
	}
	return []*dnssec.RRset{nsec(zone, owner, next, uint16(1+r.IntN(3)))}
}

// nsec makes an NSEC record of a zone for a name with one type below 8.
func nsec(zone, owner, next dnsname.Name, rrtype uint16) *dnssec.RRset {
	return &dnssec.RRset{
		Owner: owner, Type: dns.TypeNSEC, Class: dns.ClassINET, TTL: 300,
		Records:    dnssec.Pack(string(next) + "\x00\x06" + string([]byte{0x80 >> rrtype, 0, 0, 0, 0, 3})),
		Signatures: signature(zone, dns.TypeNSEC, signedLabels(owner)),
	}
}

// What is counted is what is there, whatever has been put, replaced, evicted and purged.
func TestPresenceIsExact(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		v := newView(Options{MaxBytes: 1 << 18, KeepStale: time.Hour})
		other := v.cache.View([32]byte{2})
		now := start
		for n := range 3000 {
			now = now.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
			act(t, r, [...]*View{v, other}[r.IntN(2)], now)
			if n%4 == 0 { // so that something is evicted
				v.Put(now, addressSet(made(r.IntN(1_000_000)), 300, anyAddr), answer)
				v.PutCut(now, someDelegation(made(r.IntN(1_000_000)), 300), referral)
			}
			if n%300 == 0 {
				checkPresence(t, v.cache)
			}
		}
		checkPresence(t, v.cache)
		if s := v.cache.Stats(); s.Evictions == 0 || s.Entries == 0 {
			t.Errorf("nothing evicted, or nothing left: %+v", s)
		}
	}
}

// It is exact too when everything happens at the same time.
func TestPresenceConcurrently(t *testing.T) {
	v := newView(Options{MaxBytes: 1 << 18})
	var all sync.WaitGroup
	for seed := range uint64(4) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 2))
			for n := range 2000 {
				act(t, r, v, start.Add(time.Duration(n)*time.Second/10))
			}
		})
	}
	all.Wait()
	checkPresence(t, v.cache)
}

// An entry that is kept is always found: moves between the lists of its shard, and replacing
// it, do not hide it for a moment.
func TestPresenceHidesNothing(t *testing.T) {
	v := newView(Options{MaxBytes: 1 << 20})
	n := name("www.example.com")
	v.PutFailure(start, n, dns.TypeA, Checked, 22, "")
	var stop atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		for at := start; !stop.Load(); at = at.Add(time.Hour) {
			v.PutFailure(at, n, dns.TypeA, Checked, 22, "")
			v.entry(key{name: n, rrtype: dns.TypeA, kind: KindFailure}, true) // to the hot list
		}
	})
	hidden := 0
	for until := time.Now().Add(200 * time.Millisecond); time.Now().Before(until); {
		for range 1000 {
			if !v.spot(n).may(markFailure) {
				hidden++
			}
		}
	}
	stop.Store(true)
	all.Wait()
	if hidden > 0 {
		t.Errorf("hidden %d times", hidden)
	}
}

// A count that has been at its largest says that something may be there for ever; nothing is
// ever hidden.
func TestPresenceOverflows(t *testing.T) {
	v := newView(Options{MaxBytes: 1 << 18}) // some 300 slots
	for n := range 400 {
		v.PutFailure(start, name(fmt.Sprintf("n%d.example.com", n)), dns.TypeA, Checked, 22, "")
	}
	n := name("www.example.com")
	for range 40 {
		v.cache.presence.add(marked{n, v.id, markFailure})
	}
	for range mostMarks {
		v.cache.presence.remove(marked{n, v.id, markFailure})
	}
	if !v.spot(n).may(markFailure) || v.spot(n).may(markDNAME) {
		t.Errorf("counts are %x", v.spot(n).held)
	}
}

// A cache that is too small for counts looks everywhere.
func TestPresenceWithoutRoom(t *testing.T) {
	v := newView(Options{MaxBytes: 1 << 16})
	if len(v.cache.presence.blocks) > 0 {
		t.Fatal("there is room")
	}
	v.PutFailure(start, name("www.example.com"), dns.TypeA, Checked, 22, "")
	if _, ok := v.GetFailure(start, name("www.example.com"), dns.TypeA, Checked); !ok {
		t.Error("not found")
	}
}
