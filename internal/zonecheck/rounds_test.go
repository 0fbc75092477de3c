package zonecheck

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
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
// the next one wait for longer, unless it gives up. Others do not wait for them.
func TestRounds(t *testing.T) {
	shop, other := dnsname.MustParse("shop.example."), dnsname.MustParse("other.example.")
	q := func(label string) answer.Question {
		return answer.Question{Name: dnsname.MustParse(label + ".example."), Type: 16}
	}
	for _, c := range []struct {
		what string
		do   []round
		give int // how many give up at once, before the last
		want time.Duration
	}{
		{what: "the first", do: []round{{shop, q("a")}}},
		{what: "another question", do: []round{{shop, q("a")}, {shop, q("b")}}, want: zoneEvery},
		{what: "another zone", do: []round{{shop, q("a")}, {other, q("a")}}},
		{what: "the same", do: []round{{shop, q("a")}, {shop, q("a")}}, want: repeatAfter},
		{what: "the third", do: []round{{shop, q("a")}, {shop, q("a")}, {shop, q("a")}}, want: 2 * repeatAfter},
		{what: "many gave up", do: []round{{shop, q("a")}, {shop, q("a")}}, give: 100, want: repeatAfter},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRounds()
				ended, cancel := context.WithCancel(t.Context())
				cancel()
				begun := time.Now()
				last := len(c.do) - 1
				for _, one := range c.do[:last] {
					go r.wait(t.Context(), one.zone, one.q)
					synctest.Wait()
				}
				for range c.give {
					if err := r.wait(ended, c.do[last].zone, c.do[last].q); err == nil {
						t.Error("a turn before the time")
					}
				}
				if err := r.wait(t.Context(), c.do[last].zone, c.do[last].q); err != nil || time.Since(begun) != c.want {
					t.Errorf("got %v after %v, want %v", err, time.Since(begun), c.want)
				}
			})
		})
	}
	r := newRounds()
	for i := range 2 * maxRounds {
		r.of(round{shop, q(fmt.Sprint("x", i))})
	}
	if n := r.turns.Len(); n > maxRounds {
		t.Errorf("%d rounds are remembered", n)
	}
}
