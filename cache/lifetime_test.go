package cache

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func TestExpiryByEitherClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, n := newView(Options{}), name("www.example.com")
		arrival := time.Now()
		shift := func(mono, wall time.Duration) time.Time { // a moment with both clocks, the wall stepped
			return wallStepped(arrival.Add(mono), wall-mono)
		}
		v.Put(arrival, addressSet(n, 300, anyAddr), answer)
		for _, tt := range []struct {
			about string
			now   time.Time
			want  uint32
		}{
			{"at once", arrival, 300},
			{"both clocks run", shift(100*time.Second, 100*time.Second), 200},
			{"wall stepped forward", shift(1*time.Second, 301*time.Second), 0},
			{"machine slept: the monotonic clock stood", shift(0, 299*time.Second), 1},
			{"wall only, alive", arrival.Add(299 * time.Second).Round(0), 1},
			{"wall only, expired", arrival.Add(300 * time.Second).Round(0), 0},
			{"wall only, a step back of a year", arrival.AddDate(-1, 0, 0).Round(0), 0},
			{"wall only, a reader that lags", arrival.Add(-5 * time.Second).Round(0), 300},
		} {
			item, ok := v.Get(tt.now, n, dns.TypeA, Checked, RankAnswer)
			if item.TTL != tt.want && (ok || tt.want > 0) {
				t.Errorf("%s: TTL %d, found %v; want %d", tt.about, item.TTL, ok, tt.want)
			}
		}
	})
}

// A wall clock that steps back cannot be made with the time package, since Add moves
// both clocks, so it is put together on the level below.
func TestWallStepsBack(t *testing.T) {
	arrival := instant{wall: 1_000_000, mono: 50_000}
	s := spanOf(arrival, 10*time.Second)
	for _, tt := range []struct {
		now  instant
		want uint32
	}{
		{instant{wall: 1_000_000, mono: 50_000}, 10},
		{instant{wall: 0, mono: 50_001}, 10},
		{instant{wall: 0, mono: 59_000}, 1},
		{instant{wall: 0, mono: 60_000}, 0},
		{instant{wall: 1_010_000, mono: 50_000}, 0},
		{instant{wall: 990_000, mono: noMonotonic}, 10}, // within the slack
		{instant{wall: 0, mono: noMonotonic}, 0},
	} {
		if got := s.seconds(tt.now); got != tt.want {
			t.Errorf("seconds at %+v = %d, want %d", tt.now, got, tt.want)
		}
	}
}

// wallStepped returns a moment whose wall clock alone has moved by step. Only a step
// forward matters to its caller, and dropping the monotonic clock shows it.
func wallStepped(now time.Time, step time.Duration) time.Time {
	if step == 0 {
		return now
	}
	return now.Add(step).Round(0)
}

func TestYears(t *testing.T) {
	for _, arrival := range []time.Time{
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 50, 0, time.UTC),
		time.Date(2038, 1, 19, 3, 14, 0, 0, time.UTC),
		time.Date(2106, 2, 7, 6, 28, 0, 0, time.UTC),
		time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC),
		{},
	} {
		v, n := newView(Options{}), name("www.example.com")
		v.Put(arrival, addressSet(n, 60, anyAddr), answer)
		for _, tt := range []struct {
			after time.Duration
			want  uint32
		}{{0, 60}, {59 * time.Second, 1}, {60 * time.Second, 0}} {
			item, _ := v.Get(arrival.Add(tt.after), n, dns.TypeA, Checked, RankAnswer)
			if item.TTL != tt.want {
				t.Errorf("stored at %s, TTL after %s = %d, want %d", arrival, tt.after, item.TTL, tt.want)
			}
		}
	}
}
