package slist

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/expiring"
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

// PlainRetries remembers what came of each zone's last plain retry, the query that is sent
// when all servers have failed. Until that is known each zone has one at a time.
type PlainRetries struct {
	mu    sync.Mutex
	zones *simplelru.LRU[PlainRetryKey, expiring.Value[plainRetry]] // guarded by mu
}

// PlainRetryKey is a zone of one source of servers.
type PlainRetryKey struct {
	Source uint32
	Zone   dnsname.Name
}

// plainRetry is the latest one of a zone.
type plainRetry struct {
	underWay chan struct{} // closed when it has ended; nil: it has ended
	helped   bool
}

// PlainRetryResult is what came of a plain retry.
type PlainRetryResult uint8

const (
	PlainRetryUnknown PlainRetryResult = iota // it was given up
	PlainRetryHelped
	PlainRetryInVain
)

func NewPlainRetries() *PlainRetries {
	// NewLRU fails for sizes below one only.
	zones, _ := simplelru.NewLRU(maxPlainRetryZones, func(_ PlainRetryKey, r expiring.Value[plainRetry]) { r.Value.end() })
	return &PlainRetries{zones: zones}
}

// end wakes the questions that wait for it.
func (r plainRetry) end() {
	if r.underWay != nil {
		close(r.underWay)
	}
}

// Enter reports whether a zone may have a plain retry, after which Leave must be called. If
// ended is not nil, the caller asks again when it is closed.
func (l *PlainRetries) Enter(now time.Time, key PlainRetryKey) (ended <-chan struct{}, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest, known := l.zones.Get(key)
	switch {
	case known && latest.Value.underWay != nil:
		return latest.Value.underWay, false
	case known && latest.Holds(now):
		return nil, latest.Value.helped
	}
	l.zones.Add(key, expiring.Value[plainRetry]{Value: plainRetry{underWay: make(chan struct{})}, Since: now})
	return nil, true
}

// Leave records what came of a plain retry.
func (l *PlainRetries) Leave(now time.Time, key PlainRetryKey, how PlainRetryResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	latest, ok := l.zones.Peek(key)
	if !ok || how == PlainRetryUnknown && latest.Value.underWay == nil {
		return
	}
	switch how {
	case PlainRetryUnknown:
		l.zones.Remove(key) // which ends it
		return
	case PlainRetryHelped:
		l.zones.Add(key, expiring.Value[plainRetry]{Value: plainRetry{helped: true}, Since: now, TTL: plainRetryHelps})
	case PlainRetryInVain:
		if latest.Value.helped && latest.Holds(now) {
			return // one name fails: others may still be helped
		}
		l.zones.Add(key, expiring.Value[plainRetry]{Value: plainRetry{}, Since: now, TTL: plainRetryPause})
	}
	latest.Value.end()
}
