package cache

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/probes"
)

const (
	// maxRangeShards and minRangeShard: a shard holds whole zones, and one zone of a
	// few thousand names must fit into half of it.
	maxRangeShards = 8
	minRangeShard  = 1 << 20 // bytes

	// maxRanges is how many ranges of one zone are kept. What is sorted in one array
	// can be searched in 14 steps, and moved for another one in microseconds. A zone
	// that makes up ranges as it is asked (RFC 4470) fills no more than this.
	maxRanges = 16384

	zoneSize  = 160 // of a rangeZone on the heap
	rangeSize = 48  // of a zoneRange
)

// rangeStore holds the gaps between the names of signed zones, in order, by zone. It
// is apart from the other stores because it is searched for neighbours and not by
// key; the zone used longest ago leaves first.
type rangeStore struct {
	shards []rangeShard
	shift  uint
}

type rangeShard struct {
	mu    sync.Mutex
	limit int64 // never changed

	presence *presence // counts the zones

	// Guarded by mu, the zones included.
	zones             *simplelru.LRU[uint64, *rangeZone]
	bytes             int64
	entries           int
	peak              int
	evictions, placed uint64
}

// rangeZone has the known gaps of one zone. It is guarded by its shard's lock.
type rangeZone struct {
	name   dnsname.Name
	view   uint32
	params nsec3Params
	soa    entry // empty: not known
	ranges []zoneRange
	bytes  int64
	hand   int // where evict looks next
}

// zoneRange is one NSEC or NSEC3 record: lo exists, and nothing between lo and hi
// does. Names for NSEC, raw hashes for NSEC3.
type zoneRange struct {
	lo, hi string
	e      entry
}

func newRangeStore(limit int64, p *presence) rangeStore {
	n := 1
	for n < maxRangeShards && limit/int64(2*n) >= minRangeShard {
		n *= 2
	}
	s := rangeStore{shards: make([]rangeShard, n), shift: 64 - uint(bits.TrailingZeros(uint(n)))}
	for i := range s.shards {
		s.shards[i].limit = limit / int64(n)
		s.shards[i].presence = p
		s.shards[i].reset()
	}
	return s
}

func (s *rangeStore) shard(hash uint64) *rangeShard {
	probes.Look()
	return &s.shards[hash>>s.shift]
}

// reset empties the shard. The caller holds mu, or has the only reference.
func (s *rangeShard) reset() {
	s.zones, _ = simplelru.NewLRU[uint64, *rangeZone](math.MaxInt, nil) // fails below 1 only
	s.bytes, s.entries, s.peak = 0, 0, 0
}

func (s *rangeShard) total() int64 { return s.bytes + int64(s.peak)*slotOverhead }

// zone returns the zone of this name and view, or nil. The caller holds mu.
func (s *rangeShard) zone(hash uint64, name dnsname.Name, view uint32) *rangeZone {
	z, ok := s.zones.Get(hash)
	if !ok || z.name != name || z.view != view {
		return nil
	}
	return z
}

// change finds or makes the zone, lets do change it, and brings the shard back within
// its limit.
func (s *rangeShard) change(hash uint64, name dnsname.Name, view uint32, do func(z *rangeZone)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := s.zone(hash, name, view)
	if z == nil {
		if old, ok := s.zones.Peek(hash); ok { // another zone with the same hash
			s.drop(hash, old)
		}
		z = &rangeZone{name: dnsname.Name(strings.Clone(string(name))), view: view}
		z.bytes = listOverhead + zoneSize + allocated(len(name))
		s.presence.add(z.marked())
		s.zones.Add(hash, z)
		s.bytes += z.bytes
		s.peak = max(s.peak, s.zones.Len())
	}
	bytes, entries := z.bytes, len(z.ranges)
	do(z)
	for z.bytes > s.limit/2 && len(z.ranges) > 0 {
		z.evict()
		s.evictions++
	}
	s.placed++
	s.bytes += z.bytes - bytes
	s.entries += len(z.ranges) - entries
	for s.total() > s.limit {
		hash, oldest, ok := s.zones.GetOldest()
		if !ok {
			return
		}
		s.evictions += uint64(len(oldest.ranges))
		s.drop(hash, oldest)
	}
}

func (s *rangeShard) drop(hash uint64, z *rangeZone) {
	s.zones.Remove(hash)
	s.bytes -= z.bytes
	s.entries -= len(z.ranges)
	s.presence.remove(z.marked())
}

// order says whether a zone's names or hashes come before each other.
func (z *rangeZone) order(a, b string) int {
	if z.params.used {
		return cmp.Compare(a, b)
	}
	return dnsname.Compare(dnsname.Name(a), dnsname.Name(b))
}

// search returns where the range beginning at lo is or would be.
func (z *rangeZone) search(lo string) (int, bool) {
	return slices.BinarySearchFunc(z.ranges, lo, func(r zoneRange, lo string) int { return z.order(r.lo, lo) })
}

// insert puts a range in its place. Ranges that begin inside it are older and no
// longer true: their names are gone.
func (z *rangeZone) insert(r zoneRange) {
	at, found := z.search(r.lo)
	end := at
	if found {
		end++
	}
	for end < len(z.ranges) && z.between(r, z.ranges[end].lo) {
		end++
	}
	for _, old := range z.ranges[at:end] {
		z.bytes -= old.size()
	}
	room := cap(z.ranges)
	z.ranges = slices.Replace(z.ranges, at, end, r)
	z.bytes += r.size() + allocated(cap(z.ranges)*rangeSize) - allocated(room*rangeSize)
	if len(z.ranges) > maxRanges {
		z.evict()
	}
}

// between reports whether x is inside the gap of r. The range that ends the chain
// has no upper end: hi is the first name or hash of the zone.
func (z *rangeZone) between(r zoneRange, x string) bool {
	above, below := z.order(r.lo, x) < 0, z.order(x, r.hi) < 0
	if z.order(r.lo, r.hi) < 0 {
		return above && below
	}
	return above || z.params.used && below
}

// evict removes one range: the one that ends first among four, which are others each
// time. It need not be the best one, but must not take long.
func (z *rangeZone) evict() {
	const tries = 4
	step := len(z.ranges)/tries + 1
	z.hand = (z.hand + 1) % step
	victim := z.hand % len(z.ranges)
	for at := victim; at < len(z.ranges); at += step {
		if z.ranges[at].e.span().wall < z.ranges[victim].e.span().wall {
			victim = at
		}
	}
	z.bytes -= z.ranges[victim].size()
	z.ranges = slices.Delete(z.ranges, victim, victim+1)
}

// use makes the zone one of the given NSEC3 parameters, or of NSEC. What was known by
// others is dropped: a proof uses one set of them (RFC 5155 §8.2).
func (z *rangeZone) use(p nsec3Params) {
	if z.params == p {
		return
	}
	for _, r := range z.ranges {
		z.bytes -= r.size()
	}
	z.bytes -= allocated(cap(z.ranges) * rangeSize)
	z.ranges, z.params = nil, p
}

func (z *rangeZone) setSOA(e entry) {
	z.bytes += allocated(len(e)) - allocated(len(z.soa))
	z.soa = e
}

// size is what a range takes beside its place in the array. Its ends are counted as if
// each had bytes of its own; often they are the entry's.
func (r zoneRange) size() int64 { return r.e.size() + allocated(len(r.lo)) + allocated(len(r.hi)) }

// matching returns the range that begins at x, if it is alive.
func (z *rangeZone) matching(i instant, x string) (zoneRange, bool) {
	at, found := z.search(x)
	if !found || z.ranges[at].e.span().left(i) <= 0 {
		return zoneRange{}, false
	}
	return z.ranges[at], true
}

// covering returns the range whose gap x is in, if it is alive.
func (z *rangeZone) covering(i instant, x string) (zoneRange, bool) {
	at, found := z.search(x)
	if found || len(z.ranges) == 0 {
		return zoneRange{}, false
	}
	if at == 0 {
		at = len(z.ranges) // the last range may reach round to the front
	}
	r := z.ranges[at-1]
	if !z.between(r, x) || r.e.span().left(i) <= 0 {
		return zoneRange{}, false
	}
	return r, true
}

func (s *rangeStore) stats(all []ShardStats) []ShardStats {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		all = append(all, ShardStats{Entries: sh.entries, Bytes: sh.total(), MaxBytes: sh.limit, Puts: sh.placed, Evictions: sh.evictions})
		sh.mu.Unlock()
	}
	return all
}
