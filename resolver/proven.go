package resolver

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// maxProven is how many zones' keys, and as many delegations, are kept proven. A key
// set takes about 1 KiB.
const maxProven = 10_000

// proven keeps what validation has proven of zones, in the form it works with, so that
// a chain of trust is not followed again for every answer. It belongs to one resolver:
// what another one believes is not taken over, whatever cache they share.
type proven struct {
	mu          sync.Mutex
	keys        *simplelru.LRU[dnsname.Name, timed[*dnssec.KeySet]]     // guarded by mu
	delegations *simplelru.LRU[dnsname.Name, timed[*dnssec.Delegation]] // guarded by mu
	// What was asked again, and how often zones were in vain. Guarded by mu.
	refreshed *simplelru.LRU[question, timed[struct{}]]
	fruitless *simplelru.LRU[dnsname.Name, timed[int]]
}

const (
	// retryPause is how long a zone whose data is bogus is not asked for more than its
	// answers: the time for which Unbound keeps bogus data (val-bogus-ttl).
	retryPause = 60 * time.Second
	// maxFruitless is how many answers of one zone may be bogus, whoever is asked,
	// before other servers are not asked any more for a while. One broken name shall
	// not cost the others their second opinion.
	maxFruitless = 3
)

type timed[T any] struct {
	value   T
	expires time.Time
}

func newProven() *proven {
	// NewLRU fails for sizes below one only.
	keys, _ := simplelru.NewLRU[dnsname.Name, timed[*dnssec.KeySet]](maxProven, nil)
	delegations, _ := simplelru.NewLRU[dnsname.Name, timed[*dnssec.Delegation]](maxProven, nil)
	refreshed, _ := simplelru.NewLRU[question, timed[struct{}]](maxProven, nil)
	fruitless, _ := simplelru.NewLRU[dnsname.Name, timed[int]](maxProven, nil)
	return &proven{keys: keys, delegations: delegations, refreshed: refreshed, fruitless: fruitless}
}

// mayRefresh reports whether keys or a DS that are proven may be asked for again because
// a signature does not go with them, and counts that as done. Whoever signs with keys
// that nobody publishes must not make us ask for each answer (RFC 8901 §3).
func (p *proven) mayRefresh(now time.Time, q question) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at, ok := p.refreshed.Get(q); ok && now.Before(at.expires) {
		return false
	}
	p.refreshed.Add(q, timed[struct{}]{expires: now.Add(retryPause)})
	return true
}

// inVain counts that an answer of a zone was bogus, whoever was asked.
func (p *proven) inVain(now time.Time, zone dnsname.Name) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.fruitless.Get(zone)
	if !ok || !now.Before(at.expires) {
		at = timed[int]{expires: now.Add(retryPause)}
	}
	at.value++
	p.fruitless.Add(zone, at)
}

// isHopeless reports whether asking others in a zone has been in vain often enough.
func (p *proven) isHopeless(now time.Time, zone dnsname.Name) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.fruitless.Get(zone)
	return ok && now.Before(at.expires) && at.value >= maxFruitless
}

// load gives the evidence what is proven of name and the zones above it.
func (p *proven) load(now time.Time, name dnsname.Name, into *dnssec.Evidence) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for zone := name; ; zone = zone.Parent() {
		if k, ok := p.keys.Get(zone); ok && now.Before(k.expires) {
			into.AddKeySet(k.value)
		}
		if d, ok := p.delegations.Get(zone); ok && now.Before(d.expires) {
			into.AddDelegation(d.value)
		}
		if zone.IsRoot() {
			return
		}
	}
}

// save keeps what the evidence has proven of name and the zones above it, and gives the
// delegations that were not known before.
func (p *proven) save(now time.Time, name dnsname.Name, from *dnssec.Evidence) (added []*dnssec.Delegation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for zone := name; ; zone = zone.Parent() {
		if k := from.KeySet(zone); k != nil && k.TTL > 0 {
			keepNew(p.keys, zone, k, now, k.TTL)
		}
		if d := from.Delegation(zone); d != nil && d.TTL > 0 && d.Kind != dnssec.DelegationBogus {
			if keepNew(p.delegations, zone, d, now, d.TTL) {
				added = append(added, d)
			}
		}
		if zone.IsRoot() {
			return added
		}
	}
}

// keepDS puts a proven DS RRset of a referral into the cache, where it answers questions
// for it: it is the parent's word in the place where it belongs.
func (r *Resolver) keepDS(now time.Time, d *dnssec.Delegation) {
	if d.Kind != dnssec.DelegationSigned || d.DS == nil {
		return
	}
	set := *d.DS
	set.TTL = min(set.TTL, d.TTL)
	r.view.Put(now, &set, cache.Meta{Rank: cache.RankAuthority, Status: dnssec.Secure, Trust: cache.Checked})
}

// keepNew adds a value unless it is the one that is there: its TTL counts from when
// it was proven.
func keepNew[T comparable](lru *simplelru.LRU[dnsname.Name, timed[T]], zone dnsname.Name, value T, now time.Time, ttl uint32) bool {
	if old, ok := lru.Peek(zone); ok && old.value == value {
		return false
	}
	lru.Add(zone, timed[T]{value, now.Add(time.Duration(min(ttl, maxTTL)) * time.Second)})
	return true
}
