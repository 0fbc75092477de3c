package iterdns

import (
	"maps"
	"slices"
	"sync"

	"github.com/coredns/caddy"
)

// shared is what all plugins of the process have in common, which CoreDNS gives no other
// place: a reload makes new plugins that know nothing of the old ones.
var shared = struct {
	caches *cachePool
	savers *saverPool
	live   *liveSet
}{
	&cachePool{caches: make(map[cacheKey]*pooledCache), evicted: make(map[string]uint64)},
	&saverPool{savers: make(map[saverKey]*saver)},
	&liveSet{handlers: make(map[*Iterdns]caddyMark), past: make(map[string]*sample)},
}

// liveSet are the plugins that have been started and not been stopped.
type liveSet struct {
	mu       sync.Mutex
	handlers map[*Iterdns]caddyMark // guarded by mu
	// past is what plugins counted that are no more, by label, so that counters do not
	// fall at a reload. Guarded by mu.
	past map[string]*sample
}

// caddyMark tells to which instance of the server a plugin belongs. A nil mark: to none.
type caddyMark *struct{ _ byte }

// markKey is where an instance of the server keeps its mark.
type markKey struct{}

// markOf returns the mark of the instance that a directive is read for.
func markOf(c *caddy.Controller) caddyMark {
	if mark, ok := c.Get(markKey{}).(caddyMark); ok {
		return mark
	}
	mark := caddyMark(new(struct{ _ byte }))
	c.Set(markKey{}, mark)
	return mark
}

func (l *liveSet) add(h *Iterdns) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers[h] = h.config.mark
}

// remove takes h out, which has ended all its work, and keeps what it counted.
func (l *liveSet) remove(h *Iterdns) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.handlers, h)
	past := l.past[h.config.label]
	if past == nil {
		past = newSample()
		l.past[h.config.label] = past
	}
	past.addCounts(h)
}

// stopOrphans stops the plugins of instances that do not run: those of a reload that
// failed after its plugins had started, which nobody else tells.
func (l *liveSet) stopOrphans() {
	running := runningMarks()
	l.mu.Lock()
	orphans := maps.Clone(l.handlers)
	l.mu.Unlock()
	maps.DeleteFunc(orphans, func(_ *Iterdns, mark caddyMark) bool { return mark == nil || running[mark] })
	for _, h := range slices.Collect(maps.Keys(orphans)) {
		if err := h.Stop(); err != nil {
			log.Warningf("Stopping after a failed reload: %v", err)
		}
	}
}

// runningMarks returns the marks of the instances that run. It must not be called from
// OnShutdown and OnFinalShutdown, which hold the lock that it takes.
func runningMarks() map[caddyMark]bool {
	running := make(map[caddyMark]bool)
	for _, instance := range caddy.Instances() {
		instance.StorageMu.RLock()
		if mark, ok := instance.Storage[markKey{}].(caddyMark); ok {
			running[mark] = true
		}
		instance.StorageMu.RUnlock()
	}
	return running
}

// runs reports whether the instance with a mark runs.
func runs(mark caddyMark) bool { return runningMarks()[mark] }
