package cache

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache holds what one or more resolvers have learnt. Make it with New; it is safe
// for concurrent use and needs no closing.
type Cache struct {
	options Options
	hasher  hasher
	base    time.Time // where the monotonic clock of entries starts

	answers store[entry]     // RRsets that clients ask for, negative answers, failures
	keys    store[entry]     // DNSKEY and DS RRsets, and the denials of DS
	top     store[*cutEntry] // delegations of the root and of top-level domains
	cuts    store[*cutEntry] // all other delegations, and leased glue
	brief   store[entry]     // what PutBrief keeps
	ranges  rangeStore       // what NSEC and NSEC3 records deny
	noCuts  noCutTable       // names at which no zone is cut

	presence presence // of which names there is anything in all of these but noCuts

	tally [tallyStripes]stripe // of what Stats tells

	mu     sync.Mutex
	views  *simplelru.LRU[[32]byte, uint32] // guarded by mu: the numbers of views
	viewed uint32                           // guarded by mu: the next number
}

// How MaxBytes is divided, in parts of 100; answers have the rest. Shares are apart so
// that a flood of one sort leaves the others alone. At the default size the share of
// the top holds all 1,438 delegations of the root zone.
const (
	topShare   = 4
	cutShare   = 7
	keyShare   = 10
	rangeShare = 7
	briefShare = 1
	noCutShare = 1 // some 16,000 names at the default size
	// presenceShare makes some 83,000 slots at the default size, one for four small entries.
	presenceShare = 1
)

// New makes an empty cache.
func New(o Options) *Cache {
	o = o.withDefaults()
	part := o.MaxBytes / 100
	views, _ := simplelru.NewLRU[[32]byte, uint32](maxViews, nil) // fails below 1 only
	c := &Cache{options: o, hasher: newHasher(), base: time.Now(), views: views}
	p := &c.presence
	p.hasher = c.hasher
	p.limit(o.MaxBytes)
	c.top = newStore[*cutEntry](part*topShare, p)
	c.cuts = newStore[*cutEntry](part*cutShare, p)
	c.keys = newStore[entry](part*keyShare, p)
	c.brief = newStoreOf[entry](part*briefShare, p, 1, 2) // so that the largest messages find room
	c.brief.shards[0].brief = true
	c.ranges = newRangeStore(part*rangeShare, p)
	c.answers = newStore[entry](o.MaxBytes-part*(topShare+cutShare+keyShare+rangeShare+briefShare+noCutShare+presenceShare), p)
	c.noCuts.limit(part * noCutShare)
	return c
}

// View is a part of the cache that shares nothing with other parts but the memory
// bound. Resolvers that have the same policy share a view; others could launder each
// other's data. It is a small handle, safe for concurrent use.
type View struct {
	cache     *Cache
	id        uint32
	uncounted bool
	strict    bool // see Strict
}

// Uncounted returns the same view for looking whether something is there before it is
// decided what to do: Stats does not count what that finds or misses.
func (v *View) Uncounted() *View {
	quiet := *v
	quiet.uncounted = true
	return &quiet
}

// Strict returns the same view for a resolver that takes an unproven NXDOMAIN to mean that
// there is nothing below the name either (RFC 8020). Servers that answer so for empty
// non-terminals are common, and hide the names below from such a resolver.
func (v *View) Strict() *View {
	strict := *v
	strict.strict = true
	return &strict
}

// View returns the view with the given digest, which stands for everything that decides
// what data a resolver would believe: trust anchors, negative anchors, routes,
// validation and server policy. The cache remembers the 4,096 digests that it was asked
// for last; a view that was forgotten is empty again. Views that are in
// use stay what they are.
func (c *Cache) View(digest [32]byte) *View {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, ok := c.views.Get(digest)
	if !ok {
		id = c.viewed
		c.viewed++ // numbers are not used again: entries of the forgotten may be left
		c.views.Add(digest, id)
	}
	return &View{cache: c, id: id}
}

// maxViews is how many digests of views are remembered, some 150 bytes each. Resolvers
// have one for each route and negative trust anchor; a program that replaces these all day
// makes new ones all day.
const maxViews = 4096
