package iterdns

import (
	"sync"
	"time"

	"github.com/iterdns/iterdns/cache"
)

// cacheKey says which plugins have one cache: those for the same zones, with the same
// bounds. What must not be shared, as answers validated from other trust anchors, the
// resolvers keep apart in it.
type cacheKey struct {
	zones     string
	bytes     int64
	keepStale time.Duration
}

// cachePool holds the caches in use. A reload starts the new servers before it stops the
// old ones, so that a cache outlives it: load would otherwise meet an empty one.
type cachePool struct {
	mu     sync.Mutex
	caches map[cacheKey]*pooledCache // guarded by mu
	// evicted is how many entries were evicted from caches that are gone, by
	// the zones of the plugins, so that the counter does not fall. Guarded by mu.
	evicted map[string]uint64
}

type pooledCache struct {
	*cache.Cache
	users int
	maker caddyMark // the instance that has made it
}

// take returns the cache for key, whether it is one of this instance's own rather than of one
// before a reload, and the function that releases it.
func (p *cachePool) take(key cacheKey, mark caddyMark) (kept *cache.Cache, isNew bool, giveBack func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.caches[key]
	if c == nil {
		c = &pooledCache{Cache: cache.New(cache.Options{MaxBytes: key.bytes, KeepStale: key.keepStale}), maker: mark}
		p.caches[key] = c
	}
	c.users++
	return c.Cache, c.maker == mark, sync.OnceFunc(func() { p.giveBack(key) })
}

func (p *cachePool) giveBack(key cacheKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.caches[key]
	if c.users--; c.users == 0 {
		delete(p.caches, key)
		p.evicted[key.zones] += c.Stats().Evictions
	}
}

// addTo adds to the samples what the caches hold, and have evicted, those that are no more
// included.
func (p *cachePool) addTo(sampleOf func(label string) *sample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for label, n := range p.evicted {
		sampleOf(label).count(evictions, "", n)
	}
	for key, c := range p.caches {
		st, s := c.Stats(), sampleOf(key.zones)
		s.gauge(cacheEntries, float64(st.Entries))
		s.gauge(cacheBytes, float64(st.Bytes))
		s.gauge(cacheMaxBytes, float64(st.MaxBytes))
		s.count(evictions, "", st.Evictions)
	}
}
