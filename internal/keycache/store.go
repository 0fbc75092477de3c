package keycache

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/expiring"
)

const (
	// maxZones is how many zones' validated keys, and as many delegations, are kept.
	maxZones = 10_000
	// maxBytes is how much memory the keys may take, and as much the delegations, with the
	// chain of trust of each. A usual zone has some 3 KiB of either; a hostile one can have
	// 64 KiB of records in each link of its chain.
	maxBytes = 64 << 20
)

// proven is a *dnssec.KeySet or a *dnssec.Delegation.
type proven interface {
	comparable
	// Size is how much memory it takes, in bytes.
	Size() int
}

// store keeps what was proven of zones for as long as it holds. It is bounded in number and in
// bytes; what was not used for the longest time goes first.
type store[T proven] struct {
	entries *simplelru.LRU[key, entry[T]]
	size    int // of all entries, in bytes
}

type entry[T proven] struct {
	expiring.Value[T]
	size int
}

func newStore[T proven]() *store[T] {
	s := &store[T]{}
	// NewLRU fails only for sizes below one.
	s.entries, _ = simplelru.NewLRU(maxZones, func(_ key, e entry[T]) { s.size -= e.size })
	return s
}

// get returns what holds of a zone.
func (s *store[T]) get(k key, now time.Time) (value T, ok bool) {
	if e, ok := s.entries.Get(k); ok && e.Holds(now) {
		return e.Value.Value, true
	}
	return value, false
}

// last returns what was proven last of a zone, if it expired no longer than that ago.
func (s *store[T]) last(k key, now time.Time, ago time.Duration) (value T, ok bool) {
	if e, ok := s.entries.Get(k); ok && e.HoldsFor(now, ago) {
		return e.Value.Value, true
	}
	return value, false
}

// addIfNew adds a value unless the same one is there: its TTL counts from when it was
// validated. With a TTL of 0 it only removes another one.
func (s *store[T]) addIfNew(k key, value T, now time.Time, ttl uint32) bool {
	if old, ok := s.entries.Peek(k); ok && old.Value.Value == value {
		return false
	}
	s.entries.Remove(k) // so that its size is taken off
	if ttl == 0 {
		return false
	}
	e := entry[T]{size: value.Size()}
	e.Value = expiring.Value[T]{Value: value, Since: now, TTL: time.Duration(min(ttl, answer.MaxTTL)) * time.Second}
	s.entries.Add(k, e)
	for s.size += e.size; s.size > maxBytes; {
		s.entries.RemoveOldest()
	}
	return true
}
