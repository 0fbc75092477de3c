package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

// What has passed stays so, and goes on with the time, whatever the clock says.
func TestEarliest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(func() time.Time { return time.Unix(0, 0) })
		if got := c.Earliest(); !got.IsZero() {
			t.Errorf("of nothing: got %v", got)
		}
		moment := time.Now().Add(1000 * time.Hour)
		c.Passed(moment)
		c.Passed(moment.Add(-time.Hour))
		c.Passed(time.Time{})
		time.Sleep(5 * time.Hour)
		if got := c.Earliest(); !got.Equal(moment.Add(5 * time.Hour)) {
			t.Errorf("got %v, want %v", got, moment.Add(5*time.Hour))
		}
		c.Passed(moment.Add(4 * time.Hour)) // less than is known
		if got := c.Earliest(); !got.Equal(moment.Add(5 * time.Hour)) {
			t.Errorf("got %v, want %v", got, moment.Add(5*time.Hour))
		}
		c.Passed(moment.Add(6 * time.Hour))
		if got := c.Earliest(); !got.Equal(moment.Add(6 * time.Hour)) {
			t.Errorf("got %v, want %v", got, moment.Add(6*time.Hour))
		}
	})
}

// A clock that runs on, or is corrected by seconds, has not been set; one that differs by more has,
// whether it has a monotonic reading or none.
func TestSetSince(t *testing.T) {
	for _, step := range []time.Duration{-26 * 365 * 24 * time.Hour, -61 * time.Second, 61 * time.Second, 3 * 365 * 24 * time.Hour} {
		for about, round := range map[string]func(time.Time) time.Time{
			"monotonic": func(t time.Time) time.Time { return t }, "wall": func(t time.Time) time.Time { return t.Round(0) },
		} {
			synctest.Test(t, func(t *testing.T) {
				ahead := -10 * 24 * time.Hour
				c := New(func() time.Time { return round(time.Now().Add(ahead)) })
				c.Look(time.Now())
				failed := time.Now()
				for range 10 {
					time.Sleep(time.Hour)
					if ahead += 5 * time.Second; c.SetSince(failed, time.Now()) {
						t.Fatalf("%s: set, by seconds an hour", about)
					}
					c.Look(time.Now())
				}
				ahead += step
				for range 2 { // it stays so
					if !c.SetSince(failed, time.Now()) {
						t.Errorf("%s: not set, by %v", about, step)
					}
				}
				time.Sleep(time.Second)
				if c.SetSince(time.Now(), time.Now()) || c.SetSince(time.Now().Add(-time.Second), time.Now()) {
					t.Errorf("%s: set by %v since it was", about, step)
				}
			})
		}
	}
}
