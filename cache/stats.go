package cache

import (
	"sync/atomic"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Stats is what a cache holds, and how often it was used and how. The counts of events only grow, and Clear does
// not reset them. Each is exact, but they are not taken at one moment.
type Stats struct {
	Entries  int   `json:"entries"`   // what the cache holds, expired things not yet overwritten included
	Bytes    int64 `json:"bytes"`     // memory taken, overhead included
	MaxBytes int64 `json:"max_bytes"` // Options.MaxBytes as it applies

	Hits         uint64 `json:"hits"`          // Get found an RRset
	NegativeHits uint64 `json:"negative_hits"` // GetNegative found a denial
	FailureHits  uint64 `json:"failure_hits"`  // GetFailure found a failure
	CutHits      uint64 `json:"cut_hits"`      // GetCut found a delegation
	ChainHits    uint64 `json:"chain_hits"`    // GetChain or GetBrief found a whole answer
	StaleHits    uint64 `json:"stale_hits"`    // GetStale and its like found something expired
	Synthesised  uint64 `json:"synthesised"`   // Synthesise made an answer or a denial

	// Why Get found nothing.
	MissAbsent  uint64 `json:"miss_absent"`
	MissExpired uint64 `json:"miss_expired"`
	MissRank    uint64 `json:"miss_rank"`

	Refused uint64 `json:"refused"` // sets and denials that were not kept
	// RefusedTypes counts those of them that were one type too many (Options.MaxTypes).
	RefusedTypes uint64 `json:"refused_types"`

	Evictions uint64 `json:"evictions"` // entries evicted for others
	// Shards lists all shards: of answers, of keys, of delegations of top-level
	// domains, of other delegations, of NSEC and NSEC3 ranges, of answers kept briefly; and,
	// as two without entries, of which names there is anything, and what is remembered of
	// names that are no zone cuts.
	Shards []ShardStats `json:"shards"`
}

// ShardStats is the part of one shard.
type ShardStats struct {
	Entries   int    `json:"entries"`
	Hot       int    `json:"hot"` // those that were asked again
	Bytes     int64  `json:"bytes"`
	MaxBytes  int64  `json:"max_bytes"`
	Puts      uint64 `json:"puts"`
	Evictions uint64 `json:"evictions"`
}

// counter is an event that is counted.
type counter uint8

const (
	hitRRset counter = iota
	hitNegative
	hitFailure
	hitCut
	hitChain
	hitStale
	hitSynthesised
	missAbsent
	missExpired
	missRank
	refused
	refusedTypes
	counters
)

// tallyStripes is over how many cache lines the counts are spread, a power of two, so
// that cores do not wait for each other's.
const tallyStripes = 16

type stripe struct {
	counts [counters]atomic.Uint64
	_      [128 - counters*8%128]byte // a line of its own, also where lines are fetched in pairs
}

// stripe returns where events are counted that concern a name.
func (c *Cache) stripe(name dnsname.Name) *stripe {
	at := len(name)
	if at > 2 { // neighbouring names should not share a stripe
		at += int(name[1]) + int(name[at/2])
	}
	return &c.tally[at%tallyStripes]
}

// count counts an event that concerns k, unless this view is not to be counted.
func (v *View) count(k key, what counter) {
	if !v.uncounted {
		v.cache.stripe(k.name).counts[what].Add(1)
	}
}

// countMany is count for an event that came about several times.
func (v *View) countMany(name dnsname.Name, what counter, times uint64) {
	if !v.uncounted && times > 0 {
		v.cache.stripe(name).counts[what].Add(times)
	}
}

// Stats returns what the cache holds, and counts of its use.
func (c *Cache) Stats() Stats {
	var sum [counters]uint64
	for i := range c.tally {
		for what := range sum {
			sum[what] += c.tally[i].counts[what].Load()
		}
	}
	s := Stats{
		MaxBytes:     c.options.MaxBytes,
		Hits:         sum[hitRRset],
		NegativeHits: sum[hitNegative],
		FailureHits:  sum[hitFailure],
		CutHits:      sum[hitCut],
		ChainHits:    sum[hitChain],
		StaleHits:    sum[hitStale],
		Synthesised:  sum[hitSynthesised],
		MissAbsent:   sum[missAbsent],
		MissExpired:  sum[missExpired],
		MissRank:     sum[missRank],
		Refused:      sum[refused],
		RefusedTypes: sum[refusedTypes],
	}
	s.Shards = c.ranges.stats(c.cuts.stats(c.top.stats(c.keys.stats(c.answers.stats(nil)))))
	s.Shards = c.noCuts.stats(c.presence.stats(c.brief.stats(s.Shards)))
	for _, sh := range s.Shards {
		s.Entries += sh.Entries
		s.Bytes += sh.Bytes
		s.Evictions += sh.Evictions
	}
	return s
}

// Len counts what the cache holds, expired things not yet overwritten included.
func (c *Cache) Len() int { return c.Stats().Entries }

// Bytes returns the memory that everything takes, overhead of lists and maps included.
// It is at most Options.MaxBytes.
func (c *Cache) Bytes() int64 { return c.Stats().Bytes }

func (s *store[V]) stats(all []ShardStats) []ShardStats {
	for i := range s.shards {
		all = append(all, s.shards[i].stats())
	}
	return all
}

func (s *shard[V]) stats() ShardStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ShardStats{
		Entries:   s.cold.lru.Len() + s.denied.lru.Len() + s.hot.lru.Len(),
		Hot:       s.hot.lru.Len(),
		Bytes:     s.total(),
		MaxBytes:  s.limit,
		Puts:      s.placed,
		Evictions: s.evictions,
	}
}
