package resolver

import (
	"testing"
	"time"
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
		{loopPause, true},
		{loopPause + clockSlack/2, true},
		{loopPause + 2*clockSlack, false},
		{24 * time.Hour, false},
	} {
		var guard loopGuard
		guard.loopsUntil.Store(time.Now().Add(test.ahead).UnixNano())
		if got := guard.leadsBackKnown(); got != test.want {
			t.Errorf("until %v from now: got %t, want %t", test.ahead, got, test.want)
		}
		if got := guard.isIdle(); got == test.want {
			t.Errorf("until %v from now: idle %t, want %t", test.ahead, got, !test.want)
		}
	}
	if new(loopGuard).leadsBackKnown() {
		t.Error("a server of which nothing is known leads back")
	}
}
