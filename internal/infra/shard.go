package infra

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// shards: a query looks servers up a dozen times, for a microsecond in all. More bring nothing even
// on a machine with many cores.
const shards = 32

// shard holds a part of the addresses under one lock, so that queries to different servers
// seldom wait for each other.
type shard struct {
	mu      sync.Mutex
	servers list[netip.AddrPort, server] // guarded by mu
	lame    list[lameKey, time.Time]     // guarded by mu; until when
	heard   time.Time                    // guarded by mu; when a server of the shard last answered

	_ [64]byte // keeps the locks of neighbours off one cache line
}

// shardOf returns the shard of an address. The seed is secret, so that nobody can choose
// addresses that have one shard.
func (t *Table) shardOf(addr netip.AddrPort) *shard {
	return &t.shards[maphash.Comparable(t.seed, addr)%shards]
}

// bound is how many entries of one kind all shards may have together, and how many they have: a
// shard must not evict what is in use while another one holds what is not.
type bound struct {
	most    int64
	entries atomic.Int64 // with those that are about to be added
	// added counts the entries that were ever added. It is the clock that tells which entry of
	// all shards has been unused for longest: only when it goes on is one evicted.
	added atomic.Uint64
}

// list is the entries of one kind in one shard, in the order of their last use. Its methods are
// called with the lock of the shard held.
type list[K comparable, V any] struct {
	items          map[K]*item[K, V]
	newest, oldest *item[K, V]
}

type item[K comparable, V any] struct {
	newer, older *item[K, V]
	used         uint64 // bound.added at its last use
	key          K
	value        V
}

// get looks an entry up, which is a use of it; nil: there is none.
func (l *list[K, V]) get(b *bound, key K) *V {
	i := l.items[key]
	if i == nil {
		return nil
	}
	// Between two entries that are added the order may be any, and cores that read the same
	// servers need not take each other's cache lines for it.
	if now := b.added.Load(); i.used != now {
		i.used = now
		l.unlink(i)
		l.link(i)
	}
	return &i.value
}

// place is get, or adds an entry in the room that was reserved for it.
func (l *list[K, V]) place(b *bound, key K, value V) *V {
	if v := l.get(b, key); v != nil {
		b.entries.Add(-1)
		return v
	}
	i := &item[K, V]{used: b.added.Add(1), key: key, value: value}
	if l.items == nil {
		l.items = make(map[K]*item[K, V])
	}
	l.items[key] = i
	l.link(i)
	return &i.value
}

// evict removes the entry that has been unused for longest, and returns it; nil: there is none.
func (l *list[K, V]) evict(b *bound) *V {
	i := l.oldest
	if i == nil {
		return nil
	}
	delete(l.items, i.key)
	l.unlink(i)
	b.entries.Add(-1)
	return &i.value
}

// unusedSince returns when the entry was used that evict would remove; never, if there is none.
func (l *list[K, V]) unusedSince() uint64 {
	if l.oldest == nil {
		return math.MaxUint64
	}
	return l.oldest.used
}

func (l *list[K, V]) link(i *item[K, V]) {
	i.newer, i.older = nil, l.newest
	if l.newest == nil {
		l.oldest = i
	} else {
		l.newest.newer = i
	}
	l.newest = i
}

func (l *list[K, V]) unlink(i *item[K, V]) {
	if i.newer == nil {
		l.newest = i.older
	} else {
		i.newer.older = i.older
	}
	if i.older == nil {
		l.oldest = i.newer
	} else {
		i.older.newer = i.newer
	}
}

// reserve counts one more entry of a kind and, in a full table, has the one go that has been unused
// for longest. It holds one lock at a time, none when it returns. Looking into
// each shard is paid for by what made the entry: a query to a server that was not known, or a
// reply that was of no use.
func (t *Table) reserve(b *bound, unusedSince func(*shard) uint64, evict func(*shard)) {
	for n := b.entries.Add(1); n > b.most; n = b.entries.Load() {
		var from *shard
		least := uint64(math.MaxUint64)
		for i := range t.shards {
			s := &t.shards[i]
			s.mu.Lock()
			if used := unusedSince(s); used < least {
				from, least = s, used
			}
			s.mu.Unlock()
		}
		if from == nil {
			return // others have reserved all room, and not used it yet
		}
		from.mu.Lock()
		evict(from)
		from.mu.Unlock()
	}
}
