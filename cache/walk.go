package cache

import (
	"slices"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
)

// Entry is one entry of the cache, for programs that inspect it.
type Entry struct {
	View   [32]byte // the digest of its view
	Kind   Kind
	Name   dnssec.Name // the owner, the denied name, the zone or the host
	Type   uint16      // 0 where the kind has none
	Trust  Trust
	Rank   Rank
	Status dnssec.Status
	TTL    uint32 // seconds left; 0: expired
	// Set is what RRsets, wildcards and ranges hold.
	Set dnssec.RRset
	// Delegation is what a cut holds. Do not change it.
	Delegation *glue.Delegation
	// Failure is what a failure holds. TTL is longer than it keeps the question from being tried
	// again, which Failure.Until says.
	Failure *Failure
}

// Walk shows everything in the cache to visit until that returns false, in no
// particular order, expired things included. No lock is held while visit runs, which
// may use the cache; what changes meanwhile may be shown or not.
func (c *Cache) Walk(now time.Time, visit func(Entry) bool) {
	i, digests := c.at(now), c.digests()
	show := func(e entry) bool {
		digest, ok := digests[e.view()] // else it has been forgotten, or is new
		return !ok || visit(e.entry(now, i, digest))
	}
	showCut := func(e *cutEntry) bool {
		digest, ok := digests[e.view]
		return !ok || visit(Entry{View: digest, Kind: e.kind, Name: e.name, TTL: e.seconds(i), Delegation: e.cut})
	}
	_ = c.answers.each(show) && c.brief.each(show) && c.keys.each(show) && c.ranges.each(show) && c.top.each(showCut) && c.cuts.each(showCut)
}

// digests returns the digests of views by their number.
func (c *Cache) digests() map[uint32][32]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[uint32][32]byte, c.views.Len())
	for _, digest := range c.views.Keys() {
		id, _ := c.views.Peek(digest)
		all[id] = digest
	}
	return all
}

func (e entry) entry(now time.Time, i instant, view [32]byte) Entry {
	st := e.standing()
	out := Entry{
		View: view, Kind: e.kind(), Name: e.name(), Type: e.rrtype(),
		Trust: e.trust(), Rank: st.rank, Status: st.status, TTL: e.span().seconds(i),
	}
	switch out.Kind {
	case KindRRset, KindWildcard, KindRange:
		out.Set = e.item(i).Set
	case KindFailure:
		f := e.failure(now, i)
		out.Failure = &f
	case KindNoData, KindNameError, KindChain, KindClaim, KindTypes, KindCut, KindGlue:
	}
	return out
}

// each shows all values, those of a shard as they were at one moment, until show
// returns false, and reports whether it never did.
func (s *store[V]) each(show func(V) bool) bool {
	for at := range s.shards {
		for _, v := range s.shards[at].values() {
			if !show(v) {
				return false
			}
		}
	}
	return true
}

// values lists what the shard holds, of each list what was used longest ago first.
func (s *shard[V]) values() []V {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.denied.lru.Values(), s.cold.lru.Values(), s.hot.lru.Values())
}

// each shows the ranges of all zones, and after them each zone's SOA.
func (s *rangeStore) each(show func(entry) bool) bool {
	for at := range s.shards {
		for _, e := range s.shards[at].values() {
			if !show(e) {
				return false
			}
		}
	}
	return true
}

func (s *rangeShard) values() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]entry, 0, s.entries+s.zones.Len())
	for _, z := range s.zones.Values() {
		for _, r := range z.ranges {
			all = append(all, r.e)
		}
		if z.soa != "" {
			all = append(all, z.soa)
		}
	}
	return all
}
