package recipes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const clockWorld = `
-- zone shop.example. signed --
www    A  192.0.2.80
-- zone a.example. signed --
time   A  192.0.2.1
-- zone b.example. signed --
time   A  192.0.2.2
time   A  192.0.2.3
-- zone c.example. signed --
time   A  192.0.2.4
-- zone bogus.example. signed break=corrupt --
time   A  192.0.2.5
`

const day = 24 * time.Hour

// board is a host whose clock says 2000, while its Internet has the time of a quarter of a century later.
type board struct {
	*testing.T
	in          *resolvertest.Internet
	clock       *Clock
	r           *resolver.Resolver
	unvalidated *resolver.Resolver
	says        map[string]time.Duration // of time servers, by address: how far they are off
	silent      map[string]bool
}

// onBoard plays on a board with a program that was built some time ago.
func onBoard(t *testing.T, age time.Duration, play func(*board)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "")
		in.Advance(25 * 365 * day)
		if err := in.Update(clockWorld); err != nil { // signed now
			t.Fatal(err)
		}
		b := &board{T: t, in: in, clock: NewClock(in.Now().Add(-age)), says: map[string]time.Duration{}, silent: map[string]bool{}}
		b.r = in.Resolver(t, func(o *resolver.Options) { o.SignatureTime = b.clock.Time })
		b.unvalidated = in.Resolver(t, func(o *resolver.Options) { o.Validation = resolver.ValidateOff })
		play(b)
	})
}

// ask is a time server at each address of 192.0.2.0/24.
func (b *board) ask(ctx context.Context, addr netip.Addr) (time.Time, error) {
	if b.silent[addr.String()] {
		<-ctx.Done()
		return time.Time{}, ctx.Err()
	}
	time.Sleep(30 * time.Millisecond)
	return b.in.Now().Add(b.says[addr.String()]), nil
}

func (b *board) set(servers ...string) error {
	return b.clock.Set(b.Context(), b.r, b.unvalidated, b.ask, servers...)
}

// wantTime wants the board to have the time, and to validate by it.
func (b *board) wantTime() {
	b.Helper()
	if off := b.clock.Time().Sub(b.in.Now()).Abs(); off > timesAgree {
		b.Errorf("the clock is wrong by %v", off)
	}
	b.wantSecure()
}

func (b *board) wantSecure() {
	b.Helper()
	if result, err := b.r.Resolve(b.Context(), "www.shop.example.", dns.TypeA); err != nil || result.Status != dnssec.Secure {
		b.Errorf("got %v, %v, want a secure answer", result, err)
	}
}

// wantNoTime wants that the board neither has the time nor answers without validating.
func (b *board) wantNoTime() {
	b.Helper()
	if off := b.clock.Time().Sub(b.in.Now()); off > -day {
		b.Errorf("the clock is wrong by %v, want it slow", off)
	}
	if result, err := b.r.Resolve(b.Context(), "www.shop.example.", dns.TypeA); !errors.Is(err, resolver.ErrClock) {
		b.Errorf("got %v, %v, want that the clock is wrong", result, err)
	}
}

const timeA, timeB, timeC, timeBogus = "time.a.example.", "time.b.example.", "time.c.example.", "time.bogus.example."

// The time comes from servers whose names cannot be validated yet, and all names are validated then.
func TestClock(t *testing.T) {
	onBoard(t, 100*day, func(b *board) {
		time.Sleep(time.Hour) // the program runs before there is a network
		b.wantNoTime()
		if err := b.set(timeA, timeB, timeC); err != nil {
			b.Fatal(err)
		}
		b.wantTime() // at once: the failure is not remembered
		time.Sleep(20 * day)
		b.wantTime()
	})
	onBoard(t, 11*time.Hour, func(b *board) { // 10 hours before the signatures: the clock is not blamed
		if _, err := b.r.Resolve(b.Context(), "www.shop.example.", dns.TypeA); resolver.Reason(err) != resolver.FailureBogus {
			b.Errorf("got %v, want bogus", err)
		}
		if err := b.set(timeA, timeB, timeC); err != nil {
			b.Fatal(err)
		}
		b.wantTime()
	})
	onBoard(t, 30*time.Minute, func(b *board) { b.wantSecure() }) // a new build needs no time server
}

// One server may lie, or say nothing: the others decide.
func TestClockOneLiar(t *testing.T) {
	for _, lie := range []time.Duration{-200 * day, -50 * day, -time.Minute, time.Minute, 10 * 365 * day} {
		onBoard(t, 100*day, func(b *board) {
			b.says["192.0.2.1"] = lie
			if err := b.set(timeA, timeB, timeC); err != nil {
				b.Fatal(err)
			}
			b.wantTime()
		})
	}
	onBoard(t, 100*day, func(b *board) {
		b.silent["192.0.2.4"] = true
		begin := time.Now()
		if err := b.set(timeA, timeB, timeC); err != nil || time.Since(begin) < timeServerWithin || time.Since(begin) > 2*timeServerWithin {
			b.Errorf("after %v: got %v", time.Since(begin), err)
		}
		b.wantTime()
	})
}

// Times that no majority agrees on, or that cannot be, change nothing.
func TestClockRefuses(t *testing.T) {
	for _, c := range []struct {
		about   string
		a, b, c time.Duration
		says    string
	}{
		{"three times", 0, time.Minute, 2 * time.Minute, "no 2 of 3 time servers agree"},
		{"before the build", -101 * day, -101 * day, -101 * day, "before the build"},
		{"when the root's signatures have expired", 90 * day, 90 * day, 90 * day, "the time servers say that it is"},
	} {
		t.Run(c.about, func(t *testing.T) {
			onBoard(t, 100*day, func(b *board) {
				b.says["192.0.2.1"], b.says["192.0.2.2"], b.says["192.0.2.3"], b.says["192.0.2.4"] = c.a, c.b, c.b, c.c
				if err := b.set(timeA, timeB, timeC); err == nil || !strings.Contains(err.Error(), c.says) {
					b.Errorf("got %v, want %q", err, c.says)
				}
				b.wantNoTime()
				clear(b.says)
				if err := b.set(timeA, timeB, timeC); err != nil {
					b.Error(err)
				}
				b.wantTime()
			})
		})
	}
	onBoard(t, 100*day, func(b *board) {
		if err := b.set(); err == nil {
			b.Error("no servers: got no error")
		}
		if err := b.set(timeA, "none.a.example.", "none.b.example."); err == nil || !strings.Contains(err.Error(), "none.b.example.") {
			b.Errorf("two names that are not there: got %v", err)
		}
		b.wantNoTime()
	})
}

// Names of time servers that are bogus when the time is known are not used. An old time is not believed
// either: signatures from the future show that it is.
func TestClockValidatesWhenItCan(t *testing.T) {
	onBoard(t, 100*day, func(b *board) {
		if err := b.set(timeBogus); err != nil {
			b.Fatal(err)
		}
		b.wantTime()
		time.Sleep(time.Hour)
		if err := b.set(timeBogus); resolver.Reason(err) != resolver.FailureBogus {
			b.Errorf("with the time known: got %v, want bogus", err)
		}
		before := b.unvalidated.Stats().Questions
		if err := b.set(timeA, timeB, timeC); err != nil {
			b.Error(err)
		}
		if n := b.unvalidated.Stats().Questions - before; before == 0 || n > 0 {
			b.Errorf("%d questions were asked without validation before the time was known, and %d after that; want some, and none", before, n)
		}
	})
	onBoard(t, 100*day, func(b *board) {
		for _, addr := range []int{1, 2, 3, 4} {
			b.says[fmt.Sprintf("192.0.2.%d", addr)] = -50 * day
		}
		if err := b.set(timeA, timeB, timeC); err == nil {
			b.Error("got no error")
		}
		b.wantNoTime()
	})
}
