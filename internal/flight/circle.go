package flight

import (
	"slices"

	"github.com/iterdns/iterdns/internal/failure"
)

// waitFor notes that waiter waits for another flight. It fails if that one waits for waiter,
// directly or through others.
func (f *Group) waitFor(other, waiter *Flight) error {
	f.waiting.Lock()
	defer f.waiting.Unlock()
	if waiter.isWaitedForBy(other, make(map[*Flight]bool)) {
		return failure.ErrCircular
	}
	other.waitedForBy = append(other.waitedForBy, waiter)
	return nil
}

// waitNoLonger undoes waitFor.
func (f *Group) waitNoLonger(other, waiter *Flight) {
	f.waiting.Lock()
	defer f.waiting.Unlock()
	if i := slices.Index(other.waitedForBy, waiter); i >= 0 {
		other.waitedForBy = slices.Delete(other.waitedForBy, i, i+1)
	}
}

// isWaitedForBy reports whether other waits for fl or is fl, directly or through others. It
// searches from fl up, since a flight's leader never changes: flights that are begun meanwhile
// need no lock. Group.waiting must be held.
func (fl *Flight) isWaitedForBy(other *Flight, seen map[*Flight]bool) bool {
	for ; fl != nil && !seen[fl]; fl = fl.leader {
		if fl == other {
			return true
		}
		seen[fl] = true
		for _, above := range fl.waitedForBy {
			if above.isWaitedForBy(other, seen) {
				return true
			}
		}
	}
	return false
}
