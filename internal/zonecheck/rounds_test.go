package zonecheck

import (
	"fmt"
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestNextWait(t *testing.T) {
	var waits []time.Duration
	for wait := NextWait(0); len(waits) < 7; wait = NextWait(wait) {
		waits = append(waits, wait/time.Second)
	}
	if got, want := fmt.Sprint(waits), "[2ns 4ns 8ns 16ns 30ns 30ns 30ns]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestRounds: the turns of one question, or of one zone, are a pause apart, and each that waits makes
// the next one wait for longer. Others do not wait for them.
func TestRounds(t *testing.T) {
	shop, other := dnsname.MustParse("shop.example."), dnsname.MustParse("other.example.")
	q := func(label string) answer.Question {
		return answer.Question{Name: dnsname.MustParse(label + ".example."), Type: 16}
	}
	r, now := newRounds(), time.Now()
	for i, step := range []struct {
		at   time.Duration
		of   round
		want time.Duration
	}{
		{0, round{shop, q("a")}, 0},
		{0, round{shop, q("b")}, 0},
		{0, round{other, q("a")}, 0},
		{0, round{zone: shop}, 0},
		{0, round{shop, q("a")}, repeatAfter},
		{0, round{shop, q("a")}, 2 * repeatAfter},
		{2 * repeatAfter, round{shop, q("a")}, repeatAfter},
		{5 * repeatAfter, round{shop, q("a")}, 0},
	} {
		if got := r.reserve(now.Add(step.at), step.of, repeatAfter); got != step.want {
			t.Errorf("step %d: got %v, want %v", i, got, step.want)
		}
	}
	for i := range 2 * maxRounds {
		r.reserve(now, round{shop, q(fmt.Sprint("x", i))}, repeatAfter)
	}
	if n := r.next.Len(); n > maxRounds {
		t.Errorf("%d rounds are remembered", n)
	}
}
