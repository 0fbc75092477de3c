package infra

import (
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// familyDeadAfter is how many queries of an address family in a row, to whichever
	// servers, must be lost before the family is marked down.
	familyDeadAfter = 6
	// familyRetry is after what time a family that is marked down is tried again at
	// first; it doubles up to familyRetryMax.
	familyRetry    = 2 * time.Second
	familyRetryMax = 2 * time.Minute
)

// family is the state of one address family as a whole: whether its packets reach any
// server from here.
type family struct {
	lost    atomic.Int64  // in a row
	retry   time.Duration // guarded by Table.mu, as is tryFrom
	tryFrom time.Time
}

func familyOf(addr netip.Addr) int {
	if addr.Is4() || addr.Is4In6() {
		return 0
	}
	return 1
}

// familyAnswered records a reply of the family of addr. As long as nothing was lost, which is
// most of the time, it takes no lock.
func (t *Table) familyAnswered(addr netip.AddrPort) {
	f := &t.families[familyOf(addr.Addr())]
	if f.lost.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f.lost.Store(0)
	f.retry, f.tryFrom = 0, time.Time{}
}

// familyTimedOut records a query of the family of addr that was lost.
func (t *Table) familyTimedOut(now time.Time, addr netip.AddrPort) {
	f := &t.families[familyOf(addr.Addr())]
	if f.lost.Add(1) < familyDeadAfter {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.lost.Load() < familyDeadAfter {
		return // there was a reply meanwhile
	}
	f.retry = min(max(2*f.retry, familyRetry), familyRetryMax)
	f.tryFrom = now.Add(f.retry)
}

// FamilyDown reports whether the address family of addr is marked down, so that servers
// of the other family are asked first. From time to time it returns false for one query,
// which finds out whether the family works again.
func (t *Table) FamilyDown(now time.Time, addr netip.AddrPort) bool {
	f := &t.families[familyOf(addr.Addr())]
	other := &t.families[1-familyOf(addr.Addr())]
	// When both are silent it is the network or the servers, not the family.
	if f.lost.Load() < familyDeadAfter || other.lost.Load() >= familyDeadAfter {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return ahead(now, f.tryFrom, familyRetryMax)
}
