package cache

import (
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// The numbers of RFC 8767 §5 that concern a cache and its reader.
const (
	// StaleTTL is the TTL in seconds that expired data is given out with.
	StaleTTL = 30
	// StaleRefreshWait is how long nobody else tries again after ClaimRefresh.
	StaleRefreshWait = 30 * time.Second
	// StaleAnswerTimer is how long a client waits before it is answered with expired
	// data while the resolver goes on trying.
	StaleAnswerTimer = 1800 * time.Millisecond
)

// prefetchShare: what has less than one part in this many of its life left is worth
// being fetched again, if it is in use.
const prefetchShare = 10

func dueForPrefetch(s span, i instant) bool {
	return s.left(i)*prefetchShare <= int64(s.ttl)*1000
}

// GetStale looks for an RRset that expired no longer than Options.KeepStale before
// now, for the case that nobody can be reached (RFC 8767). What is alive is Get's
// business. It finds nothing where something newer is known, a denial above all, nor
// what is bogus. Item.TTL is StaleTTL.
func (v *View) GetStale(now time.Time, name dnsname.Name, rrtype uint16, trust Trust, least Rank) (Item, bool) {
	i := v.cache.at(now)
	if v.denied(i, name, rrtype, trust) {
		return Item{}, false
	}
	for t := Checked; t <= trust; t++ {
		k := key{name: name, rrtype: rrtype, kind: KindRRset, trust: t}
		e, ok := v.staleEntry(i, k)
		if !ok || e.standing().rank < least {
			continue
		}
		item := e.item(i)
		item.Stale, item.TTL, item.Set.TTL = true, StaleTTL, StaleTTL
		v.cache.count(k, hitStale)
		return item, true
	}
	return Item{}, false
}

// GetStaleNegative is GetStale for denials of the name and type themselves; those of
// an ancestor, and synthesised ones, are not given out once they have expired.
func (v *View) GetStaleNegative(now time.Time, name dnsname.Name, rrtype uint16, trust Trust) (Negative, bool) {
	i := v.cache.at(now)
	for t := Checked; t <= trust; t++ {
		if e, _, ok := v.entry(key{name: name, rrtype: rrtype, kind: KindRRset, trust: t}, false); ok && e.span().left(i) > 0 {
			return Negative{}, false
		}
		for _, k := range denialKeys(name, rrtype, t) {
			e, ok := v.staleEntry(i, k)
			if !ok {
				continue
			}
			n := e.negative(i, name, rrtype)
			n.Stale = true
			n.setTTL(StaleTTL)
			v.cache.count(k, hitStale)
			return n, true
		}
	}
	return Negative{}, false
}

// denied reports whether a denial of name and type is alive.
func (v *View) denied(i instant, name dnsname.Name, rrtype uint16, trust Trust) bool {
	for t := Checked; t <= trust; t++ {
		for _, k := range denialKeys(name, rrtype, t) {
			if e, _, ok := v.entry(k, false); ok && e.span().left(i) > 0 {
				return true
			}
		}
	}
	return false
}

// staleEntry gives the entry of k if it has expired within the time that it may be
// given out after.
func (v *View) staleEntry(i instant, k key) (entry, bool) {
	e, _, ok := v.entry(k, true)
	if !ok || e.standing().status == dnssec.Bogus {
		return "", false
	}
	left := e.span().left(i)
	return e, left <= 0 && -left < v.cache.options.KeepStale.Milliseconds()
}

// ClaimRefresh reports whether the caller is the one who may fetch what has this name
// and type again now, before or after its end. Everybody else is told no for 30 s, so
// that data about to expire is fetched once, and dead servers are left alone while
// stale data is given out (RFC 8767 §5).
func (v *View) ClaimRefresh(now time.Time, name dnsname.Name, rrtype uint16, trust Trust) bool {
	i := v.cache.at(now)
	k := key{name: name, view: v.id, rrtype: rrtype, kind: KindClaim, trust: trust}
	var scratch [entryHeader + dnsname.MaxWire]byte
	e := entry(appendHead(scratch[:0], head{k, standing{}, spanOf(i, StaleRefreshWait)}))
	hash := v.cache.hasher.hash(k)
	return v.cache.storeOf(k).shard(hash).put(hash, e, func(old entry) bool {
		return !old.is(k) || old.span().left(i) <= 0
	})
}
