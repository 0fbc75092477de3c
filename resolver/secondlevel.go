package resolver

import (
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/secondlevel"
)

// sharing says what the second level has to do with a search. What nobody validates
// keeps away from it: questions with CD, and the addresses of name servers.
type secondLevelUse uint8

const (
	secondLevelUnused         secondLevelUse = iota
	secondLevelWritten                       // what is learnt is written, but the servers are asked
	secondLevelReadAndWritten                // it is read too
)

// secondLevel is the store shared with other resolvers, as the walk sees it: between a zone
// cut and the zone's servers. What it holds are replies of servers, and a reply that
// comes out of it goes the way of one that comes off the network.
type secondLevel struct {
	*secondlevel.Front

	mu sync.Mutex
	// Zone cuts that the store led to, and until when. Guarded by mu.
	cuts *simplelru.LRU[sourceCut, time.Time]
}

// sourceCut names a zone cut of a source.
type sourceCut struct {
	source uint32
	zone   dnsname.Name
}

// maxSecondLevelCuts is how many zone cuts are remembered as the store's word.
const maxSecondLevelCuts = 4096

func (r *Resolver) newSecondLevel() *secondLevel {
	if r.config.SecondLevel == nil {
		return nil
	}
	var changed func(secondlevel.Use, error)
	if tell := r.config.SecondLevelChanged; tell != nil {
		changed = func(use secondlevel.Use, why error) { tell(SecondLevelChange{use == secondlevel.Writes, why}) }
	}
	cuts, _ := simplelru.NewLRU[sourceCut, time.Time](maxSecondLevelCuts, nil) // fails for sizes below one only
	return &secondLevel{
		Front: secondlevel.New(r.base, r.config.SecondLevel, r.config.SecondLevelKey, r.spawn, changed),
		cuts:  cuts,
	}
}

// key names a reply of a zone's servers for resolvers of the same view. What a route or a
// negative trust anchor has to do with is of another view.
func (s *secondLevel) key(v *view, zone dnsname.Name, q question) secondlevel.Key {
	return s.Key([]byte("reply"), v.digest[:], []byte(zone), []byte(q.name), []byte{byte(q.rrtype >> 8), byte(q.rrtype)})
}

// withoutSecondLevel decides what it means for the second level that a walk failed. When the store
// had a part in it, it gives a task that walks again as if there were no store; else nil.
func (r *Resolver) withoutSecondLevel(st *step, q question, err error) *step {
	if r.secondLevel == nil || st.secondLevel != secondLevelReadAndWritten || !isZoneFailure(err) {
		return nil
	}
	keys, led := st.secondReads.all(), r.forgetCuts(q)
	if len(keys) == 0 && !led {
		return nil
	}
	var bogus *bogusError
	if errors.As(err, &bogus) && len(keys) > 0 {
		r.secondLevel.Distrust(keys)
	}
	again := *st
	again.secondLevel, again.secondReads = secondLevelWritten, nil
	if st.proof != nil {
		// One cut further up, so that the delegation and its DS come anew.
		again.startAbove = st.proof.started
		again.proof = r.newProof(&again, q)
	}
	return &again
}

// isZoneFailure reports whether an error is about what a zone's servers say, or that they say
// nothing.
func isZoneFailure(err error) bool {
	var bogus *bogusError
	var zone *zoneError
	return err != nil && !leaderOnly(err) && !errors.Is(err, ErrAborted) && (errors.As(err, &bogus) || errors.As(err, &zone))
}

// noteCut remembers who said that there is a zone cut.
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

// forgetCuts drops the zone cuts on the way to q that are the store's word, and reports
// whether there were any: their servers may be somebody else's.
func (r *Resolver) forgetCuts(q question) bool {
	now, led := r.config.Now(), false
	v := r.viewOf(now, q)
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

// SecondLevelChange says that Options.SecondLevel is left alone, or used again.
type SecondLevelChange struct {
	// Writes: it is about what is written; else about what is read.
	Writes bool
	// Err is why the store is left alone: an error of its own, or that it answers late, not
	// at all, or with what turns out bogus. Nil: it is used again.
	Err error
}

// SecondLevelStats counts what came of Options.SecondLevel. The counts only grow, and are
// not taken at one moment.
type SecondLevelStats struct {
	Hits        uint64 `json:"hits"`         // values that were read and could be opened
	Misses      uint64 `json:"misses"`       // there was none, or it had expired
	Errors      uint64 `json:"errors"`       // reads that failed or took too long
	Skipped     uint64 `json:"skipped"`      // reads not made: the store does not work, lies, or is too slow for the question
	Refused     uint64 `json:"refused"`      // values that are damaged, foreign, or say what no server could have said
	Bogus       uint64 `json:"bogus"`        // answers that values had a part in, and that were not true
	Writes      uint64 `json:"writes"`       // values stored
	WriteErrors uint64 `json:"write_errors"` // writes that failed
	Dropped     uint64 `json:"dropped"`      // writes not made: the queue was full, or the store does not work
}

// SecondLevelStats gives the counts since New; zero without Options.SecondLevel. Unlike
// Stats, which has them too, it looks at nothing else, and takes no locks.
func (r *Resolver) SecondLevelStats() SecondLevelStats {
	if r.secondLevel == nil {
		return SecondLevelStats{}
	}
	return SecondLevelStats(r.secondLevel.Stats())
}
