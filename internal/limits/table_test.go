package limits

import (
	"reflect"
	"testing"
	"time"
)

// TestLimitTable: each field of Limits has one limit, which is named after it and reads and
// fills that field; the others are Time and the bounds of messages.
func TestLimitTable(t *testing.T) {
	var given Limits
	fields := reflect.ValueOf(&given).Elem()
	named := map[Limit]bool{Unknown: true}
	for field := range reflect.TypeFor[Limits]().Fields() {
		l := Named(field.Name)
		if l == Unknown || named[l] {
			t.Errorf("%s: got %v, want a limit of its own", field.Name, l)
			continue
		}
		named[l] = true
		if l == Time {
			continue
		}
		if l.field(&given) != fields.FieldByIndex(field.Index).Addr().Interface() {
			t.Errorf("%s: field points elsewhere", field.Name)
		}
		if got := l.In(&Limits{}); got != 0 {
			t.Errorf("%s: got %d where it is zero", field.Name, got)
		}
		*l.field(&given) = -1
		if got := l.In(new(given.Fill())); got != None {
			t.Errorf("%s: got %d for a negative one", field.Name, got)
		}
	}
	filled := Limits{}.Fill()
	for at, row := range Table {
		l := Limit(at)
		if bound := row.breach != nil; l != Unknown && named[l] == bound {
			t.Errorf("%v: is a field: %t, is a bound of messages: %t", l, named[l], bound)
		}
		if got := l.In(&filled); got != row.value {
			t.Errorf("%v: got %d, want the default %d", l, got, row.value)
		}
		if got := l.Reached(7); got.Which() != l || got.Value != 7 {
			t.Errorf("%v: got %v", l, got)
		}
	}
	if filled.Time != 10*time.Second || (Limits{Time: -1}).Fill().Time != 24*time.Hour {
		t.Errorf("Time: got %v", filled.Time)
	}
}

// TestErrorText: a limit of time is told with its unit.
func TestErrorText(t *testing.T) {
	for want, err := range map[string]*Error{
		"limit Time (1s) reached":      Time.Reached(1000),
		"limit Time (1.5s) reached":    Time.Reached(1500),
		"limit Sends (100) reached":    Sends.Reached(100),
		"limit Postage (1000) reached": {Limit: "Postage", Value: 1000},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestOfText: the text of each limit's error leads back to it, and no other text does.
func TestOfText(t *testing.T) {
	for l := Unknown + 1; int(l) < len(Table); l++ {
		if got := OfText(l.Reached(1500).Error()); got != l {
			t.Errorf("%v: got %s, want %s", l.Reached(1500), got, l)
		}
	}
	for _, text := range []string{"", "limit", "limit Sends", "limit  (1) reached", "limit Nosuch (1) reached", "Sends (1) refused"} {
		if got := OfText(text); got != Unknown {
			t.Errorf("%q: got %s, want none", text, got)
		}
	}
}
