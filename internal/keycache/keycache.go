package keycache

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/expiring"
)

// Cache keeps the validated keys and delegations of zones in the validator's own form, so
// that the chain of trust is not followed again for every answer (Unbound's key cache). It
// belongs to one resolver: what other resolvers have validated is not taken over, even if
// they share a cache.
type Cache struct {
	mu          sync.Mutex
	keys        *store[*dnssec.KeySet]     // guarded by mu
	delegations *store[*dnssec.Delegation] // guarded by mu
	// What was fetched again, and how many answers of a zone were bogus. Guarded by mu.
	refetched   *simplelru.LRU[key, expiring.Value[struct{}]]
	bogusCounts *simplelru.LRU[key, expiring.Value[int]]

	signatures signatures
}

// Signatures returns the memory of good signatures. All views share it: that a key has made a
// signature is true in each.
func (c *Cache) Signatures() dnssec.SignatureMemory { return &c.signatures }

// key is a zone in one view: a name can be a zone inside and outside of a route,
// with different keys.
type key struct {
	view   uint32
	zone   dnsname.Name
	rrtype uint16 // of what was fetched again; else 0
}

// View is the key cache as the views of one route table divide it.
type View struct {
	*Cache
	views views
}

// views numbers the views of a route table.
type views interface {
	// ViewID returns the number of the view that the answer to q belongs to.
	ViewID(now time.Time, q answer.Question) uint32
}

// DividedBy returns the key cache as views divide it.
func (c *Cache) DividedBy(by views) View { return View{Cache: c, views: by} }

func (c View) keyOf(now time.Time, zone dnsname.Name, rrtype uint16) key {
	return key{view: c.views.ViewID(now, answer.Question{Name: zone, Type: rrtype}), zone: zone}
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

func New() *Cache {
	// NewLRU fails only for sizes below one.
	refreshed, _ := simplelru.NewLRU[key, expiring.Value[struct{}]](maxZones, nil)
	fruitless, _ := simplelru.NewLRU[key, expiring.Value[int]](maxZones, nil)
	return &Cache{
		keys: newStore[*dnssec.KeySet](), delegations: newStore[*dnssec.Delegation](),
		refetched: refreshed, bogusCounts: fruitless,
	}
}

// MayRefresh reports whether validated keys or a DS may be fetched again because a signature
// does not fit them, and counts that as done. A zone signed with keys that are not published
// must not make us fetch them for each answer (RFC 8901 §3).
func (c View) MayRefresh(now time.Time, q answer.Question) bool {
	k := c.keyOf(now, q.Name, q.Type)
	k.rrtype = q.Type
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.refetched.Get(k); ok && at.Holds(now) {
		return false
	}
	c.refetched.Add(k, expiring.Value[struct{}]{Since: now, TTL: bogusPause})
	return true
}

// CountBogus counts that an answer of a zone stayed bogus after all retries.
func (c View) CountBogus(now time.Time, zone dnsname.Name) {
	k := c.keyOf(now, zone, dns.TypeDNSKEY)
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.bogusCounts.Get(k)
	if !ok || !at.Holds(now) {
		at = expiring.Value[int]{Since: now, TTL: bogusPause}
	}
	at.Value++
	c.bogusCounts.Add(k, at)
}

// IsOftenBogus reports whether so many answers of a zone stayed bogus that retries are
// useless.
func (c View) IsOftenBogus(now time.Time, zone dnsname.Name) bool {
	k := c.keyOf(now, zone, dns.TypeDNSKEY)
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.bogusCounts.Get(k)
	return ok && at.Holds(now) && at.Value >= maxBogusAnswers
}

// IsSigned reports whether a zone is proven to be signed: its parent has a usable DS for it.
func (c View) IsSigned(now time.Time, zone dnsname.Name) bool {
	k := c.keyOf(now, zone, dns.TypeDS)
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.delegations.get(k, now)
	return ok && d.Kind == dnssec.DelegationSigned
}

// Known is what of an evidence is, or was, in the cache: Load has brought it, or Save has kept it.
// Save does not keep it again: its time began when it was proven, and what has taken its place
// meanwhile was proven later.
type Known struct {
	keys        []*dnssec.KeySet
	delegations []*dnssec.Delegation
}

// addIfNew adds a value to some, and reports whether it was none of them.
func addIfNew[T comparable](some *[]T, value T) bool {
	if slices.Contains(*some, value) {
		return false
	}
	*some = append(*some, value)
	return true
}

// Load adds to the evidence the validated keys and delegations of name and the zones above
// it, and notes them.
func (c View) Load(now time.Time, name dnsname.Name, into *dnssec.Evidence, known *Known) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for zone := name; ; zone = zone.Parent() {
		if k, ok := c.keys.get(c.keyOf(now, zone, dns.TypeDNSKEY), now); ok {
			into.AddKeySet(k)
			addIfNew(&known.keys, k)
		}
		if d, ok := c.delegations.get(c.keyOf(now, zone, dns.TypeDS), now); ok {
			into.AddDelegation(d)
			addIfNew(&known.delegations, d)
		}
		if zone.IsRoot() {
			return
		}
	}
}

// LoadExpired adds to the evidence, to be judged again there, what was proven last of the keys
// and delegations of name and the zones above it, alive or expired no longer than that ago.
// Save leaves one of each: what was proven later has taken the place of what it contradicts,
// so that a key whose DS is known to be gone vouches for nothing.
func (c View) LoadExpired(now time.Time, name dnsname.Name, ago time.Duration, into *dnssec.Evidence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for zone := name; ; zone = zone.Parent() {
		if k, ok := c.keys.last(c.keyOf(now, zone, dns.TypeDNSKEY), now, ago); ok {
			into.Add(k.Response())
		}
		if d, ok := c.delegations.last(c.keyOf(now, zone, dns.TypeDS), now, ago); ok {
			into.Add(d.Response())
		}
		if zone.IsRoot() {
			return
		}
	}
}

// Save keeps the keys and delegations of name and the zones above it that the evidence has
// validated and that are not known, and returns the delegations that are new. Those that may not
// be kept at all only end what was kept before.
func (c View) Save(now time.Time, name dnsname.Name, from *dnssec.Evidence, known *Known) (added []*dnssec.Delegation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for zone := name; ; zone = zone.Parent() {
		if k := from.KeySet(zone); k != nil && addIfNew(&known.keys, k) {
			c.keys.addIfNew(c.keyOf(now, zone, dns.TypeDNSKEY), k, now, k.TTL)
		}
		if d := from.Delegation(zone); d != nil && d.Kind != dnssec.DelegationBogus && addIfNew(&known.delegations, d) {
			if c.delegations.addIfNew(c.keyOf(now, zone, dns.TypeDS), d, now, d.TTL) {
				added = append(added, d)
			}
		}
		if zone.IsRoot() {
			return added
		}
	}
}

// EndContradicted forgets what is kept of zones and a Secure answer contradicts, alive or expired:
// keys and DS records that are others now, and zone cuts below the zone that has signed the
// answer, down to the name that it is about. What Save keeps is what the answer was judged by;
// that the answer itself speaks of a zone's keys, or of there being no such zone, is this one's.
func (c View) EndContradicted(now time.Time, r *dnssec.Response, v *dnssec.Verdict) {
	if v.Status != dnssec.Secure {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range v.Sets {
		switch set, signer := v.Sets[i].Set, v.Sets[i].Zone; set.Type {
		case dns.TypeNSEC, dns.TypeNSEC3: // those of a zone cut are of the zone above
		case dns.TypeDS:
			c.endCuts(now, signer, set.Owner.Parent())
			c.endOtherDS(now, set.Owner, set)
		case dns.TypeDNSKEY:
			k := c.keyOf(now, set.Owner, dns.TypeDNSKEY)
			if kept, ok := c.keys.entries.Peek(k); ok && !sameRecords(kept.Value.Value.RRset, set) {
				c.keys.entries.Remove(k)
			}
		default:
			c.endCuts(now, signer, set.Owner)
		}
	}
	switch {
	case v.Denial == nil, len(r.Answer) > 0: // the target of an alias is asked for by itself
	case r.Type == dns.TypeDS && !v.Denial.NameError:
		c.endCuts(now, v.Zone, r.Name.Parent())
		c.endOtherDS(now, r.Name, nil)
	default:
		c.endCuts(now, v.Zone, r.Name)
	}
}

// endCuts forgets the zones strictly below one, down to name. The caller holds mu.
func (c View) endCuts(now time.Time, above, name dnsname.Name) {
	if above == "" {
		return
	}
	for cut := name; cut.IsBelow(above); cut = cut.Parent() {
		c.keys.entries.Remove(c.keyOf(now, cut, dns.TypeDNSKEY))
		c.endOtherDS(now, cut, nil)
	}
}

// endOtherDS forgets that a zone has a DS, unless that is set. The caller holds mu.
func (c View) endOtherDS(now time.Time, zone dnsname.Name, set *dnssec.RRset) {
	k := c.keyOf(now, zone, dns.TypeDS)
	kept, ok := c.delegations.entries.Peek(k)
	if ok && kept.Value.Value.Kind == dnssec.DelegationSigned && (set == nil || !sameRecords(kept.Value.Value.DS, set)) {
		c.delegations.entries.Remove(k)
	}
}

// sameRecords reports whether two RRsets have the same records, in any order.
func sameRecords(a, b *dnssec.RRset) bool {
	return a.Records == b.Records || slices.Equal(slices.Sorted(a.Records.All()), slices.Sorted(b.Records.All()))
}
