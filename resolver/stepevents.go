package resolver

import (
	"github.com/iterdns/iterdns/internal/scrub"
)

// walkRef returns which walk the events of this step belong to.
func (st *queryState) walkRef() walkRef {
	return walkRef{Walk: st.walkID, Parent: st.parentWalk, Depth: st.depth, Question: st.q}
}

// tellCache tells what the cache knew of one name. Nil is a miss.
func (st *queryState) tellCache(f *answer) {
	if f == nil {
		st.events.Cache(st.walkRef(), cacheEvent{})
		return
	}
	st.events.Cache(st.walkRef(), cacheEvent{
		Hit: true, Negative: f.kind == kindNoData || f.kind == kindNameError, Alias: f.kind == kindAlias,
		Status: f.status, TTL: f.timeToLive(),
	})
}

// tellFound tells that the cache had the whole answer.
func (st *queryState) tellFound(f *answer) {
	st.events.Cache(st.walkRef(), cacheEvent{
		Hit: true, Negative: len(f.sets) == 0, Alias: len(f.aliases) > 0, Stale: f.stale,
		Status: f.status, TTL: f.timeToLive(),
	})
}

// tellAliases tells how the name being searched changes.
func (st *queryState) tellAliases(aliases []scrub.Alias) {
	for _, a := range aliases {
		st.events.Alias(st.walkRef(), a.From, a.To, a.IsDNAME())
	}
}
