package resolver

import (
	"reflect"
	"testing"
	"time"
)

// TestLimitTable: each field of Limits has one limit, which is named after it and reads and
// fills that field; the others are Time and the bounds of messages.
func TestLimitTable(t *testing.T) {
	var given limits
	fields := reflect.ValueOf(&given).Elem()
	named := map[limit]bool{limitUnknown: true}
	for field := range reflect.TypeFor[limits]().Fields() {
		l := limitNamed(field.Name)
		if l == limitUnknown || named[l] {
			t.Errorf("%s: got %v, want a limit of its own", field.Name, l)
			continue
		}
		named[l] = true
		if l == limitTime {
			continue
		}
		if l.field(&given) != fields.FieldByIndex(field.Index).Addr().Interface() {
			t.Errorf("%s: field points elsewhere", field.Name)
		}
		if got := l.in(&limits{}); got != 0 {
			t.Errorf("%s: got %d where it is zero", field.Name, got)
		}
		*l.field(&given) = -1
		if got := l.in(new(given.fill())); got != noLimit {
			t.Errorf("%s: got %d for a negative one", field.Name, got)
		}
	}
	filled := limits{}.fill()
	for at, row := range limitTable {
		l := limit(at)
		if bound := row.breach != nil; l != limitUnknown && named[l] == bound {
			t.Errorf("%v: is a field: %t, is a bound of messages: %t", l, named[l], bound)
		}
		if got := l.in(&filled); got != row.value {
			t.Errorf("%v: got %d, want the default %d", l, got, row.value)
		}
		if got := l.reached(7); got.limit() != l || got.Value != 7 {
			t.Errorf("%v: got %v", l, got)
		}
	}
	if filled.Time != 10*time.Second || (limits{Time: -1}).fill().Time != 24*time.Hour {
		t.Errorf("Time: got %v", filled.Time)
	}
}
