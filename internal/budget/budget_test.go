package budget

import (
	"errors"
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
)

// TestCharges: each counter allows as much as its limit says, and then names it.
func TestCharges(t *testing.T) {
	filled := limits.Limits{Sends: 3, Bytes: 300, Aliases: 4, Referrals: 3}.Fill()
	for _, tt := range []struct {
		limit string
		spend func(*Budget) error
		value int
	}{
		{"Sends", (*Budget).ChargeQuery, 3},
		{"Bytes", func(b *Budget) error { return b.ChargeBytes(100) }, 300},
		{"Aliases", (*Budget).ChargeAlias, 4},
		{"Referrals", (*Budget).ChargeReferral, 3},
	} {
		b := New(&filled, nil)
		for i := range 3 {
			if err := tt.spend(b); err != nil {
				t.Errorf("%s: %d within the limit: %v", tt.limit, i+1, err)
			}
		}
		for range 2 {
			var limit *limits.Error
			if err := tt.spend(b); !errors.As(err, &limit) || *limit != (limits.Error{Limit: tt.limit, Value: tt.value}) {
				t.Errorf("%s: got %v, want the limit with its value %d", tt.limit, err, tt.value)
			}
		}
	}
}

// TestMayLookUp: failures count only when they cost a query; an outage doubles the number
// allowed.
func TestMayLookUp(t *testing.T) {
	filled := limits.Limits{FailedServerLookups: 2}.Fill()
	b := New(&filled, nil)
	for range 10 {
		b.ChargeFailedLookup(false)
	}
	for i, want := range []struct{ plain, outage bool }{{true, true}, {true, true}, {false, true}, {false, true}, {false, false}} {
		if got := b.MayLookUp(false) == nil; got != want.plain {
			t.Errorf("after %d failures: got %t, want %t", i, got, want.plain)
		}
		if got := b.MayLookUp(true) == nil; got != want.outage {
			t.Errorf("after %d failures in an outage: got %t, want %t", i, got, want.outage)
		}
		b.ChargeFailedLookup(true)
	}
}

// TestUnanswered: of the queries that the end of a question meets the one of the lowest rank is told,
// and only where the time of the question has ended it.
func TestUnanswered(t *testing.T) {
	filled := limits.Limits{Time: time.Minute}.Fill()
	b := New(&filled, nil)
	of := func(zone string) *failure.ZoneError {
		return &failure.ZoneError{Zone: dnsname.MustParse(zone), Err: &failure.PendingError{LookUps: true}}
	}
	for rank, zone := range map[int]string{3: "c.example.", 1: "a.example.", 2: "b.example."} {
		b.NoteUnanswered(rank, of(zone))
	}
	late := limits.Time.Reached(1)
	if err := b.End(late); err != error(late) {
		t.Errorf("before the end: got %v", err)
	}
	b.Deadline = time.Now()
	const want = "zone a.example.: the addresses of its servers are not found yet: limit Time (1ms) reached"
	if err := b.End(late); err.Error() != want || !errors.Is(err, error(late)) {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, other := range []error{nil, limits.Sends.Reached(1), errors.New("other")} {
		if err := b.End(other); err != other {
			t.Errorf("got %v, want %v", err, other)
		}
	}
	if !b.EndsWith(late) || b.EndsWith(limits.Sends.Reached(1)) {
		t.Error("only the end of another question's time ends this one's")
	}
}
