package resolver

import (
	"slices"
	"testing"

	"github.com/iterdns/iterdns/internal/failure"
)

// TestCountsHaveNames: Stats has a name for all that the engine counts.
func TestCountsHaveNames(t *testing.T) {
	for k, reason := range failureReasons {
		if named := failure.Table[k].Traits&failure.Named != 0; named != (reason != "") {
			t.Errorf("failure of kind %d: has a reason of its own: %t, called %q", k, named, reason)
		}
	}
	if slices.Contains(dropReasons[:], "") {
		t.Errorf("reasons to drop a message: %q", dropReasons)
	}
	if slices.Contains(excesses[:], "") {
		t.Errorf("what replies have too much of: %q", excesses)
	}
}
