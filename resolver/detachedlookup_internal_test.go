package resolver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A look-up ends with its flight until it is detached, then with its question's time; those
// that go on are counted, once, and bounded.
func TestSideTrips(t *testing.T) {
	const alone = 2 // side trips of others
	for name, test := range map[string]struct {
		others     int64
		do         func(s *targetLookup, endFlight func())
		goesOn     bool
		left, last int64 // counted before and after the trip's own end
	}{
		"the flight ends":            {alone, func(_ *targetLookup, endFlight func()) { endFlight() }, false, alone, alone},
		"detached, the flight ends":  {alone, func(s *targetLookup, endFlight func()) { s.detach(); endFlight() }, true, alone + 1, alone},
		"over, then detached":        {alone, func(s *targetLookup, _ func()) { s.end(); s.detach() }, false, alone, alone},
		"detached, one too many":     {maxTargetLookups, func(s *targetLookup, _ func()) { s.detach() }, false, maxTargetLookups, maxTargetLookups},
		"detached, the last of many": {maxTargetLookups - 1, func(s *targetLookup, _ func()) { s.detach() }, true, maxTargetLookups, maxTargetLookups - 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &Resolver{base: t.Context()}
				r.targetLookups.Store(test.others)
				flight, endFlight := context.WithCancel(t.Context())
				defer endFlight()
				s := r.newTargetLookup(flight, &budget{deadline: time.Now().Add(time.Minute)})
				test.do(s, endFlight)
				synctest.Wait()
				if got := s.ctx.Err() == nil; got != test.goesOn || r.targetLookups.Load() != test.left {
					t.Errorf("goes on: %t, want %t; %d counted, want %d", got, test.goesOn, r.targetLookups.Load(), test.left)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if s.ctx.Err() == nil {
					t.Error("it outlives its question's time")
				}
				if s.state.Load() != targetLookupOver {
					s.end()
				}
				if got := r.targetLookups.Load(); got != test.last {
					t.Errorf("when it is over %d are counted, want %d", got, test.last)
				}
			})
		})
	}
}
