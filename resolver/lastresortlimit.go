package resolver

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// maxResorts is of how many zones it is known what came of their last resort.
	maxResorts = 10_000
	// resortPause is how long a zone has no last resort after one that was in vain: as long
	// as a failure is remembered at most (RFC 9520 §3.2). Random names below a zone that
	// fails would else cost its servers one query more each.
	resortPause = 5 * time.Minute
	// resortHelps is how long one that helped lets others be had at the same time.
	resortHelps = 15 * time.Minute
)

// resorts knows of zones what came of the last resort, the query that is sent when all
// servers have failed. Until that is known each zone has one at a time.
type resorts struct {
	mu    sync.Mutex
	zones *simplelru.LRU[resortKey, timed[resort]] // guarded by mu
}

type resortKey struct {
	source uint32
	zone   dnsname.Name
}

// resort is the latest one of a zone.
type resort struct {
	underWay chan struct{} // closed when it is known what came of it; nil: it is known
	helped   bool
}

// resortEnd is what came of a last resort.
type resortEnd uint8

const (
	resortUnknown resortEnd = iota // it was given up
	resortHelped
	resortInVain
)

func newResorts() *resorts {
	// NewLRU fails for sizes below one only.
	zones, _ := simplelru.NewLRU(maxResorts, func(_ resortKey, r timed[resort]) { r.value.end() })
	return &resorts{zones: zones}
}

// end lets go on who waits for it.
func (r resort) end() {
	if r.underWay != nil {
		close(r.underWay)
	}
}

// enter reports whether a zone may have a last resort, after which leave must be called. If
// it is not nil, ended is to be waited for before that is known.
func (s *resorts) enter(now time.Time, key resortKey) (ended <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	latest, known := s.zones.Get(key)
	switch {
	case known && latest.value.underWay != nil:
		return latest.value.underWay, false
	case known && latest.holds(now):
		return nil, latest.value.helped
	}
	s.zones.Add(key, timed[resort]{value: resort{underWay: make(chan struct{})}, since: now})
	return nil, true
}

// leave takes in what came of a last resort.
func (s *resorts) leave(now time.Time, key resortKey, how resortEnd) {
	s.mu.Lock()
	defer s.mu.Unlock()
	latest, ok := s.zones.Peek(key)
	if !ok || how == resortUnknown && latest.value.underWay == nil {
		return
	}
	switch how {
	case resortUnknown:
		s.zones.Remove(key) // which ends it
		return
	case resortHelped:
		s.zones.Add(key, timed[resort]{resort{helped: true}, now, resortHelps})
	case resortInVain:
		if latest.value.helped && latest.holds(now) {
			return // one name fails, which is no reason not to help others
		}
		s.zones.Add(key, timed[resort]{resort{}, now, resortPause})
	}
	latest.value.end()
}
