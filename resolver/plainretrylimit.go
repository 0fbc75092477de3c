package resolver

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// maxPlainRetryZones is how many zones the results of plain retries are remembered for.
	maxPlainRetryZones = 10_000
	// plainRetryPause is how long a zone has no plain retry after one in vain: as long as a
	// failure is remembered at most (RFC 9520 §3.2). Otherwise random names below a zone
	// that fails would cost its servers one query more each.
	plainRetryPause = 5 * time.Minute
	// plainRetryHelps is how long after one that helped a zone may have several at the same
	// time.
	plainRetryHelps = 15 * time.Minute
)

// plainRetries remembers what came of each zone's last plain retry, the query that is sent
// when all servers have failed. Until that is known each zone has one at a time.
type plainRetries struct {
	mu    sync.Mutex
	zones *simplelru.LRU[plainRetryKey, expiring[plainRetry]] // guarded by mu
}

type plainRetryKey struct {
	source uint32
	zone   dnsname.Name
}

// plainRetry is the latest one of a zone.
type plainRetry struct {
	underWay chan struct{} // closed when it has ended; nil: it has ended
	helped   bool
}

// plainRetryResult is what came of a plain retry.
type plainRetryResult uint8

const (
	plainRetryUnknown plainRetryResult = iota // it was given up
	plainRetryHelped
	plainRetryInVain
)

func newPlainRetries() *plainRetries {
	// NewLRU fails for sizes below one only.
	zones, _ := simplelru.NewLRU(maxPlainRetryZones, func(_ plainRetryKey, r expiring[plainRetry]) { r.value.end() })
	return &plainRetries{zones: zones}
}

// end wakes the questions that wait for it.
func (r plainRetry) end() {
	if r.underWay != nil {
		close(r.underWay)
	}
}

// enter reports whether a zone may have a plain retry, after which leave must be called. If
// ended is not nil, the caller asks again when it is closed.
func (l *plainRetries) enter(now time.Time, key plainRetryKey) (ended <-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest, known := l.zones.Get(key)
	switch {
	case known && latest.value.underWay != nil:
		return latest.value.underWay, false
	case known && latest.holds(now):
		return nil, latest.value.helped
	}
	l.zones.Add(key, expiring[plainRetry]{value: plainRetry{underWay: make(chan struct{})}, since: now})
	return nil, true
}

// leave records what came of a plain retry.
func (l *plainRetries) leave(now time.Time, key plainRetryKey, how plainRetryResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest, ok := l.zones.Peek(key)
	if !ok || how == plainRetryUnknown && latest.value.underWay == nil {
		return
	}
	switch how {
	case plainRetryUnknown:
		l.zones.Remove(key) // which ends it
		return
	case plainRetryHelped:
		l.zones.Add(key, expiring[plainRetry]{plainRetry{helped: true}, now, plainRetryHelps})
	case plainRetryInVain:
		if latest.value.helped && latest.holds(now) {
			return // one name fails: others may still be helped
		}
		l.zones.Add(key, expiring[plainRetry]{plainRetry{}, now, plainRetryPause})
	}
	latest.value.end()
}
