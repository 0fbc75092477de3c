package resolver

import (
	"errors"
	"testing"
)

// TestCharges: each counter allows as much as its limit says, and then names it.
func TestCharges(t *testing.T) {
	filled := limits{Sends: 3, Bytes: 300, Aliases: 4, Referrals: 3}.fill()
	for _, tt := range []struct {
		limit string
		spend func(*budget) error
		value int
	}{
		{"Sends", (*budget).send, 3},
		{"Bytes", func(b *budget) error { return b.received(100) }, 300},
		{"Aliases", (*budget).alias, 4},
		{"Referrals", (*budget).referral, 3},
	} {
		b := newBudget(&filled, nil)
		for i := range 3 {
			if err := tt.spend(b); err != nil {
				t.Errorf("%s: %d within the limit: %v", tt.limit, i+1, err)
			}
		}
		for range 2 {
			var limit *limitError
			if err := tt.spend(b); !errors.As(err, &limit) || *limit != (limitError{tt.limit, tt.value}) {
				t.Errorf("%s: got %v, want the limit with its value %d", tt.limit, err, tt.value)
			}
		}
	}
}

// TestMayLookUp: failures count only when they cost a query; an outage doubles the number
// allowed.
func TestMayLookUp(t *testing.T) {
	filled := limits{FailedServerLookups: 2}.fill()
	b := newBudget(&filled, nil)
	for range 10 {
		b.lookupFailed(false)
	}
	for i, want := range []struct{ plain, outage bool }{{true, true}, {true, true}, {false, true}, {false, true}, {false, false}} {
		if got := b.mayLookUp(false) == nil; got != want.plain {
			t.Errorf("after %d failures: got %t, want %t", i, got, want.plain)
		}
		if got := b.mayLookUp(true) == nil; got != want.outage {
			t.Errorf("after %d failures in an outage: got %t, want %t", i, got, want.outage)
		}
		b.lookupFailed(true)
	}
}
