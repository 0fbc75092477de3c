package cache

import (
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

func dueForPrefetch(s span, i instant) bool {
	return s.left(i)*prefetchShare <= int64(s.ttl)*1000
}

// ClaimRefresh reports whether the caller may fetch the data of this name
// and type again now, before or after its end. Other callers get false for 30 s, so
// that data about to expire is fetched once, and servers that are down are not asked for
// each stale answer (RFC 8767 §5).
func (v *View) ClaimRefresh(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) bool {
	i := v.cache.at(now)
	return v.claim(i, key{name: name, rrtype: rrtype, trust: trust}, claimed, func(old entry) bool { return old.span().left(i) <= 0 })
}

// EndRefresh releases a claim because the data was fetched: it may be fetched again as
// soon as it is due.
func (v *View) EndRefresh(name dnssec.Name, rrtype uint16, trust Trust) {
	v.forget(v.spot(name), KindClaim, key{name: name, rrtype: rrtype, trust: trust})
}

// PostponeRefresh remembers that fetching the data of this name and type failed, or takes
// too long to wait for, at now: for 30 s RefreshPostponed returns true, and ClaimRefresh
// false (RFC 8767 §5).
func (v *View) PostponeRefresh(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) {
	k := key{name: name, rrtype: rrtype, trust: trust}
	v.claim(v.cache.at(now), k, postponed, func(entry) bool { return true })
}

// RefreshPostponed reports whether PostponeRefresh was called within the last 30 s, and
// EndRefresh was not since.
func (v *View) RefreshPostponed(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) bool {
	e, _, ok := v.entry(key{name: name, rrtype: rrtype, kind: KindClaim, trust: trust}, false)
	return ok && e.body() == postponed && e.span().left(v.cache.at(now)) > 0
}

// claim stores a claim, in place of an old entry if replaceable returns true for it.
func (v *View) claim(i instant, k key, body string, replaceable func(old entry) bool) bool {
	k.kind, k.view = KindClaim, v.id
	var scratch [entryHeader + dnsname.MaxWire + len(postponed)]byte
	e := entry(append(appendHead(scratch[:0], head{k, standing{}, spanOf(i, StaleRefreshWait), 0}), body...))
	hash := v.cache.hasher.hash(k)
	return v.cache.storeOf(k).shard(hash).put(hash, e, func(old entry) bool { return !old.is(&k) || replaceable(old) })
}

// prefetchShare: what has less than one part in this many of its life left is worth
// being fetched again, if it is in use.
const prefetchShare = 10

// What the body of a claim says.
const (
	claimed   = ""  // a refresh is under way
	postponed = "-" // the last refresh failed
)
