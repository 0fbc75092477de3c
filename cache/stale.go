package cache

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// The numbers of RFC 8767 §5 that concern a cache and its reader.
const (
	// StaleTTL is the TTL in seconds that expired data is returned with.
	StaleTTL = 30
	// StaleRefreshWait is for how long other callers of ClaimRefresh get false.
	StaleRefreshWait = 30 * time.Second
	// StaleAnswerTimer is how long a client waits before it is answered with expired
	// data while the resolver goes on trying.
	StaleAnswerTimer = 1800 * time.Millisecond
)

// GetStale looks for an RRset that expired no longer than Options.KeepStale before
// now, for use when no server can be reached (RFC 8767). Data that has not expired is
// returned by Get only. It finds nothing where something newer is known, alive or not: a denial of
// the name or of one above it, or an alias instead; nor what is bogus. Item.TTL is
// StaleTTL.
func (v *View) GetStale(now time.Time, name dnssec.Name, rrtype uint16, trust Trust, least Rank) (Item, bool) {
	i, s := v.cache.at(now), v.spot(name)
	if v.denied(i, s, name, rrtype, trust) {
		return Item{}, false
	}
	for t := Checked; t <= trust; t++ {
		k := key{name: name, rrtype: rrtype, kind: KindRRset, trust: t}
		e, ok := v.staleEntry(i, s, k)
		if !ok || e.standing().rank < least || v.superseded(i, e) {
			continue
		}
		item := e.item(i)
		item.Stale, item.TTL, item.Set.TTL = true, StaleTTL, StaleTTL
		v.count(k, hitStale)
		return item, true
	}
	return Item{}, false
}

// GetStaleNegative is GetStale for denials of the name and type themselves; those of
// an ancestor, and synthesised ones, are not returned once they have expired, nor those
// of a type at a name that was found to be an alias since.
func (v *View) GetStaleNegative(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) (Negative, bool) {
	i, s := v.cache.at(now), v.spot(name)
	for t := Checked; t <= trust; t++ {
		if e, _, ok := v.entryAt(s, key{name: name, rrtype: rrtype, kind: KindRRset, trust: t}, false); ok && e.span().left(i) > 0 {
			return Negative{}, false
		}
		for _, k := range denialKeys(name, rrtype, t) {
			e, ok := v.staleEntry(i, s, k)
			if !ok || v.superseded(i, e) {
				continue
			}
			n := e.negative(i, name, rrtype)
			n.Stale = true
			n.setTTL(StaleTTL)
			v.count(k, hitStale)
			return n, true
		}
	}
	return Negative{}, false
}

// GetStaleChain is GetStale for an answer kept whole, as those made from wildcards are.
// Chain.TTL and that of all its parts is StaleTTL.
func (v *View) GetStaleChain(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) (Chain, bool) {
	i, s := v.cache.at(now), v.spot(name)
	if v.denied(i, s, name, rrtype, trust) {
		return Chain{}, false
	}
	for t := Checked; t <= trust; t++ {
		k := key{name: name, rrtype: rrtype, kind: KindChain, trust: t}
		e, ok := v.staleEntry(i, s, k)
		if !ok || v.superseded(i, e) {
			continue
		}
		c := e.chain(i)
		c.Stale = true
		c.setTTL(StaleTTL)
		v.count(k, hitStale)
		return c, true
	}
	return Chain{}, false
}

// superseded reports whether what is known of e's name, and can have expired too, is
// newer than e and says otherwise: that the name does not exist, or one above it, as
// nameErrorAbove counts it, that it is an alias, or that a DNAME above it leads elsewhere.
func (v *View) superseded(i instant, e entry) bool {
	newer := func(k key) bool {
		other, _, ok := v.entry(k, false)
		about := v.strict || k.kind != KindNameError || k.name == e.name()
		return ok && other.span().arrived() > e.span().arrived() && (about || other.proven())
	}
	for _, what := range [...]Kind{KindRRset, KindChain} {
		if e.rrtype() != dns.TypeCNAME && newer(key{name: e.name(), rrtype: dns.TypeCNAME, kind: what, trust: e.trust()}) {
			return true
		}
	}
	for name := e.name(); !name.IsRoot(); name = name.Parent() {
		if newer(key{name: name, kind: KindNameError, trust: Checked}) {
			return true
		}
		if newer(key{name: name.Parent(), rrtype: dns.TypeDNAME, kind: KindRRset, trust: e.trust()}) {
			return true
		}
	}
	return false
}

// EndStale drops what GetStale, GetStaleNegative and GetStaleChain would still return for
// name and type, because a newer answer is known to be different or was found to be
// bogus. What is alive stays. An answer that was not Checked says nothing about what was.
func (v *View) EndStale(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) {
	if v.cache.options.KeepStale == 0 {
		return
	}
	i, s := v.cache.at(now), v.spot(name)
	expired := func(e entry) bool { return e.span().left(i) <= 0 }
	for t := trust; t <= Unchecked; t++ {
		k := key{name: name, rrtype: rrtype, trust: t}
		for _, what := range [...]Kind{KindRRset, KindChain, KindNoData, KindNameError} {
			v.removeIf(s, what, k, expired)
		}
		k.rrtype = dns.TypeCNAME
		v.removeIf(s, KindRRset, k, expired)
		v.removeIf(s, KindChain, k, expired)
	}
}

// denied reports whether a denial of name and type is alive.
func (v *View) denied(i instant, s spot, name dnsname.Name, rrtype uint16, trust Trust) bool {
	for t := Checked; t <= trust; t++ {
		for _, k := range denialKeys(name, rrtype, t) {
			if e, _, ok := v.entryAt(s, k, false); ok && e.span().left(i) > 0 {
				return true
			}
		}
	}
	return false
}

// staleEntry returns the entry of k if it has expired within the time that it may be
// given out after.
func (v *View) staleEntry(i instant, s spot, k key) (entry, bool) {
	e, _, ok := v.entryAt(s, k, true)
	if !ok || e.standing().status == dnssec.Bogus {
		return "", false
	}
	left := e.span().left(i)
	return e, left <= 0 && -left < v.cache.options.KeepStale.Milliseconds()
}
