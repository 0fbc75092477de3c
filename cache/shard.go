package cache

import (
	"math"
	"math/bits"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/probes"
)

const (
	// listOverhead is what golang-lru takes for one element beside its key's map
	// slot: a list element with two links, owner, key, value and two fields that only
	// its expiring variant uses.
	listOverhead = 80
	// slotOverhead is what one entry takes of a Go map from uint64 to a pointer when
	// the map has just grown, the worst case: 17 bytes a slot, 7 of 16 slots used.
	slotOverhead = 39

	// maxShards and minShard: more shards than cores that could ever wait for each
	// other bring nothing, and a shard must hold a few hundred entries for its order
	// of use to mean something.
	maxShards = 64
	minShard  = 256 << 10 // bytes

	// hotShare of what a shard's lists may take, in parts of 100, is for entries that were
	// used again. The rest is for new ones.
	hotShare = 80
	// denialShare is the part of a shard, likewise, that denials and failures which were not
	// used again keep when the shard is full. A flood of names made up at random makes them
	// by the million, and each is used once: beyond their share they are evicted before any
	// answer (ATTACKS.md 24). It is a quarter of the part for new entries.
	denialShare = 5
	// minCompact is how many entries a map must have had for making it anew to be worth it.
	minCompact = 256
	// largestShare is the part of a shard that one entry may take.
	largestShare = 8
)

// sized is what a store can hold.
type sized interface {
	comparable
	// size is what the value takes on the heap, in bytes.
	size() int64
	// denies reports whether it is of the kind that each missing name leaves behind.
	denies() bool
	// marked is what it counts as in a presence.
	marked() marked
}

// store is a byte-bounded map from hashes to values, in shards.
type store[V sized] struct {
	shards []shard[V]
	shift  uint // of a hash, to leave the shard's number
}

func newStore[V sized](limit int64, p *presence) store[V] {
	n := 1
	for n < maxShards && limit/int64(2*n) >= minShard {
		n *= 2
	}
	return newStoreOf[V](limit, p, n, largestShare)
}

// newStoreOf makes a store of n shards, a power of two, of each of which one entry may take
// this share.
func newStoreOf[V sized](limit int64, p *presence, n int, share int64) store[V] {
	s := store[V]{shards: make([]shard[V], n), shift: 64 - uint(bits.TrailingZeros(uint(n)))}
	for i := range s.shards {
		s.shards[i].limit = limit / int64(n)
		s.shards[i].largest = s.shards[i].limit / share
		s.shards[i].presence = p
		s.shards[i].reset()
	}
	return s
}

// shard returns the shard of a hash. With one shard the shift is 64, which leaves 0.
func (s *store[V]) shard(hash uint64) *shard[V] {
	probes.Look()
	return &s.shards[hash>>s.shift]
}

// shard is three least-recently-used lists under one lock: cold and denied for entries that
// were not used again, hot for those that were. Cold entries are evicted first, so one-time
// names cannot evict names in use, and before them denials, see denialShare; hot entries that
// fall behind become cold again.
type shard[V sized] struct {
	mu      sync.Mutex
	limit   int64 // bytes, never changed
	largest int64 // of one entry, likewise

	presence *presence // counts what is in the lists
	brief    bool      // as what PutBrief keeps

	// Guarded by mu.
	cold, denied, hot segment[V]
	evictions, placed uint64

	_ [64]byte // keeps the locks of neighbours off one cache line
}

// segment is one list and what it takes.
type segment[V sized] struct {
	lru   *simplelru.LRU[uint64, V]
	bytes int64 // of list elements and values
	peak  int   // most entries ever: maps of Go do not shrink
}

func newSegment[V sized]() segment[V] {
	// The number of entries is not what bounds a shard, so it is set out of reach.
	// NewLRU fails for sizes below one only.
	lru, _ := simplelru.NewLRU[uint64, V](math.MaxInt, nil)
	return segment[V]{lru: lru}
}

func (g *segment[V]) add(hash uint64, v V) {
	if old, ok := g.lru.Peek(hash); ok {
		g.bytes -= listOverhead + old.size()
	}
	g.lru.Add(hash, v)
	g.bytes += listOverhead + v.size()
	g.peak = max(g.peak, g.lru.Len())
}

func (g *segment[V]) remove(hash uint64, v V) {
	g.lru.Remove(hash)
	g.bytes -= listOverhead + v.size()
}

func (g *segment[V]) removeOldest() (hash uint64, v V, ok bool) {
	if hash, v, ok = g.lru.RemoveOldest(); ok {
		g.bytes -= listOverhead + v.size()
	}
	return hash, v, ok
}

// compact makes the list anew when it has become much shorter than its map: otherwise the
// memory of the map that a flood has filled would stay lost. It copies at most one entry for
// each three that have left since, so that on average the cost is negligible.
func (g *segment[V]) compact() {
	n := g.lru.Len()
	if g.peak < minCompact || n > g.peak/4 {
		return
	}
	fresh := newSegment[V]()
	for _, hash := range g.lru.Keys() { // the oldest first
		if v, ok := g.lru.Peek(hash); ok {
			fresh.lru.Add(hash, v)
		}
	}
	g.lru, g.peak = fresh.lru, n
}

// overhead is what the list's map takes.
func (g *segment[V]) overhead() int64 { return int64(g.peak) * slotOverhead }

// reset empties the shard. The caller holds mu, or has the only reference.
func (s *shard[V]) reset() {
	s.cold, s.denied, s.hot = newSegment[V](), newSegment[V](), newSegment[V]()
}

// marked is what v counts as here.
func (s *shard[V]) marked(v V) marked {
	m := v.marked()
	if s.brief {
		m.mark = markBrief
	}
	return m
}

// lists returns the three, as they are most often the one sought.
func (s *shard[V]) lists() [3]*segment[V] { return [...]*segment[V]{&s.hot, &s.cold, &s.denied} }

// coldFor is where v is while it is not in use.
func (s *shard[V]) coldFor(v V) *segment[V] {
	if v.denies() {
		return &s.denied
	}
	return &s.cold
}

// total is what the shard takes.
func (s *shard[V]) total() int64 {
	return s.cold.bytes + s.denied.bytes + s.hot.bytes + s.limit - s.usable()
}

// usable is what the lists may take together: what their maps leave.
func (s *shard[V]) usable() int64 {
	return s.limit - s.cold.overhead() - s.denied.overhead() - s.hot.overhead()
}

// get looks a value up. With use set, it counts as a use: the value moves to the
// front of the hot list. hot tells whether it had been used before.
func (s *shard[V]) get(hash uint64, use bool) (v V, hot, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !use {
		if v, ok = s.hot.lru.Peek(hash); ok {
			return v, true, true
		}
		v, _, ok = s.unused(hash)
		return v, false, ok
	}
	if v, ok = s.hot.lru.Get(hash); ok {
		return v, true, true
	}
	v, from, ok := s.unused(hash)
	if ok {
		from.remove(hash, v)
		s.hot.add(hash, v)
		s.settle()
	}
	return v, false, ok
}

// unused looks a value up that is not hot, and returns the list that it is in.
func (s *shard[V]) unused(hash uint64) (v V, in *segment[V], ok bool) {
	if v, ok = s.cold.lru.Peek(hash); ok {
		return v, &s.cold, true
	}
	v, ok = s.denied.lru.Peek(hash)
	return v, &s.denied, ok
}

// put stores v under hash if an entry of its size may be kept at all. What is there already is
// replaced if may returns true for it; may is called under the lock and must be quick.
func (s *shard[V]) put(hash uint64, v V, may func(old V) bool) bool {
	if listOverhead+slotOverhead+v.size() > s.largest {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.hot.lru.Peek(hash)
	in, to := &s.hot, &s.hot
	if !ok {
		old, in, ok = s.unused(hash)
		to = s.coldFor(v)
	}
	if ok && !may(old) {
		return false
	}
	s.presence.add(s.marked(v))
	if ok && in != to { // of another kind, with the same hash
		in.remove(hash, old)
	}
	to.add(hash, v)
	if ok {
		s.presence.remove(s.marked(old))
	}
	s.placed++
	s.settle()
	return true
}

// settle brings the shard back within its limits. What it removes is paid for by what
// was put before, so that a put costs a constant number of steps on average and
// nothing is ever searched.
func (s *shard[V]) settle() {
	for s.hot.bytes > s.usable()/100*hotShare {
		hash, v, ok := s.hot.removeOldest()
		if !ok {
			break
		}
		s.coldFor(v).add(hash, v)
	}
	for s.total() > s.limit {
		_, v, ok := s.least().removeOldest()
		if !ok {
			return
		}
		s.presence.remove(s.marked(v))
		s.evictions++
	}
	for _, g := range s.lists() {
		g.compact()
	}
}

// least returns the list to evict from next.
func (s *shard[V]) least() *segment[V] {
	switch {
	case s.denied.bytes > s.limit/100*denialShare:
		return &s.denied
	case s.cold.lru.Len() > 0:
		return &s.cold
	case s.denied.lru.Len() > 0:
		return &s.denied
	}
	return &s.hot
}

// remove drops the value under hash if it is v.
func (s *shard[V]) remove(hash uint64, v V) {
	s.removeIf(hash, func(found V) bool { return found == v })
}

// removeIf drops the value under hash if the condition, which is called under the
// lock, holds for it, and reports whether it did.
func (s *shard[V]) removeIf(hash uint64, condition func(V) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.lists() {
		if v, ok := g.lru.Peek(hash); ok && condition(v) {
			g.remove(hash, v)
			s.presence.remove(s.marked(v))
			return true
		}
	}
	return false
}

// allocated returns an upper bound of the heap that an allocation of n bytes takes. The
// classes of Go's allocator are at most an eighth apart; the rounding here is that of
// the small ones, and within an eighth for the others.
func allocated(n int) int64 {
	step := 8
	switch {
	case n > 8192:
		step = 8192 // whole pages
	case n > 2048:
		step = 512
	case n > 1024:
		step = 256
	case n > 512:
		step = 128
	case n > 256:
		step = 32
	case n > 32:
		step = 16
	}
	return int64((n + step - 1) / step * step)
}
