package infra

import (
	"net/netip"
	"time"
)

const (
	// familyDeadAfter is how many queries in a row a family must lose, to whatever
	// servers, before it counts as going nowhere.
	familyDeadAfter = 6
	// familyRetry is how often a family that goes nowhere is tried again at first;
	// it doubles up to familyRetryMax.
	familyRetry    = 2 * time.Second
	familyRetryMax = 2 * time.Minute
)

// family is what is known of one address family as a whole: whether packets of it
// get anywhere from here.
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

// FamilyDown reports whether packets of addr's family have gone nowhere for a while,
// so that servers of the other one are better asked first. From time to time it says
// false for one query, to find out.
func (t *Table) FamilyDown(now time.Time, addr netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := &t.families[familyOf(addr.Addr())]
	other := &t.families[1-familyOf(addr.Addr())]
	// When both are silent it is the network or the servers, not the family.
	return f.lost >= familyDeadAfter && other.lost < familyDeadAfter && ahead(now, f.tryFrom, familyRetryMax)
}
