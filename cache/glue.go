package cache

import (
	"net/netip"
	"slices"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// maxLeases is how many delegations may lease addresses of one host. Hosts that serve
// thousands of zones get their addresses again with each referral; the newest will do.
const maxLeases = 4

// lease holds the addresses of a host that came with one delegation.
type lease struct {
	zone  dnsname.Name
	addrs []netip.Addr // shared with the delegation's
	span
}

// Glue returns the addresses of host that delegations alive at now lease to others, as PutCut
// says. They may be sent to, and are never an answer. The slice is the caller's.
func (v *View) Glue(now time.Time, host dnssec.Name) []netip.Addr {
	e := v.cutEntry(v.glueKey(host))
	if e == nil {
		return nil
	}
	i := v.cache.at(now)
	var addrs []netip.Addr
	for _, l := range e.leases {
		if l.left(i) <= 0 {
			continue
		}
		for _, a := range l.addrs {
			if !slices.Contains(addrs, a) {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs
}

// addLease adds a lease to a host's, in front, instead of an older one of its zone.
func (v *View) addLease(i instant, host dnsname.Name, l lease) {
	v.changeLeases(host, func(old []lease) []lease {
		leases := append(make([]lease, 0, len(old)+1), l)
		for _, o := range old {
			if o.zone != l.zone && o.left(i) > 0 && len(leases) < maxLeases {
				leases = append(leases, o)
			}
		}
		return leases
	})
}

func (v *View) endLease(host, zone dnsname.Name) {
	v.changeLeases(host, func(old []lease) []lease {
		return slices.DeleteFunc(slices.Clone(old), func(l lease) bool { return l.zone == zone })
	})
}

// changeLeases replaces a host's leases by what change makes of them. Entries do not
// change once they are stored, so it tries again when another goroutine was faster.
func (v *View) changeLeases(host dnsname.Name, change func([]lease) []lease) {
	k := v.glueKey(host)
	hash := v.cache.hasher.hash(k)
	sh := v.cache.cutStore(k).shard(hash)
	for {
		old := v.cutEntry(k)
		var leases []lease
		if old != nil {
			leases = old.leases
		}
		leases = change(leases)
		if len(leases) == 0 {
			if old != nil {
				sh.remove(hash, old)
			}
			return
		}
		e := glueEntry(k, leases)
		lost := false
		sh.put(hash, e, func(found *cutEntry) bool {
			lost = found != old && found.key == k
			return !lost
		})
		if !lost {
			return
		}
	}
}

// glueEntry makes the entry of a host. It lives as long as the longest lease.
func glueEntry(k key, leases []lease) *cutEntry {
	e := &cutEntry{key: k, leases: leases, bytes: cutEntrySize + allocated(cap(leases)*leaseSize)}
	for _, l := range leases {
		if l.wall > e.wall {
			e.span = l.span
		}
		// What the delegation holds may outlive it here, so it counts here too.
		e.bytes += allocated(len(l.addrs)*addrSize) + allocated(len(k.name)) + allocated(len(l.zone))
	}
	return e
}
