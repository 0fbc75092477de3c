package resolver

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/secondlevel"
)

// secondLevelUse is how a search uses the second level. What is not validated stays out of
// it: questions with CD, and the addresses of name servers.
type secondLevelUse uint8

const (
	secondLevelUnused         secondLevelUse = iota
	secondLevelWritten                       // replies are written, but not read: the servers are asked
	secondLevelReadAndWritten                // replies are read too
)

// secondLevel is the store shared with other resolvers (Unbound's cachedb). It stands
// between a zone cut and the zone's servers: it holds replies of servers, and a reply that
// is read from it is handled as one from the network.
type secondLevel struct {
	*secondlevel.Front

	mu sync.Mutex
	// Zone cuts that were read from the store, and until when. Guarded by mu.
	cuts *simplelru.LRU[sourceCut, time.Time]
}

// sourceCut is a zone cut of a source.
type sourceCut struct {
	source uint32
	zone   dnsname.Name
}

// maxSecondLevelCuts is how many zone cuts are remembered to come from the store.
const maxSecondLevelCuts = 4096

func (r *iterator) newSecondLevel() *secondLevel {
	if r.settings.SecondLevel == nil {
		return nil
	}
	cuts, _ := simplelru.NewLRU[sourceCut, time.Time](maxSecondLevelCuts, nil) // fails only for sizes below one
	return &secondLevel{
		Front: secondlevel.New(r.base, r.settings.SecondLevel, r.settings.SecondLevelKey, r.spawn, r.settings.SecondLevelChanged),
		cuts:  cuts,
	}
}

// key is the key of a reply of a zone's servers, for resolvers of the same view. Names that
// a route or a negative trust anchor is about belong to another view.
func (s *secondLevel) key(v *view, zone dnsname.Name, q question) secondlevel.Key {
	return s.Key([]byte("reply"), v.digest[:], []byte(zone), []byte(q.name), []byte{byte(q.rrtype >> 8), byte(q.rrtype)})
}

// withoutSecondLevel decides whether a walk may have failed because of the second level.
// When replies or zone cuts were read from the store, it returns a query state that walks
// again without reading; else nil.
func (r *iterator) withoutSecondLevel(st *queryState, q question, err error) *queryState {
	if r.secondLevel == nil || st.secondLevel != secondLevelReadAndWritten {
		return nil
	}
	f := failureOf(err)
	if !f.isOfZone() {
		return nil
	}
	keys, led := st.secondReads.all(), r.forgetCuts(q)
	if len(keys) == 0 && !led {
		return nil
	}
	if f.bogus != nil && len(keys) > 0 {
		r.secondLevel.Distrust(keys)
	}
	again := *st
	again.secondLevel, again.secondReads = secondLevelWritten, nil
	if st.validation != nil {
		// One cut further up, so that the delegation and its DS are fetched again.
		again.startAbove = st.validation.startCut
		again.validation = r.newValidation(&again, q)
	}
	return &again
}

// noteCut remembers whether a zone cut was read from the store.
func (s *secondLevel) noteCut(cut *zoneCut, recalled bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if recalled {
		s.cuts.Add(sourceCut{cut.source.id, cut.Zone}, cut.expires)
	} else {
		s.cuts.Remove(sourceCut{cut.source.id, cut.Zone})
	}
}

// forgetCuts drops the zone cuts on the way to q that were read from the store, and reports
// whether there were any: they may be forged.
func (r *iterator) forgetCuts(q question) bool {
	now, led := r.settings.Now(), false
	v := r.routes.viewOf(now, q)
	r.secondLevel.mu.Lock()
	defer r.secondLevel.mu.Unlock()
	for zone := q.name; !zone.IsRoot(); zone = zone.Parent() {
		at := sourceCut{v.source.id, zone}
		if until, ok := r.secondLevel.cuts.Peek(at); ok {
			r.secondLevel.cuts.Remove(at)
			v.cuts.DropCut(zone)
			led = led || now.Before(until)
		}
	}
	return led
}

// SecondLevelChange says that Options.SecondLevel is not used for a while, or is used again.
type SecondLevelChange struct {
	// Writes is set when this is about writes; else it is about reads.
	Writes bool
	// Err is why the store is not used: an error of its own, or that it answers late, not at
	// all, or with data that turns out bogus. Nil: it is used again.
	Err error
}

// SecondLevelStats counts the uses of Options.SecondLevel. The counts only grow, and are not
// taken at one moment.
type SecondLevelStats struct {
	Hits        uint64 `json:"hits"`         // values that were read and whose seal was right
	Misses      uint64 `json:"misses"`       // there was none, or it had expired
	Errors      uint64 `json:"errors"`       // reads that failed or took too long
	Skipped     uint64 `json:"skipped"`      // reads not made: the store does not work, gave bogus data, or is too slow for the question
	Refused     uint64 `json:"refused"`      // values that are damaged, of another key, or no valid reply to the question
	Bogus       uint64 `json:"bogus"`        // answers that used values from the store and turned out bogus
	Writes      uint64 `json:"writes"`       // values stored
	WriteErrors uint64 `json:"write_errors"` // writes that failed
	Dropped     uint64 `json:"dropped"`      // writes not made: the queue was full, or the store does not work
}

// SecondLevelStats returns the counts since New; zero without Options.SecondLevel. Stats has
// them too; this method collects nothing else, and takes no locks.
func (r *Resolver) SecondLevelStats() SecondLevelStats {
	if r.iterate.secondLevel == nil {
		return SecondLevelStats{}
	}
	return SecondLevelStats(r.iterate.secondLevel.Stats())
}
