package cache

import (
	"fmt"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Purge forgets everything about a name in all views, and returns how many entries
// that were: its RRsets, denials and failures, the delegation of the zone, the
// addresses of the host. What denials proved about the zones it may be in is
// forgotten too, and at which names no zone is cut, but not an NXDOMAIN of a name above. It
// looks at every entry, one shard at a time. The error says that name is no domain name.
func (c *Cache) Purge(name string) (int, error) {
	n, err := parseName(name)
	if err != nil {
		return 0, err
	}
	return c.purge(n, func(found dnsname.Name) bool { return found == n }), nil
}

// PurgeBelow is Purge for a name and all names below it.
func (c *Cache) PurgeBelow(name string) (int, error) {
	n, err := parseName(name)
	if err != nil {
		return 0, err
	}
	return c.purge(n, func(found dnsname.Name) bool { return found.IsAtOrBelow(n) }), nil
}

func parseName(s string) (dnsname.Name, error) {
	n, err := dnsname.Parse(s)
	if err != nil {
		return "", fmt.Errorf("cache: name %q: %w", s, err)
	}
	return n, nil
}

func (c *Cache) purge(n dnsname.Name, chosen func(dnsname.Name) bool) int {
	plain := func(e entry) bool { return chosen(e.name()) }
	cut := func(e *cutEntry) bool { return chosen(e.name) }
	zone := func(z *rangeZone) bool { return n.IsAtOrBelow(z.name) || chosen(z.name) }
	c.noCuts.clear()
	return c.answers.removeAll(plain) + c.brief.removeAll(plain) + c.keys.removeAll(plain) +
		c.top.removeAll(cut) + c.cuts.removeAll(cut) + c.ranges.removeAll(zone)
}

// Clear forgets everything. Views stay what they are.
func (c *Cache) Clear() {
	c.noCuts.clear()
	stores := [...]emptied{&c.answers, &c.brief, &c.keys, &c.top, &c.cuts, &c.ranges}
	for _, s := range stores {
		s.lock()
	}
	for _, s := range stores {
		s.reset()
	}
	c.presence.reset() // while nothing can be put
	for _, s := range stores {
		s.unlock()
	}
}

// emptied is a store that is emptied together with others. Nothing else holds the locks of
// two shards.
type emptied interface {
	lock()
	reset()
	unlock()
}

// removeAll drops what the condition, which is called under the lock, holds for.
func (s *store[V]) removeAll(condition func(V) bool) int {
	n := 0
	for at := range s.shards {
		sh := &s.shards[at]
		sh.mu.Lock()
		for _, g := range sh.lists() {
			for _, hash := range g.lru.Keys() {
				if v, ok := g.lru.Peek(hash); ok && condition(v) {
					g.remove(hash, v)
					sh.presence.remove(sh.marked(v))
					n++
				}
			}
		}
		sh.mu.Unlock()
	}
	return n
}

func (s *store[V]) lock() {
	for at := range s.shards {
		s.shards[at].mu.Lock()
	}
}

func (s *store[V]) reset() {
	for at := range s.shards {
		s.shards[at].reset()
	}
}

func (s *store[V]) unlock() {
	for at := range s.shards {
		s.shards[at].mu.Unlock()
	}
}

func (s *rangeStore) removeAll(condition func(*rangeZone) bool) int {
	n := 0
	for at := range s.shards {
		sh := &s.shards[at]
		sh.mu.Lock()
		for _, hash := range sh.zones.Keys() {
			if z, ok := sh.zones.Peek(hash); ok && condition(z) {
				n += len(z.ranges)
				sh.drop(hash, z)
			}
		}
		sh.mu.Unlock()
	}
	return n
}

func (s *rangeStore) lock() {
	for at := range s.shards {
		s.shards[at].mu.Lock()
	}
}

func (s *rangeStore) reset() {
	for at := range s.shards {
		s.shards[at].reset()
	}
}

func (s *rangeStore) unlock() {
	for at := range s.shards {
		s.shards[at].mu.Unlock()
	}
}
