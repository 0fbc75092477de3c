package cache

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// MaxBriefTTL is how long, in seconds, an answer is kept that is not kept among the others:
// long enough that questions for it again and again cost the zone's servers next to nothing,
// and no longer than the TTL of expired data.
const MaxBriefTTL = StaleTTL

// PutBrief keeps a whole answer for MaxBriefTTL at most, and reports whether it did. It is for
// what the other methods refuse: an answer to ANY, which is one server's choice of RRsets (RFC
// 8482 §4.1), and RRsets larger than Options.MaxEntry. They have a small share of the memory
// to themselves, so that none of them pushes out another sort of entry.
//
// c is as PutChain takes it; an answer that denies has nothing but an Authority, of which the
// first is the SOA. It lives no longer than its shortest-lived part, and NODATA with nothing
// beside it MaxBareTTL.
func (v *View) PutBrief(now time.Time, c Chain, m Meta) bool {
	m.Status = c.Status
	k := v.briefKey(c.Name, c.Type, m.Trust)
	ttl, size := c.lowest()
	if c.isBare() {
		ttl = MaxBareTTL
	}
	d := lifetime(now, min(ttl, MaxBriefTTL), v.cache.options.MaxTTL, m.NotAfter)
	if d <= 0 || !m.plausible() {
		return v.refuse(k)
	}
	hash := v.cache.hasher.hash(k)
	e := c.packed(head{k, m.standing(), spanOf(v.cache.at(now), d), m.note()}, size)
	if !v.cache.brief.shard(hash).put(hash, e, func(entry) bool { return true }) {
		return v.refuse(k) // too large for this too
	}
	return true
}

// isBare reports whether this is NODATA with nothing beside it (RFC 2308 §2.2, type 3).
func (c *Chain) isBare() bool {
	return len(c.Answer)+len(c.Authority) == 0 && c.Rcode == dns.RcodeSuccess && c.Status != dnssec.Secure
}

// GetBrief looks for an answer of PutBrief that is alive at now. For
// Unchecked it returns Checked data if there is some.
func (v *View) GetBrief(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) (Chain, bool) {
	s := v.spot(name)
	if !s.may(markBrief) {
		return Chain{}, false // as nearly always
	}
	return v.briefAt(v.cache.at(now), s, Question{Name: name, Type: rrtype, Trust: trust})
}

func (v *View) briefAt(i instant, s spot, q Question) (Chain, bool) {
	for t := Checked; t <= q.Trust; t++ {
		k := v.briefKey(q.Name, q.Type, t)
		hash := v.cache.hasher.at(s, &k)
		if e, _, ok := v.cache.brief.shard(hash).get(hash, true); ok && e.is(&k) && e.span().left(i) > 0 {
			v.count(k, hitChain)
			return e.chain(i), true
		}
	}
	return Chain{}, false
}

func (v *View) briefKey(name dnsname.Name, rrtype uint16, trust Trust) key {
	return key{name: name, view: v.id, rrtype: rrtype, kind: KindChain, trust: trust}
}
