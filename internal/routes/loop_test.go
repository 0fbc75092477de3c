package routes

import (
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/expiring"
)

// A server that leads back is passed over until its time is over, also by a question that
// has read the clock just before it was set back a little; a clock that was set back far
// does not prolong that time.
func TestLeadsBackKnown(t *testing.T) {
	for _, test := range []struct {
		ahead time.Duration // from now to the end, as the clock says
		want  bool
	}{
		{-time.Second, false},
		{time.Second, true},
		{LoopPause, true},
		{LoopPause + expiring.ClockSlack/2, true},
		{LoopPause + 2*expiring.ClockSlack, false},
		{24 * time.Hour, false},
	} {
		var guard LoopGuard
		guard.LoopsUntil.Store(time.Now().Add(test.ahead).UnixNano())
		if got := guard.LeadsBackKnown(); got != test.want {
			t.Errorf("until %v from now: got %t, want %t", test.ahead, got, test.want)
		}
		if got := guard.isIdle(); got == test.want {
			t.Errorf("until %v from now: idle %t, want %t", test.ahead, got, !test.want)
		}
	}
	if new(LoopGuard).LeadsBackKnown() {
		t.Error("a server of which nothing is known leads back")
	}
}
