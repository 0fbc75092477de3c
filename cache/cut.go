package cache

import (
	"net/netip"
	"slices"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// Cut is a delegation with its lease.
type Cut struct {
	*glue.Delegation // shared: do not change it
	// Expires is when the delegation's TTL ends, and the parent must be asked again.
	Expires time.Time
	// Own are servers that only the zone itself names (PutOwnServers); nil: not known.
	// Shared: do not change it.
	Own []dnssec.Name
}

// cutEntry is a delegation, or the leases on a host's addresses. It is immutable.
type cutEntry struct {
	key
	span
	cut    *glue.Delegation // KindCut
	leases []lease          // KindGlue
	own    []dnsname.Name   // KindCut: servers that only the zone itself names
	bytes  int64
}

func (e *cutEntry) size() int64 { return e.bytes }

func (e *cutEntry) denies() bool { return false }

// PutCut remembers a delegation and its glue for as long as the parent lets it, which
// is its TTL from now, Options.MaxTTL, and m.NotAfter at most. The parent's newest
// referral counts, longer or shorter. The child cannot extend it: data of a rank above
// RankReferral is refused, but for the root, which has no parent, so that a zone that
// its parent has removed ends with its lease (ghost domains). A delegation without a
// TTL is not kept. d is copied; the copy is returned, nil when there is none.
//
// Its glue is leased to other delegations too that name the same hosts, as View.Glue has it:
// that of hosts in the zone itself, and all if m.Vouched. Otherwise one forged referral for a
// random name could redirect every zone that uses the same server.
func (v *View) PutCut(now time.Time, d *glue.Delegation, m Meta) *glue.Delegation {
	if d == nil || m.Rank > RankReferral && !d.Zone.IsRoot() {
		return nil
	}
	life := min(d.TTL, v.cache.options.MaxTTL)
	if !m.NotAfter.IsZero() {
		life = min(life, m.NotAfter.Sub(now))
	}
	if life <= 0 {
		return nil
	}
	v.dropNoCut(d.Zone)
	i := v.cache.at(now)
	e := &cutEntry{key: v.cutKey(d.Zone), span: spanOf(i, life)}
	e.cut, e.bytes = cloneDelegation(d)
	e.name = e.cut.Zone
	old := v.cutEntry(e.key)
	hash := v.cache.hasher.hash(e.key)
	if !v.cache.cutStore(e.key).shard(hash).put(hash, e, func(*cutEntry) bool { return true }) {
		v.DropCut(d.Zone) // too large to be kept, but the old one is no longer true
		return nil
	}
	v.endLeases(old, e.cut, m.Vouched)
	for _, s := range e.cut.Servers {
		if lends(e.cut, &s, m.Vouched) {
			v.addLease(i, s.Name, lease{e.cut.Zone, s.Addrs, e.span})
		}
	}
	return e.cut
}

// AddGlue remembers addresses of a server of d that did not come with it, as its glue: for
// life at most, and no longer than d. It does nothing unless d is the delegation that is kept,
// as GetCut and PutCut return it.
func (v *View) AddGlue(now time.Time, d *glue.Delegation, host dnssec.Name, addrs []netip.Addr, life time.Duration) {
	i := v.cache.at(now)
	e := v.cutEntry(v.cutKey(d.Zone))
	if e == nil || e.cut != d || len(addrs) == 0 {
		return
	}
	life = min(life, time.Duration(e.left(i))*time.Millisecond)
	if life > 0 {
		v.addLease(i, host, lease{e.cut.Zone, slices.Clone(addrs), spanOf(i, life)})
	}
}

// PutOwnServers remembers, with the delegation d, which servers the zone itself names that d
// does not. They end with it: the parent's next referral, changed or not, has none. It
// does nothing unless d is the delegation that is kept, as GetCut and PutCut return it.
func (v *View) PutOwnServers(d *glue.Delegation, servers []dnssec.Name) {
	k := v.cutKey(d.Zone)
	e := v.cutEntry(k)
	if e == nil || e.cut != d {
		return
	}
	next := *e
	next.own = append(make([]dnsname.Name, 0, len(servers)), servers...)
	next.bytes = e.bytes - ownSize(e.own) + ownSize(next.own)
	hash := v.cache.hasher.hash(k)
	v.cache.cutStore(k).shard(hash).put(hash, &next, func(found *cutEntry) bool { return found == e })
}

// ownSize is what names beside a delegation take.
func ownSize(names []dnsname.Name) int64 {
	size := allocated(cap(names) * nameSize)
	for _, n := range names {
		size += allocated(len(n))
	}
	return size
}

// GetCut returns the deepest delegation at or above name that is alive at now.
func (v *View) GetCut(now time.Time, name dnssec.Name) (Cut, bool) {
	i, p := v.cache.at(now), path{view: v, name: name}
	e := p.deepest(i, 0, name)
	if e == nil {
		return Cut{}, false
	}
	return v.cutOf(now, i, e), true
}

// cutOf makes a Cut of an entry that was looked for.
func (v *View) cutOf(now time.Time, i instant, e *cutEntry) Cut {
	v.count(e.key, hitCut)
	return Cut{e.cut, now.Add(time.Duration(e.left(i)) * time.Millisecond), e.own}
}

// DropCut forgets the delegation of zone and the glue that came with it.
func (v *View) DropCut(zone dnssec.Name) {
	k := v.cutKey(zone)
	e := v.cutEntry(k)
	if e == nil {
		return
	}
	hash := v.cache.hasher.hash(k)
	v.cache.cutStore(k).shard(hash).remove(hash, e)
	v.endLeases(e, nil, false)
}

// lends reports whether a delegation lets others know of a server's addresses.
func lends(d *glue.Delegation, s *glue.Server, vouched bool) bool {
	return len(s.Addrs) > 0 && (vouched || s.Name.IsAtOrBelow(d.Zone))
}

// endLeases ends the leases of an old delegation, which may be nil, on hosts for which its
// successor, which may be nil, leases no addresses.
func (v *View) endLeases(old *cutEntry, successor *glue.Delegation, vouched bool) {
	if old == nil {
		return
	}
	for _, s := range old.cut.Servers {
		if len(s.Addrs) == 0 && !old.cut.InDomain(s.Name) {
			continue // see AddGlue for hosts inside
		}
		if successor != nil {
			if next, ok := successor.Server(s.Name); ok && lends(successor, &next, vouched) {
				continue
			}
		}
		v.endLease(s.Name, old.cut.Zone)
	}
}

// cutStore keeps the delegations of top-level domains apart from those below, which
// strangers can make as many of as they like.
func (c *Cache) cutStore(k key) *store[*cutEntry] {
	if k.kind == KindCut && k.name.Labels() <= 1 {
		return &c.top
	}
	return &c.cuts
}

func (v *View) cutKey(zone dnsname.Name) key {
	return key{name: zone, view: v.id, kind: KindCut}
}

func (v *View) glueKey(host dnsname.Name) key {
	return key{name: host, view: v.id, kind: KindGlue}
}

func (v *View) cutEntry(k key) *cutEntry { return v.cutEntryAt(v.spot(k.name), k) }

func (v *View) cutEntryAt(s spot, k key) *cutEntry {
	if !s.may(k.mark()) {
		return nil
	}
	hash := v.cache.hasher.at(s, &k)
	e, _, ok := v.cache.cutStore(k).shard(hash).get(hash, true)
	if !ok || e.key != k {
		return nil
	}
	return e
}

// What the parts of a cutEntry take on the heap of a 64-bit machine, in bytes.
const (
	cutEntrySize   = 144
	delegationSize = 48
	serverSize     = 48
	leaseSize      = 64
	addrSize       = 24
	nameSize       = 16
)

// cloneDelegation copies d, all names into one string and all addresses into one
// array, so that nothing else keeps memory alive through it, and says what the copy
// takes together with its entry.
func cloneDelegation(d *glue.Delegation) (*glue.Delegation, int64) {
	length, addrs := len(d.Zone), 0
	for _, s := range d.Servers {
		length += len(s.Name)
		addrs += len(s.Addrs)
	}
	buf := append(make([]byte, 0, length), d.Zone...)
	for _, s := range d.Servers {
		buf = append(buf, s.Name...)
	}
	names, pool := dnsname.Name(buf), make([]netip.Addr, 0, addrs)
	copied := *d
	c := &copied
	c.Servers = make([]glue.Server, len(d.Servers))
	c.Zone, names = names[:len(d.Zone)], names[len(d.Zone):]
	for at, s := range d.Servers {
		from := len(pool)
		pool = append(pool, s.Addrs...)
		s.Addrs = pool[from:len(pool):len(pool)]
		s.Name, names = names[:len(s.Name)], names[len(s.Name):]
		c.Servers[at] = s
	}
	size := cutEntrySize + delegationSize + allocated(length) +
		allocated(len(d.Servers)*serverSize) + allocated(addrs*addrSize)
	return c, size
}
