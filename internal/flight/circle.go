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
	waiter.waitsFor = append(waiter.waitsFor, other)
	return nil
}

// waitNoLonger undoes waitFor.
func (f *Group) waitNoLonger(other, waiter *Flight) {
	f.waiting.Lock()
	defer f.waiting.Unlock()
	other.waitedForBy = without(other.waitedForBy, waiter)
	waiter.waitsFor = without(waiter.waitsFor, other)
}

// without takes one flight out of a list, once.
func without(list []*Flight, one *Flight) []*Flight {
	if i := slices.Index(list, one); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// WaitsFor returns the flights that fl waits for at this moment, those in its own goroutine first,
// and each in the order in which they were begun or joined.
func (f *Group) WaitsFor(fl *Flight) []*Flight {
	below := fl.life.led()
	f.waiting.Lock()
	defer f.waiting.Unlock()
	return append(below, fl.waitsFor...)
}

// Work returns what the flight does.
func (fl *Flight) Work() Work { return fl.work }

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
