package resolver_test

import (
	"flag"
	"fmt"
	"testing"
)

var simRepeats = flag.Uint64("repeats", 4, "how many seeds TestSimulationRepeats plays twice")

// A seed makes the same run each time: the same questions, sends, replies and answers, to
// the nanosecond, however Go's scheduler orders what is ready. So the seed of a failure is
// all that is needed to see it again. That holds where each exchange has a goroutine of its own,
// which begins at an instant of its own.
func TestSimulationRepeats(t *testing.T) {
	repeats := *simRepeats
	if testing.Short() {
		repeats = min(repeats, 2)
	}
	first, last := *simFirst, *simFirst+repeats-1
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			want, got := simulate(t, seed, new(simTally), false), simulate(t, seed, new(simTally), false)
			for i := range min(len(got), len(want)) {
				if got[i] != want[i] {
					t.Fatalf("seed %d, line %d of the log: got\n%s\nwant, as the first time,\n%s", seed, i, got[i], want[i])
				}
			}
			if len(got) != len(want) {
				t.Errorf("seed %d: got %d lines of log, want %d as the first time", seed, len(got), len(want))
			}
		})
	}
}
