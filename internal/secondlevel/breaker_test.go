package secondlevel

import (
	"testing"
	"time"
)

// What counts as a failure: times are those of attempts, in milliseconds from the last
// success on.
func TestBreakerCounts(t *testing.T) {
	type attempt struct{ began, ended time.Duration }
	for about, c := range map[string]struct {
		attempts []attempt
		open     bool
	}{
		"three in a row":               {[]attempt{{0, 20}, {20, 40}, {40, 60}}, true},
		"two":                          {[]attempt{{0, 20}, {20, 40}}, false},
		"three at once":                {[]attempt{{0, 20}, {1, 21}, {2, 22}}, false},
		"one that is silent":           {[]attempt{{0, 60}}, true},
		"silent before a success":      {[]attempt{{-1, 60}}, false},
		"in a row, but before it":      {[]attempt{{-30, 1}, {-20, 2}, {-10, 3}}, false},
		"at once, and then two in row": {[]attempt{{0, 20}, {1, 21}, {21, 41}, {41, 61}}, true},
	} {
		b := breaker{after: 3, silence: 60 * time.Millisecond, pause: time.Second}
		b.succeeded(start)
		opened := 0
		for _, a := range c.attempts {
			if b.failed(start.Add(a.began*time.Millisecond), start.Add(a.ended*time.Millisecond)) {
				opened++
			}
		}
		if b.open() != c.open || (opened == 1) != c.open {
			t.Errorf("%s: got open %v, opened %d times, want %v", about, b.open(), opened, c.open)
		}
	}
}
