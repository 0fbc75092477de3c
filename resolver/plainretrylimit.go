package resolver

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// maxLastResorts is of how many zones it is known what came of their last resort.
	maxLastResorts = 10_000
	// resortPause is how long a zone has no last resort after one that was in vain: as long
	// as a failure is remembered at most (RFC 9520 §3.2). Random names below a zone that
	// fails would else cost its servers one query more each.
	resortPause = 5 * time.Minute
	// resortHelps is how long one that helped lets others be had at the same time.
	resortHelps = 15 * time.Minute
)

// lastResorts knows of zones what came of the last resort, the query that is sent when all
// servers have failed. Until that is known each zone has one at a time.
type lastResorts struct {
	mu    sync.Mutex
	zones *simplelru.LRU[lastResortKey, timed[lastResort]] // guarded by mu
}

type lastResortKey struct {
	source uint32
	zone   dnsname.Name
}

// lastResort is the latest one of a zone.
type lastResort struct {
	underWay chan struct{} // closed when it is known what came of it; nil: it is known
	helped   bool
}

// lastResortEnd is what came of a last resort.
type lastResortEnd uint8

const (
	resortUnknown lastResortEnd = iota // it was given up
	resortHelped
	resortInVain
)

func newLastResorts() *lastResorts {
	// NewLRU fails for sizes below one only.
	zones, _ := simplelru.NewLRU(maxLastResorts, func(_ lastResortKey, r timed[lastResort]) { r.value.end() })
	return &lastResorts{zones: zones}
}

// end lets go on who waits for it.
func (r lastResort) end() {
	if r.underWay != nil {
		close(r.underWay)
	}
}

// enter reports whether a zone may have a last resort, after which leave must be called. If
// it is not nil, ended is to be waited for before that is known.
func (l *lastResorts) enter(now time.Time, key lastResortKey) (ended <-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest, known := l.zones.Get(key)
	switch {
	case known && latest.value.underWay != nil:
		return latest.value.underWay, false
	case known && latest.holds(now):
		return nil, latest.value.helped
	}
	l.zones.Add(key, timed[lastResort]{value: lastResort{underWay: make(chan struct{})}, since: now})
	return nil, true
}

// leave takes in what came of a last resort.
func (l *lastResorts) leave(now time.Time, key lastResortKey, how lastResortEnd) {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest, ok := l.zones.Peek(key)
	if !ok || how == resortUnknown && latest.value.underWay == nil {
		return
	}
	switch how {
	case resortUnknown:
		l.zones.Remove(key) // which ends it
		return
	case resortHelped:
		l.zones.Add(key, timed[lastResort]{lastResort{helped: true}, now, resortHelps})
	case resortInVain:
		if latest.value.helped && latest.holds(now) {
			return // one name fails, which is no reason not to help others
		}
		l.zones.Add(key, timed[lastResort]{lastResort{}, now, resortPause})
	}
	latest.value.end()
}
