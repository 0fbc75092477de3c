package cache

import (
	"sync"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/probes"
)

const (
	// noCutShards keeps cores from waiting for each other's.
	noCutShards = 16
	// noCutWays is how many slots a name may be in: enough that few in use collide.
	noCutWays = 4
	// noCutSetSize is what the slots of one set take, in bytes.
	noCutSetSize = noCutWays * 40
)

// noCutTable remembers at which names there is no zone cut. It saves a resolver minimised
// queries, and no answer depends on it. So it holds hashes only, in a fixed number of
// slots: a flood of names made up at random can evict useful ones, but nothing grows.
type noCutTable struct{ shards [noCutShards]noCutShard }

type noCutShard struct {
	mu   sync.Mutex
	size int // of sets, when made; never changed

	// Guarded by mu.
	sets              [][noCutWays]noCutSlot // nil: nothing was ever put
	placed, evictions uint64
}

// noCutSlot is one name below one zone.
type noCutSlot struct {
	hash uint64
	span
	used bool // asked for since it, or another of its set, was put
}

func (t *noCutTable) limit(bytes int64) {
	for i := range t.shards {
		t.shards[i].size = int(bytes / noCutShards / noCutSetSize)
	}
}

func (t *noCutTable) shard(hash uint64) *noCutShard {
	probes.Look()
	return &t.shards[hash>>60]
}

// PutNoCut remembers that there is no zone cut at name, which is below zone, since the
// servers of zone have answered for it without a referral (RFC 9156 §3); a child zone on the
// same servers looks the same. It is kept for ttl seconds, but no longer than
// Options.MaxNegativeTTL, as it is the denial of a delegation, nor beyond notAfter, the end
// of the zone's lease, unless that is zero. The least is MaxBareTTL, so that one question
// need not ask the same again for each alias of a chain.
func (v *View) PutNoCut(now time.Time, zone, name dnssec.Name, ttl uint32, notAfter time.Time) {
	d := lifetime(now, max(ttl, MaxBareTTL), v.cache.options.MaxNegativeTTL, notAfter)
	if d <= 0 || !name.IsBelow(zone) {
		return
	}
	i, hash := v.cache.at(now), v.noCutHash(v.cache.hasher.name(name), zone)
	v.cache.noCuts.shard(hash).put(i, hash, spanOf(i, d))
}

// NoCut returns the deepest name at or above name, and below zone, of which it is known at now
// that there is no zone cut; "" when nothing is known.
func (v *View) NoCut(now time.Time, zone, name dnssec.Name) dnssec.Name {
	p := path{view: v, name: name}
	return p.noCut(v.cache.at(now), zone)
}

func (p *path) noCut(i instant, zone dnsname.Name) dnsname.Name {
	if !p.name.IsBelow(zone) {
		return ""
	}
	steps := 0
	for name := p.name; len(name) > len(zone); name = name.Parent() {
		hash := p.view.noCutHash(p.at(steps, name).hash, zone)
		if p.view.cache.noCuts.shard(hash).get(i, hash) {
			return name
		}
		steps++
	}
	return ""
}

// dropNoCut forgets that there was no zone cut at name, whatever zone it was in.
func (v *View) dropNoCut(name dnsname.Name) {
	known := v.cache.hasher.name(name)
	for zone := name; !zone.IsRoot(); {
		zone = zone.Parent()
		hash := v.noCutHash(known, zone)
		v.cache.noCuts.shard(hash).remove(hash)
	}
}

// noCutHash stands for the name with this hash below a zone, which its length is enough to tell.
func (v *View) noCutHash(name uint64, zone dnsname.Name) uint64 {
	return name ^ v.cache.hasher.rest(&key{view: v.id, rrtype: uint16(len(zone))})
}

func (s *noCutShard) get(i instant, hash uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets == nil {
		return false
	}
	for at := range s.set(hash) {
		slot := &s.set(hash)[at]
		if slot.hash == hash && slot.left(i) > 0 {
			slot.used = true
			return true
		}
	}
	return false
}

func (s *noCutShard) put(i instant, hash uint64, life span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets == nil {
		if s.size == 0 {
			return
		}
		s.sets = make([][noCutWays]noCutSlot, s.size)
	}
	s.placed++
	set := s.set(hash)
	for at := range set {
		if set[at].hash == hash {
			if life.left(i) > set[at].left(i) { // each is true until its end
				set[at].span = life
			}
			return
		}
	}
	at := leastOfUse(set, i)
	if set[at].left(i) > 0 {
		s.evictions++
	}
	if set[at].used { // all are: entries used from now on stay
		for other := range set {
			set[other].used = false
		}
	}
	set[at] = noCutSlot{hash: hash, span: life}
}

// set returns the slots that a hash may be in. The caller holds mu, and there are some.
func (s *noCutShard) set(hash uint64) *[noCutWays]noCutSlot {
	return &s.sets[hash%uint64(len(s.sets))]
}

// leastOfUse returns the slot to overwrite: an expired one, else the one that ends first of
// those that were not used, else of all.
func leastOfUse(set *[noCutWays]noCutSlot, i instant) int {
	least := 0
	for at := range set {
		switch a, b := &set[at], &set[least]; {
		case a.left(i) <= 0:
			return at
		case a.used != b.used:
			if b.used {
				least = at
			}
		case a.left(i) < b.left(i):
			least = at
		}
	}
	return least
}

func (s *noCutShard) remove(hash uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets == nil {
		return
	}
	for at := range s.set(hash) {
		if s.set(hash)[at].hash == hash {
			s.set(hash)[at] = noCutSlot{}
		}
	}
}

// clear forgets everything: hashes do not tell whose they are.
func (t *noCutTable) clear() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.sets = nil
		s.mu.Unlock()
	}
}

// stats counts no entries, since hashes cannot be listed.
func (t *noCutTable) stats(all []ShardStats) []ShardStats {
	var sum ShardStats
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		sum.Bytes += int64(len(s.sets)) * noCutSetSize
		sum.MaxBytes += int64(s.size) * noCutSetSize
		sum.Puts, sum.Evictions = sum.Puts+s.placed, sum.Evictions+s.evictions
		s.mu.Unlock()
	}
	return append(all, sum)
}
