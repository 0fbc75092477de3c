package infra

import (
	"net/netip"
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
	lost    int
	retry   time.Duration
	tryFrom time.Time
}

func familyOf(addr netip.Addr) int {
	if addr.Is4() || addr.Is4In6() {
		return 0
	}
	return 1
}

func (f *family) answered() { *f = family{} }

func (f *family) timedOut(now time.Time) {
	f.lost++
	if f.lost < familyDeadAfter {
		return
	}
	f.retry = min(max(2*f.retry, familyRetry), familyRetryMax)
	f.tryFrom = now.Add(f.retry)
}

// FamilyDown reports whether the address family of addr is marked down, so that servers
// of the other family are asked first. From time to time it returns false for one query,
// which finds out whether the family works again.
func (t *Table) FamilyDown(now time.Time, addr netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &t.families[familyOf(addr.Addr())]
	other := &t.families[1-familyOf(addr.Addr())]
	// When both are silent it is the network or the servers, not the family.
	return f.lost >= familyDeadAfter && other.lost < familyDeadAfter && ahead(now, f.tryFrom, familyRetryMax)
}
