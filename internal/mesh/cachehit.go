package mesh

import (
	"net/netip"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// AnswerHit is Answer for questions that the cache has an answer to; false when it has none.
func (r *Mesh) AnswerHit(q answer.Question) (*answer.Answer, bool, error) {
	f, ok := r.iterate.SearchCache(q, cache.Checked)
	if !ok {
		return nil, false, nil
	}
	r.prefetchAll(f.Due)
	r.Counts.Asked(true, false, nil)
	f, err := r.Settings.Filter.Apply(f)
	return f, true, err
}

// HitAddrs returns the addresses of a name that the cache has everything of as it stands: no
// aliases, and for each type (A, AAAA or both) addresses or a denial. Nothing is decoded, and
// only the addresses are allocated.
func (r *Mesh) HitAddrs(n dnsname.Name, types []uint16) ([]netip.Addr, bool) {
	now := r.Settings.Now()
	view := r.routes.ViewOf(now, answer.Question{Name: n, Type: types[0]}).Cache // the view of the other type too
	var sets [2]dnssec.Packed
	count := 0
	for i, rrtype := range types {
		item, ok := view.Get(now, n, rrtype, cache.Checked, cache.RankNonAuthoritative)
		switch {
		case ok && (item.Prefetch || answer.FromWildcard(&item.Set)): // the longer way prefetches
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
	addrs := make([]netip.Addr, 0, count)
	for _, set := range sets {
		addrs = answer.AppendAddrs(addrs, set)
	}
	if len(addrs) == 0 || !r.Settings.Filter.AllowsAll(n, addrs) {
		return nil, false
	}
	for range types {
		r.Counts.Asked(true, false, nil)
	}
	return addrs, true
}
