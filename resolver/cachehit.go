package resolver

import (
	"net/netip"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// answerHit is answer for questions that the cache has an answer to; false when it has none.
func (r *mesh) answerHit(q question) (*answer, bool, error) {
	f, ok := r.iterate.searchCache(q, cache.Checked)
	if !ok {
		return nil, false, nil
	}
	r.prefetchAll(f.due)
	r.counts.asked(true, false, nil)
	f, err := r.iterate.filtered(f)
	return f, true, err
}

// hitAddrs returns the addresses of a name that the cache has everything of as it stands: no
// aliases, and for each type (A, AAAA or both) addresses or a denial. Nothing is decoded, and
// only the addresses are allocated.
func (r *mesh) hitAddrs(n dnsname.Name, types []uint16) ([]netip.Addr, bool) {
	now := r.settings.Now()
	view := r.routes.viewOf(now, question{n, types[0]}).cache // the view of the other type too
	var sets [2]dnssec.Packed
	count := 0
	for i, rrtype := range types {
		item, ok := view.Get(now, n, rrtype, cache.Checked, cache.RankNonAuthoritative)
		switch {
		case ok && (item.Prefetch || fromWildcard(&item.Set)): // the longer way prefetches
			return nil, false
		case ok:
			sets[i] = item.Set.Records
			count += item.Set.Len()
		default:
			if denial, denied := view.GetNegative(now, n, rrtype, cache.Checked); !denied || denial.Prefetch {
				return nil, false
			}
		}
	}
	if count == 0 {
		return nil, false
	}
	for range types {
		r.counts.asked(true, false, nil)
	}
	addrs := make([]netip.Addr, 0, count)
	for _, set := range sets {
		addrs = appendAddrs(addrs, set)
	}
	return addrs, len(addrs) > 0 && r.settings.Filter.AllowsAll(n, addrs)
}
