package budget

import (
	"errors"
	"testing"

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
