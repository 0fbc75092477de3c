package resolver

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// maxKeyCache is how many zones' validated keys, and as many delegations, are kept. A key
// set takes about 1 KiB.
const maxKeyCache = 10_000

// keyCache keeps the validated keys and delegations of zones in the validator's own form, so
// that the chain of trust is not followed again for every answer (Unbound's key cache). It
// belongs to one resolver: what other resolvers have validated is not taken over, even if
// they share a cache.
type keyCache struct {
	mu          sync.Mutex
	keys        *simplelru.LRU[keyCacheKey, expiring[*dnssec.KeySet]]     // guarded by mu
	delegations *simplelru.LRU[keyCacheKey, expiring[*dnssec.Delegation]] // guarded by mu
	// What was fetched again, and how many answers of a zone were bogus. Guarded by mu.
	refetched   *simplelru.LRU[keyCacheKey, expiring[struct{}]]
	bogusCounts *simplelru.LRU[keyCacheKey, expiring[int]]
}

// keyCacheKey is a zone in one view: a name can be a zone inside and outside of a route,
// with different keys.
type keyCacheKey struct {
	view   uint32
	zone   dnsname.Name
	rrtype uint16 // of what was fetched again; else 0
}

// keyCacheView is the key cache as the views of one route table divide it.
type keyCacheView struct {
	*keyCache
	views views
}

// views numbers the views of a route table.
type views interface {
	// ViewID returns the number of the view that the answer to q belongs to.
	ViewID(now time.Time, q question) uint32
}

// dividedBy returns the key cache as views divide it.
func (c *keyCache) dividedBy(by views) keyCacheView { return keyCacheView{keyCache: c, views: by} }

func (c keyCacheView) keyOf(now time.Time, zone dnsname.Name, rrtype uint16) keyCacheKey {
	return keyCacheKey{view: c.views.ViewID(now, question{zone, rrtype}), zone: zone}
}

const (
	// bogusPause is how long a zone whose data is bogus is not asked for more than its
	// answers: the time for which Unbound keeps bogus data (val-bogus-ttl).
	bogusPause = 60 * time.Second
	// maxBogusAnswers is how many answers of one zone may stay bogus after all retries
	// before other servers are not asked any more for a while. It is more than one, so that
	// one broken name does not cost the others their retries.
	maxBogusAnswers = 3
)

func newKeyCache() *keyCache {
	// NewLRU fails only for sizes below one.
	keys, _ := simplelru.NewLRU[keyCacheKey, expiring[*dnssec.KeySet]](maxKeyCache, nil)
	delegations, _ := simplelru.NewLRU[keyCacheKey, expiring[*dnssec.Delegation]](maxKeyCache, nil)
	refreshed, _ := simplelru.NewLRU[keyCacheKey, expiring[struct{}]](maxKeyCache, nil)
	fruitless, _ := simplelru.NewLRU[keyCacheKey, expiring[int]](maxKeyCache, nil)
	return &keyCache{keys: keys, delegations: delegations, refetched: refreshed, bogusCounts: fruitless}
}

// mayRefresh reports whether validated keys or a DS may be fetched again because a signature
// does not fit them, and counts that as done. A zone signed with keys that are not published
// must not make us fetch them for each answer (RFC 8901 §3).
func (c keyCacheView) mayRefresh(now time.Time, q question) bool {
	k := c.keyOf(now, q.name, q.rrtype)
	k.rrtype = q.rrtype
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.refetched.Get(k); ok && at.holds(now) {
		return false
	}
	c.refetched.Add(k, expiring[struct{}]{since: now, ttl: bogusPause})
	return true
}

// countBogus counts that an answer of a zone stayed bogus after all retries.
func (c keyCacheView) countBogus(now time.Time, zone dnsname.Name) {
	k := c.keyOf(now, zone, dns.TypeDNSKEY)
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.bogusCounts.Get(k)
	if !ok || !at.holds(now) {
		at = expiring[int]{since: now, ttl: bogusPause}
	}
	at.value++
	c.bogusCounts.Add(k, at)
}

// isOftenBogus reports whether so many answers of a zone stayed bogus that retries are
// useless.
func (c keyCacheView) isOftenBogus(now time.Time, zone dnsname.Name) bool {
	k := c.keyOf(now, zone, dns.TypeDNSKEY)
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.bogusCounts.Get(k)
	return ok && at.holds(now) && at.value >= maxBogusAnswers
}

// isSigned reports whether a zone is proven to be signed: its parent has a usable DS for it.
func (c keyCacheView) isSigned(now time.Time, zone dnsname.Name) bool {
	k := c.keyOf(now, zone, dns.TypeDS)
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.delegations.Get(k)
	return ok && d.holds(now) && d.value.Kind == dnssec.DelegationSigned
}

// load adds to the evidence the validated keys and delegations of name and the zones above
// it.
func (c keyCacheView) load(now time.Time, name dnsname.Name, into *dnssec.Evidence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for zone := name; ; zone = zone.Parent() {
		if k, ok := c.keys.Get(c.keyOf(now, zone, dns.TypeDNSKEY)); ok && k.holds(now) {
			into.AddKeySet(k.value)
		}
		if d, ok := c.delegations.Get(c.keyOf(now, zone, dns.TypeDS)); ok && d.holds(now) {
			into.AddDelegation(d.value)
		}
		if zone.IsRoot() {
			return
		}
	}
}

// save keeps the keys and delegations of name and the zones above it that the evidence has
// validated, and returns the delegations that are new.
func (c keyCacheView) save(now time.Time, name dnsname.Name, from *dnssec.Evidence) (added []*dnssec.Delegation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for zone := name; ; zone = zone.Parent() {
		if k := from.KeySet(zone); k != nil && k.TTL > 0 {
			addIfNew(c.keys, c.keyOf(now, zone, dns.TypeDNSKEY), k, now, k.TTL)
		}
		if d := from.Delegation(zone); d != nil && d.TTL > 0 && d.Kind != dnssec.DelegationBogus {
			if addIfNew(c.delegations, c.keyOf(now, zone, dns.TypeDS), d, now, d.TTL) {
				added = append(added, d)
			}
		}
		if zone.IsRoot() {
			return added
		}
	}
}

// addIfNew adds a value unless the same one is there: its TTL counts from when it was
// validated.
func addIfNew[T comparable](lru *simplelru.LRU[keyCacheKey, expiring[T]], k keyCacheKey, value T, now time.Time, ttl uint32) bool {
	if old, ok := lru.Peek(k); ok && old.value == value {
		return false
	}
	lru.Add(k, expiring[T]{value, now, time.Duration(min(ttl, maxTTL)) * time.Second})
	return true
}
