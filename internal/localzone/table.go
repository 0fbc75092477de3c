package localzone

import (
	"sync/atomic"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// Table has the local zones of a resolver, which may be replaced while it runs. It may be used by
// several goroutines at once.
type Table struct{ now atomic.Pointer[generation] }

// generation is all local zones. It is immutable.
type generation struct {
	number uint64 // of times that they were replaced
	zones  Zones
}

// NewTable makes a table of the first zones.
func NewTable(zones Zones) *Table {
	t := new(Table)
	t.now.Store(&generation{zones: zones})
	return t
}

// Replace replaces all local zones.
func (t *Table) Replace(zones Zones) {
	for {
		old := t.now.Load()
		if t.now.CompareAndSwap(old, &generation{number: old.number + 1, zones: zones}) {
			return
		}
	}
}

// Generation is how often the zones have been replaced.
func (t *Table) Generation() uint64 { return t.now.Load().number }

// Has reports whether a local zone may answer questions for name.
func (t *Table) Has(name dnsname.Name) bool { return t.now.Load().zones.Has(name) }

// Answer answers a question from the zones; false when none of them answers it. The answer is
// Indeterminate: local zones are not signed.
func (t *Table) Answer(q answer.Question) (*answer.Answer, bool) {
	d, ok := t.now.Load().zones.Find(q.Name, q.Type)
	if !ok {
		return nil, false
	}
	return answerOf(q, d), true
}
