package iterate

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/env"
)

// A look-up ends with its flight until it is detached, then with its question's time; those
// that go on are counted, once, and bounded.
func TestDetachedLookups(t *testing.T) {
	const alone = 2 // detached look-ups of others
	for name, test := range map[string]struct {
		others     int64
		do         func(s *detachedLookup, endFlight func())
		goesOn     bool
		left, last int64 // counted before and after its own end
	}{
		"the flight ends":            {alone, func(_ *detachedLookup, endFlight func()) { endFlight() }, false, alone, alone},
		"detached, the flight ends":  {alone, func(s *detachedLookup, endFlight func()) { s.detach(); endFlight() }, true, alone + 1, alone},
		"over, then detached":        {alone, func(s *detachedLookup, _ func()) { s.end(); s.detach() }, false, alone, alone},
		"detached, one too many":     {maxDetachedLookups, func(s *detachedLookup, _ func()) { s.detach() }, false, maxDetachedLookups, maxDetachedLookups},
		"detached, the last of many": {maxDetachedLookups - 1, func(s *detachedLookup, _ func()) { s.detach() }, true, maxDetachedLookups, maxDetachedLookups - 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &Iterator{Env: &env.Env{Base: t.Context()}}
				r.detachedLookups.Store(test.others)
				flight, endFlight := context.WithCancel(t.Context())
				defer endFlight()
				s := r.newDetachedLookup(flight, &budget.Budget{Deadline: time.Now().Add(time.Minute)})
				test.do(s, endFlight)
				synctest.Wait()
				if got := s.ctx.Err() == nil; got != test.goesOn || r.detachedLookups.Load() != test.left {
					t.Errorf("goes on: %t, want %t; %d counted, want %d", got, test.goesOn, r.detachedLookups.Load(), test.left)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if s.ctx.Err() == nil {
					t.Error("it outlives its question's time")
				}
				if s.state.Load() != lookupOver {
					s.end()
				}
				if got := r.detachedLookups.Load(); got != test.last {
					t.Errorf("when it is over %d are counted, want %d", got, test.last)
				}
			})
		})
	}
}
