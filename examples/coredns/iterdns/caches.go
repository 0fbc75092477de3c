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
}

type pooledCache struct {
	*cache.Cache
	users int
}

// take gives the cache for key, and the function that gives it back.
func (p *cachePool) take(key cacheKey) (*cache.Cache, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.caches[key]
	if c == nil {
		c = &pooledCache{Cache: cache.New(cache.Options{MaxBytes: key.bytes, KeepStale: key.keepStale})}
		p.caches[key] = c
	}
	c.users++
	return c.Cache, sync.OnceFunc(func() { p.giveBack(key) })
}

func (p *cachePool) giveBack(key cacheKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.caches[key]
	if c.users--; c.users == 0 {
		delete(p.caches, key)
	}
}
