package cache

import (
	"github.com/iterdns/iterdns/dnssec"
)

// admit checks the set against the limits that need no look into the cache.
func (o *Options) admit(set *dnssec.RRset) error {
	if set.Size() > o.MaxEntry {
		return &LimitError{"MaxEntry", o.MaxEntry}
	}
	if set.Len() > o.MaxRecords {
		return &LimitError{"MaxRecords", o.MaxRecords}
	}
	return nil
}

// displaceOthers removes entries that contradict new data of the key k and standing by: a
// name and type have either an answer, an alias chain or a denial. It returns false if a live
// one is better proven, so that the new data may not be kept. An entry that only has a better
// rank stays beside the new data.
func (v *View) displaceOthers(i instant, s spot, k key, by standing) bool {
	for _, other := range [...]Kind{KindRRset, KindChain, KindNoData, KindNameError} {
		if other == k.kind {
			continue
		}
		refuted := false
		v.removeIf(s, other, k, func(e entry) bool {
			if e.span().left(i) <= 0 {
				return true
			}
			refuted = !mayReplace(e.standing(), standing{RankLocal, by.status})
			return mayReplace(e.standing(), by)
		})
		if refuted {
			return false
		}
	}
	return true
}

// refuse counts that something was not kept.
func (v *View) refuse(k key) bool {
	v.count(k, refused)
	return false
}

// place stores an entry unless one of its key is alive and may not be replaced.
func (v *View) place(i instant, s spot, k key, e entry) bool {
	hash := v.cache.hasher.at(s, &k)
	return v.cache.storeOf(k).shard(hash).put(hash, e, func(old entry) bool {
		return !old.is(&k) || old.span().left(i) <= 0 || mayReplace(old.standing(), e.standing())
	})
}

// forget drops the entry of the given kind and otherwise the key k.
func (v *View) forget(s spot, what Kind, k key) {
	v.removeIf(s, what, k, func(entry) bool { return true })
}

// retract forgets an entry that newer data contradicts, unless the newer data is worth less.
func (v *View) retract(s spot, what Kind, k key, by standing) {
	v.removeIf(s, what, k, func(e entry) bool { return mayReplace(e.standing(), by) })
}

// removeIf drops the entry of the given kind and otherwise the key k if the condition,
// which is called under a lock, holds for it. s is the spot of the name.
func (v *View) removeIf(s spot, what Kind, k key, condition func(entry) bool) {
	k.kind, k.view = what, v.id
	if what == KindNameError {
		k.rrtype = 0
	}
	if !s.may(k.mark()) {
		return
	}
	hash := v.cache.hasher.at(s, &k)
	v.cache.storeOf(k).shard(hash).removeIf(hash, func(e entry) bool { return e.is(&k) && condition(e) })
}

// plausible is false for a mistake of the caller: bogus data that passed validation.
func (m Meta) plausible() bool { return m.Trust != Checked || m.Status != dnssec.Bogus }
