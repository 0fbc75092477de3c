package cache

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// PutDenial lets the NSEC or NSEC3 RRsets that came with a wildcard answer of zone
// deny other names too. It takes only what is Secure and Checked. PutNegative does so
// by itself for the denials it keeps.
func (v *View) PutDenial(now time.Time, zone dnssec.Name, sets []*dnssec.RRset, m Meta) {
	if m.Status != dnssec.Secure || m.Trust != Checked {
		return
	}
	for _, set := range sets {
		d := lifetime(now, set.TTL, v.cache.options.MaxNegativeTTL, m.NotAfter)
		v.learn(v.cache.at(now), zone, set, d)
	}
}

// learnDenial remembers the parts of a Secure denial: its SOA, which goes with every
// denial that is made of them, and its gaps.
func (v *View) learnDenial(i instant, n *Negative, d time.Duration) {
	if n.SOA.Owner != n.Zone {
		return
	}
	for _, set := range n.Proof {
		v.learn(i, n.Zone, set, d)
	}
	v.learnSOA(i, n.SOA, d)
}

// learnSOA remembers the SOA of a zone of which there are gaps to use it with.
func (v *View) learnSOA(i instant, soa *dnssec.RRset, d time.Duration) {
	if d <= 0 {
		return
	}
	e, hash := v.rangeEntry(i, soa, d), v.zoneHash(soa.Owner)
	s := v.cache.ranges.shard(hash)
	s.mu.Lock()
	known := s.zone(hash, soa.Owner, v.id) != nil
	s.mu.Unlock()
	if known {
		s.change(hash, soa.Owner, v.id, func(z *rangeZone) { z.setSOA(e) })
	}
}

func (v *View) learn(i instant, zone dnsname.Name, set *dnssec.RRset, d time.Duration) {
	if set.Type != dns.TypeNSEC && set.Type != dns.TypeNSEC3 || d <= 0 || set.Size() > v.cache.options.MaxEntry {
		return
	}
	r, params, ok := newRange(zone, v.rangeEntry(i, set, d))
	if !ok {
		return
	}
	hash := v.zoneHash(zone)
	v.cache.ranges.shard(hash).change(hash, zone, v.id, func(z *rangeZone) {
		z.use(params)
		z.insert(r)
	})
}

func (v *View) rangeEntry(i instant, set *dnssec.RRset, d time.Duration) entry {
	k := key{name: set.Owner, view: v.id, rrtype: set.Type, kind: KindRange}
	b := make([]byte, 0, entryHeader+4+set.Size())
	return entry(appendSet(appendHead(b, head{k, standing{RankAuthority, dnssec.Secure}, spanOf(i, d), 0}), set))
}

func (v *View) zoneHash(zone dnsname.Name) uint64 { return v.cache.hasher.hash(v.zoneKey(zone)) }

func (v *View) zoneKey(zone dnsname.Name) key { return key{name: zone, view: v.id, kind: KindRange} }

// learnWildcard remembers the source of a Secure answer that was expanded from a
// wildcard: its signatures are over fewer labels than its owner has (RFC 4035 §5.3.4).
func (v *View) learnWildcard(i instant, set *dnssec.RRset, m Meta, d time.Duration) {
	if m.Status != dnssec.Secure || m.Trust != Checked || set.Signatures == "" {
		return
	}
	signed := signedLabels(set.Owner)
	if set.Owner.IsWildcard() {
		signed++ // asked for by its own name: not expanded, but the source itself
	}
	labels := -1
	for sig := range set.Signatures.All() {
		_, n, ok := signedBy(sig)
		if !ok || labels >= 0 && n != labels || n >= signed {
			return
		}
		labels = n
	}
	source, err := set.Owner.Ancestor(labels).Wildcard()
	if err != nil {
		return
	}
	k := key{name: source, view: v.id, rrtype: set.Type, kind: KindWildcard}
	b := make([]byte, 0, entryHeader+4+len(source)+set.Size())
	v.place(i, v.spot(source), k, entry(appendSet(appendHead(b, head{k, m.standing(), spanOf(i, d), m.note()}), set)))
}
