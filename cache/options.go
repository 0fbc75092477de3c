package cache

import (
	"math"
	"time"
)

// Bounds that hold unless Options says otherwise.
const (
	// DefaultMaxBytes is enough for some 300,000 addresses, and small beside the
	// programs a resolver is built into.
	DefaultMaxBytes = 64 << 20
	// DefaultMaxTTL caps positive data and delegations (RFC 8767 §4 asks for a cap;
	// Unbound, Knot and PowerDNS take a day too).
	DefaultMaxTTL = 86400 * time.Second
	// DefaultMaxNegativeTTL caps negative answers. RFC 2308 §5 finds one to three
	// hours sensible.
	DefaultMaxNegativeTTL = 3600 * time.Second
	// DefaultMaxEntry is the largest entry in bytes (PowerDNS). Larger ones are rare,
	// and kept apart, so that they cannot evict hundreds of ordinary entries.
	DefaultMaxEntry = 8192
	// DefaultMaxRecords is how many records an RRset may have to be kept (PowerDNS
	// 256, BIND 100). Nothing legitimate comes near; a huge set makes every answer
	// with it slow.
	DefaultMaxRecords = 256
	// DefaultMaxTypes is how many types of one name are kept (BIND's
	// max-types-per-name, after CVE-2024-1737). Here a name with many types is no
	// slower than many names, so that the limit only keeps one name from filling the
	// cache.
	DefaultMaxTypes = 100
)

// Options bounds a cache. The zero value is the production default; in every field
// zero means the default and a negative value means no bound.
type Options struct {
	// MaxBytes is the memory that all entries may take together, overhead of lists
	// and maps included. It guards against floods of names.
	MaxBytes int64
	// MaxTTL caps how long positive data and delegations live.
	MaxTTL time.Duration
	// MaxNegativeTTL caps how long negative answers live.
	MaxNegativeTTL time.Duration
	// KeepStale is how long after its expiry data may still be returned by GetStale and its like
	// (RFC 8767 §5 suggests one to three days). Zero means not at all.
	KeepStale time.Duration
	// Now is the clock of ReadFrom, which takes no time as an argument. Nil: time.Now.
	Now func() time.Time
	// MaxEntry is the size in bytes above which an RRset or a negative answer is
	// not kept, an RRset at most briefly, as PutBrief does.
	MaxEntry int
	// MaxRecords is how many records an RRset may have to be kept.
	MaxRecords int
	// MaxTypes is how many types of one name are kept. The 24 that real names have are
	// always admitted, and count as if all were there.
	MaxTypes int
}

// Options returns the bounds as they apply: filled with the defaults, and the largest value
// where there is none.
func (c *Cache) Options() Options { return c.options }

// withDefaults fills the fields that were left zero and turns "no bound" into the
// largest value, so that the rest of the package only ever compares.
func (o Options) withDefaults() Options {
	o.MaxBytes = bound(o.MaxBytes, DefaultMaxBytes, math.MaxInt64)
	o.MaxTTL = bound(o.MaxTTL, DefaultMaxTTL, math.MaxUint32*time.Second)
	o.MaxNegativeTTL = bound(o.MaxNegativeTTL, DefaultMaxNegativeTTL, math.MaxUint32*time.Second)
	o.KeepStale = bound(o.KeepStale, 0, math.MaxUint32*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.MaxEntry = bound(o.MaxEntry, DefaultMaxEntry, math.MaxInt32)
	o.MaxRecords = bound(o.MaxRecords, DefaultMaxRecords, math.MaxInt32)
	o.MaxTypes = bound(o.MaxTypes, DefaultMaxTypes, math.MaxInt32)
	return o
}

func bound[T int | int64 | time.Duration](v, standard, none T) T {
	switch {
	case v == 0:
		return standard
	case v < 0:
		return none
	}
	return min(v, none)
}
