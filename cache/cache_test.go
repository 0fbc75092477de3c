package cache

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// start is where virtual clocks without a monotonic reading begin.
var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// newView makes a cache with the given bounds and one view of it.
func newView(o Options) *View { return New(o).View([32]byte{1}) }

// set makes an RRset of records in zone-file text.
func set(t testing.TB, records ...string) *dnssec.RRset {
	t.Helper()
	var rrs []dns.RR
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			t.Fatalf("test data %q: %v", r, err)
		}
		rrs = append(rrs, rr)
	}
	s, err := dnssec.NewRRset(rrs...)
	if err != nil {
		t.Fatalf("test data %q: %v", records, err)
	}
	return s
}

// addressSet makes an A RRset without parsing text, for tests that need many.
func addressSet(name dnsname.Name, ttl uint32, addr netip.Addr) *dnssec.RRset {
	return &dnssec.RRset{
		Owner: name, Type: dns.TypeA, Class: dns.ClassINET, TTL: ttl,
		Records: dnssec.Pack(string(addr.AsSlice())),
	}
}

func name(s string) dnsname.Name { return dnsname.MustParse(s) }

func numbered(n int) dnsname.Name { return name(fmt.Sprintf("host-%07d.example.com", n)) }

var (
	answer   = Meta{Rank: RankAnswer}
	anyAddr  = netip.MustParseAddr("192.0.2.1")
	nextAddr = netip.MustParseAddr("192.0.2.2")
)

// text returns what an item holds in zone-file text.
func text(t testing.TB, item Item) string {
	t.Helper()
	rrs, err := item.Set.AppendRRs(nil, item.TTL, true)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, rr := range rrs {
		out.WriteString(rr.String() + "\n")
	}
	return out.String()
}

// What was asked twice before a flood of names that are asked once is still there
// after it, and so is every delegation of a top-level domain.
func TestFloodLeavesHotNamesAndDelegations(t *testing.T) {
	const hot, tlds = 1000, 1438
	flood := 1_000_000
	if raceDetector || testing.Short() {
		flood = 200_000 // a little more than the cache holds
	}
	v := newView(Options{MaxBytes: 32 << 20})
	now := start
	for n := range tlds {
		v.PutCut(now, delegation(fmt.Sprintf("tld%d", n), 172800, "a.nic", "192.0.2.1", "2001:db8::1"), Meta{Rank: RankReferral})
	}
	for n := range hot {
		v.Put(now, addressSet(numbered(n), 86400, anyAddr), answer)
		if _, ok := v.Get(now, numbered(n), dns.TypeA, Checked, RankAnswer); !ok {
			t.Fatalf("hot name %d lost before the flood", n)
		}
	}
	for n := range flood {
		one := numbered(hot + n)
		v.Put(now, addressSet(one, 86400, anyAddr), answer)
		if n%100 == 0 { // a zone of its own now and then
			v.PutCut(now, delegation(one.String(), 86400, "ns", "192.0.2.1"), Meta{Rank: RankReferral})
			v.GetCut(now, one)
		}
	}
	kept := 0
	for n := range hot {
		if _, ok := v.Get(now, numbered(n), dns.TypeA, Checked, RankAnswer); ok {
			kept++
		}
	}
	if kept < hot*95/100 {
		t.Errorf("%d of %d hot names survive a flood of %d; want 95 %%", kept, hot, flood)
	}
	for n := range tlds {
		tld := name(fmt.Sprintf("tld%d", n))
		if cut, ok := v.GetCut(now, tld); !ok || cut.Zone != tld {
			t.Errorf("GetCut(%s) = %v, %v after the flood; want its delegation", tld, cut.Delegation, ok)
		}
	}
}

// The heap stays within 5 % of the bound whatever comes, and close to what Bytes says.
func TestMemoryBoundHolds(t *testing.T) {
	if raceDetector {
		t.Skip("allocations have other sizes under the race detector")
	}
	// A smaller cache is full sooner, so that the bound is tried with fewer entries.
	limit, scale := int64(24<<20), 1
	if testing.Short() {
		limit, scale = limit/4, 4
	}
	addresses := func(signature int) func(v *View, n int) {
		return func(v *View, n int) {
			s := addressSet(numbered(n), 86400, anyAddr)
			if signature > 0 {
				s.Signatures = dnssec.Pack(string(make([]byte, signature)))
			}
			v.Put(start, s, answer)
			if n%3 == 0 {
				v.Get(start, numbered(n), dns.TypeA, Checked, RankAnswer)
			}
		}
	}
	example, short := soa(t, "example.com", 3600, 3600), set(t, "example.com. 300 IN DNSKEY 257 3 13 AAAA")
	for _, tt := range []struct {
		about   string
		inserts int
		insert  func(v *View, n int)
		least   int64 // percent of the bound that must be in use
	}{
		{"a million addresses", 1_000_000, addresses(0), 60},
		{"addresses with P-256 signatures", 150_000, addresses(97), 60},
		{"addresses with RSA signatures", 100_000, addresses(290), 60},
		{"first small entries, then large ones", 300_000, func(v *View, n int) { addresses(n*scale/150_000*900)(v, n) }, 50},
		{"all sorts", 100_000, func(v *View, n int) {
			zone := numbered(n)
			v.PutCut(start, delegation(zone.String(), 3600, "ns", "192.0.2.1", "2001:db8::1"), referral)
			v.GetCut(start, zone)
			keys := *short
			keys.Owner = zone
			v.Put(start, &keys, answer)
			v.PutFailure(start, zone, dns.TypeA, Checked, 22, "no reachable authority")
			denied, _ := zone.Child("x")
			v.PutNegative(start, Negative{Name: denied, Type: dns.TypeA, NameError: true, SOA: example, Zone: "", Status: dnssec.Insecure}, Meta{})
			next, _ := zone.Child("n")
			v.PutDenial(start, zone, []*dnssec.RRset{{Owner: zone, Type: dns.TypeNSEC, Class: dns.ClassINET, TTL: 3600,
				Records:    dnssec.Pack(string(next) + "\x00\x01\x40"),
				Signatures: dnssec.Pack("\x00\x2f\x0d\x03" + string(make([]byte, 14)) + string(zone) + string(make([]byte, 64))),
			}}, Meta{Status: dnssec.Secure})
		}, 85},
	} {
		before := liveHeap()
		v := newView(Options{MaxBytes: limit})
		for n := range tt.inserts / scale {
			tt.insert(v, n)
		}
		used, counted := liveHeap()-before, v.cache.Bytes()
		t.Logf("%s: %d entries, %.1f %% of the bound live, %.1f %% by Bytes", tt.about, v.cache.Len(), float64(used)*100/float64(limit), float64(counted)*100/float64(limit))
		if used > limit*105/100 || used < limit*tt.least/100 || counted > limit {
			t.Errorf("%s: %d bytes live, %d by Bytes; want at most 105 %% and 100 %% of %d, and at least %d %% live", tt.about, used, counted, limit, tt.least)
		}
		if used > counted*105/100 || used < counted*75/100 {
			t.Errorf("%s: %d bytes live, but Bytes says %d", tt.about, used, counted)
		}
		runtime.KeepAlive(v)
	}
}

// At 200,000 addresses, each of a name of its own, an RRset takes at most 210 bytes of the
// heap, and at most 340 with a P-256 signature.
func TestBytesPerEntry(t *testing.T) {
	if raceDetector {
		t.Skip("allocations have other sizes under the race detector")
	}
	names := benchNames(200_000)
	for _, tt := range []struct {
		signed bool
		most   float64
	}{{false, 210}, {true, 340}} {
		got := bytesPerEntry(t, names, tt.signed)
		t.Logf("signed %t: %.1f bytes an RRset", tt.signed, got)
		if got > tt.most {
			t.Errorf("signed %t: %.1f bytes an RRset, want at most %.0f", tt.signed, got, tt.most)
		}
	}
}

// bytesPerEntry returns the live heap that one address of each of the names takes in a cache
// without bound, all overhead of lists and maps included, divided by their number.
func bytesPerEntry(t testing.TB, names []dnsname.Name, signed bool) float64 {
	signature := dnssec.Pack(string(make([]byte, 18+len("\x07example\x03com\x00")+64)))
	before := liveHeap()
	v := newView(Options{MaxBytes: -1})
	for _, n := range names {
		s := addressSet(n, 86400, anyAddr)
		if signed {
			s.Signatures = signature
		}
		v.Put(start, s, answer)
	}
	used := liveHeap() - before
	if v.cache.Len() != len(names) {
		t.Errorf("%d entries, want %d", v.cache.Len(), len(names))
	}
	runtime.KeepAlive(v)
	runtime.KeepAlive(names)
	runtime.KeepAlive(signature)
	return float64(used) / float64(len(names))
}

func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The cache behaves as the simplest model of it does, but may forget.
func TestAgainstModel(t *testing.T) {
	type modelKey struct {
		name   dnsname.Name
		rrtype uint16
		trust  Trust
	}
	type modelItem struct {
		set     *dnssec.RRset
		meta    Meta
		expires time.Time
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		v, model, now := newView(Options{MaxBytes: 4 << 20}), map[modelKey]modelItem{}, start
		types := []uint16{dns.TypeA, dns.TypeDS, dns.TypeTXT}
		for step := range 5000 {
			now = now.Add(time.Duration(rng.IntN(2000)) * time.Millisecond)
			k := modelKey{numbered(rng.IntN(40)), types[rng.IntN(3)], Trust(rng.IntN(2))}
			old, had := model[k]
			if had && !old.expires.After(now) {
				had = false
			}
			if rng.IntN(2) == 0 {
				m := Meta{Rank: Rank(rng.IntN(6)), Status: dnssec.Status(rng.IntN(3)), Trust: k.trust}
				s := &dnssec.RRset{Owner: k.name, Type: k.rrtype, Class: dns.ClassINET, TTL: uint32(rng.IntN(120)),
					Records: dnssec.Pack(fmt.Sprint(step))}
				want := s.TTL > 0 && (!had || mayReplace(old.meta.standing(), m.standing()))
				if got := v.Put(now, s, m) == nil; got != want {
					t.Fatalf("seed %d step %d: Put(%s %d, %+v) over %+v = %v, want %v", seed, step, k.name, k.rrtype, m, old, got, want)
				}
				if want {
					model[k] = modelItem{s, m, now.Add(time.Duration(s.TTL) * time.Second)}
				}
				continue
			}
			want, alive := old, had
			if checked := (modelKey{k.name, k.rrtype, Checked}); !alive || k.trust == Unchecked {
				if c, ok := model[checked]; ok && c.expires.After(now) {
					want, alive = c, true
				}
			}
			item, ok := v.Get(now, k.name, k.rrtype, k.trust, RankGlue)
			if k.trust == Checked {
				want, alive = old, had
			}
			if ok != alive || ok && (item.Set.Records != want.set.Records || item.Rank != want.meta.Rank ||
				item.TTL != uint32((want.expires.Sub(now)+time.Second-1)/time.Second)) {
				t.Fatalf("seed %d step %d: Get(%v) = %+v, %v; want %+v, %v", seed, step, k, item, ok, want, alive)
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	v := newView(Options{MaxBytes: 1 << 20})
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), 1))
			for range 3000 {
				n := numbered(rng.IntN(50))
				now := start.Add(time.Duration(rng.IntN(100)) * time.Second)
				switch rng.IntN(7) {
				case 0:
					v.Put(now, addressSet(n, 60, anyAddr), answer)
				case 1:
					v.Get(now, n, dns.TypeA, Checked, RankAnswer)
				case 2:
					v.PutNegative(now, Negative{Name: n, Type: dns.TypeA, NameError: true, SOA: soa(t, "example.com", 60, 60)}, Meta{})
				case 3:
					v.GetNegative(now, n, dns.TypeA, Checked)
				case 4:
					v.PutCut(now, delegation(n.String(), 60, "ns", "192.0.2.1"), Meta{Rank: RankReferral})
				case 5:
					v.GetCut(now, n)
					v.Glue(now, name("ns."+n.String()))
				case 6:
					v.PutFailure(now, n, dns.TypeA, Checked, 22, "")
					v.GetFailure(now, n, dns.TypeA, Checked)
				}
			}
		})
	}
	group.Wait()
}

// Views share nothing.
func TestViewsAreApart(t *testing.T) {
	c := New(Options{})
	mine, other := c.View([32]byte{1}), c.View([32]byte{2})
	n := name("www.example.com")
	other.Put(start, addressSet(n, 60, anyAddr), Meta{Rank: RankAnswer, Status: dnssec.Secure})
	other.PutNegative(start, Negative{Name: name("no.example.com"), Type: dns.TypeA, NameError: true, SOA: soa(t, "example.com", 60, 60)}, Meta{})
	other.PutCut(start, delegation("example.com", 60, "ns", "192.0.2.1"), Meta{})
	other.PutFailure(start, n, dns.TypeA, Checked, 22, "")
	if item, ok := mine.Get(start, n, dns.TypeA, Unchecked, RankGlue); ok {
		t.Errorf("Get through another view = %+v, want nothing", item)
	}
	if got, ok := mine.GetNegative(start, name("a.no.example.com"), dns.TypeA, Unchecked); ok {
		t.Errorf("GetNegative through another view = %+v, want nothing", got)
	}
	if cut, ok := mine.GetCut(start, n); ok {
		t.Errorf("GetCut through another view = %+v, want nothing", cut)
	}
	if f, ok := mine.GetFailure(start, n, dns.TypeA, Checked); ok {
		t.Errorf("GetFailure through another view = %+v, want nothing", f)
	}
	if again, ok := c.View([32]byte{2}).Get(start, n, dns.TypeA, Checked, RankAnswer); !ok {
		t.Errorf("Get through a second handle of the view = %+v, %v; want the set", again, ok)
	}
}

// Questions with CD=1 do not push out validated data, even when they are repeated.
func TestUncheckedFloodLeavesCheckedData(t *testing.T) {
	v, hot := newView(Options{MaxBytes: 2 << 20}), 200
	for n := range hot {
		v.Put(start, addressSet(numbered(n), 3600, anyAddr), Meta{Rank: RankAnswer, Status: dnssec.Secure})
		v.Get(start, numbered(n), dns.TypeA, Checked, RankAnswer)
	}
	for n := range 50_000 {
		one := numbered(hot + n)
		v.Put(start, addressSet(one, 3600, anyAddr), Meta{Rank: RankAnswer, Trust: Unchecked})
		v.Get(start, one, dns.TypeA, Unchecked, RankAnswer)
		v.Get(start, one, dns.TypeA, Unchecked, RankAnswer)
	}
	for n := range hot {
		if _, ok := v.Get(start, numbered(n), dns.TypeA, Checked, RankAnswer); !ok {
			t.Fatalf("hot name %d is gone", n)
		}
	}
}

// Whatever was said last of a name and type is what is found.
func TestTheLastWordCounts(t *testing.T) {
	n, types := name("www.example.com"), []uint16{dns.TypeA, dns.TypeDS, dns.TypeTXT}
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 9))
		v, said, noName := newView(Options{}), map[uint16]string{}, false
		for step := range 200 {
			rrtype := types[rng.IntN(len(types))]
			op := []string{"rrset", "nodata", "no name", "chain"}[rng.IntN(4)]
			set := &dnssec.RRset{Owner: n, Type: rrtype, Class: dns.ClassINET, TTL: 60, Records: dnssec.Pack("x")}
			var ok bool
			switch op {
			case "rrset":
				ok = v.Put(start, set, answer) == nil
			case "chain":
				ok = v.PutChain(start, Chain{Name: n, Type: rrtype, Answer: []*dnssec.RRset{set, set}}, answer)
			default:
				ok = v.PutNegative(start, Negative{Name: n, Type: rrtype, NameError: op == "no name", SOA: soa(t, "example.com", 60, 60)}, Meta{})
			}
			noName = op == "no name"
			said[rrtype] = op
			if noName {
				delete(said, rrtype)
			}
			if !ok {
				t.Fatalf("seed %d step %d: %s of type %d refused", seed, step, op, rrtype)
			}
			for _, rrtype := range types {
				want := said[rrtype]
				if want == "" && noName {
					want = "no name"
				}
				got := found(v, n, rrtype)
				if got != want {
					t.Fatalf("seed %d step %d: after %s, type %d is %q, want %q", seed, step, op, rrtype, got, want)
				}
			}
		}
	}
}

// found says which kind of thing a reader finds for a name and type.
func found(v *View, n dnsname.Name, rrtype uint16) string {
	if _, ok := v.Get(start, n, rrtype, Checked, RankAnswer); ok {
		return "rrset"
	}
	if _, ok := v.GetChain(start, n, rrtype, Checked); ok {
		return "chain"
	}
	if negative, ok := v.GetNegative(start, n, rrtype, Checked); ok {
		if negative.NameError {
			return "no name"
		}
		return "nodata"
	}
	return ""
}

// However much is in use, there is room for what comes next to be asked for again.
func TestNewcomersHaveRoom(t *testing.T) {
	for _, before := range []int{0, 50_000} { // names asked once first, so that maps have grown
		v := newView(Options{MaxBytes: 2 << 20})
		for n := range before {
			v.Put(start, addressSet(numbered(n), 3600, anyAddr), answer)
		}
		for n := range 50_000 {
			one := numbered(before + n)
			v.Put(start, addressSet(one, 3600, anyAddr), answer)
			if _, ok := v.Get(start, one, dns.TypeA, Checked, RankAnswer); !ok {
				t.Fatalf("after %d names asked once and %d asked twice, a new one is not kept", before, n)
			}
		}
		var entries, hot int
		for _, sh := range v.cache.Stats().Shards {
			entries, hot = entries+sh.Entries, hot+sh.Hot
		}
		if hot > entries*85/100 || hot < entries/2 {
			t.Errorf("%d of %d entries are hot, want about %d %%", hot, entries, hotShare)
		}
	}
}

// A chain that denies, or rests on a proof that something is not there, lives no longer than
// a denial.
func TestChainsThatDenyAreShort(t *testing.T) {
	n := name("alias.example.com")
	for about, c := range map[string]struct {
		authority []*dnssec.RRset
		want      uint32
	}{
		"answer": {nil, 7200},
		"denial": {[]*dnssec.RRset{soa(t, "example.com", 7200, 7200)}, 3600},
	} {
		v := newView(Options{})
		v.PutChain(start, Chain{Name: n, Type: dns.TypeA, Answer: []*dnssec.RRset{set(t, "alias.example.com. 7200 IN CNAME www.example.com.")}, Authority: c.authority}, answer)
		if got, ok := v.GetChain(start, n, dns.TypeA, Checked); !ok || got.TTL != c.want {
			t.Errorf("%s: got %+v, %v; want it for %d s", about, got, ok, c.want)
		}
	}
}
