package main

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

var anyServer = netip.MustParseAddrPort("192.0.2.1:53")

func query(id int) sentQuery { return sentQuery{server: anyServer, id: id} }

// TestPacerRate: queries to one address go at its rate, those to another are not kept.
func TestPacerRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(100)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		start := time.Now()
		var asking sync.WaitGroup
		for i := range 220 { // the first 20 have been saved up
			asking.Go(func() { p.pass(ctx, cancel, query(i)) })
		}
		p.pass(ctx, cancel, sentQuery{server: netip.MustParseAddrPort("192.0.2.2:53")})
		if took := time.Since(start); took != 0 {
			t.Errorf("another address: got a wait of %v, want none", took)
		}
		asking.Wait()
		if took := time.Since(start); took < 1900*time.Millisecond || took > 2*time.Second {
			t.Errorf("200 queries at 100 a second: got %v, want 2s", took)
		}
		if p.waits() != 0 {
			t.Errorf("got %d that wait at the end, want 0", p.waits())
		}
	})
}

// TestPacerSeen: a query that many questions wait for takes one turn.
func TestPacerSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1)
		now := time.Now()
		p.turn(now, query(1))
		for range 10 {
			if wait, ok := p.turn(now, query(1)); wait != 0 || !ok {
				t.Fatalf("the same query: got %v, %t, want no wait", wait, ok)
			}
		}
		if wait, _ := p.turn(now, query(2)); wait != time.Second-burst {
			t.Errorf("the next query: got a wait of %v, want %v", wait, time.Second-burst)
		}
	})
}

// TestPacerTooLate: a query whose turn is far away ends its question, and takes no turn.
func TestPacerTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(1)
		now := time.Now()
		for i := range 5 {
			p.turn(now, query(i))
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		p.pass(ctx, cancel, query(6))
		if context.Cause(ctx) != errRate {
			t.Errorf("got %v, want %v", context.Cause(ctx), errRate)
		}
		if wait, ok := p.turn(now.Add(2*time.Second), query(6)); !ok || wait > 3*time.Second {
			t.Errorf("later: got %v, %t, want a turn", wait, ok)
		}
	})
}

// TestPacerBackoff: silence and REFUSED halve the rate, good replies bring it back.
func TestPacerBackoff(t *testing.T) {
	silent := resolver.ResponseInfo{Server: anyServer, Err: context.DeadlineExceeded}
	refused := resolver.ResponseInfo{Server: anyServer, Message: []byte{0}, Rcode: dns.RcodeRefused}
	good := resolver.ResponseInfo{Server: anyServer, Message: []byte{0}}
	for name, bad := range map[string]resolver.ResponseInfo{"silent": silent, "refused": refused} {
		synctest.Test(t, func(t *testing.T) {
			p := newPacer(100)
			p.turn(time.Now(), query(0))
			rate := func() float64 { return p.at(anyServer.Addr()).rate }
			p.heard(bad)
			p.heard(bad) // of a query that was under way
			if rate() != 50 {
				t.Errorf("%s: got a rate of %v, want 50", name, rate())
			}
			for range 20 {
				time.Sleep(cutEvery)
				p.heard(bad)
			}
			if rate() != minServerRate {
				t.Errorf("%s again and again: got a rate of %v, want %v", name, rate(), minServerRate)
			}
			for range 100 {
				p.heard(good)
			}
			if rate() != 100 {
				t.Errorf("%s, then good: got a rate of %v, want 100", name, rate())
			}
		})
	}
}

func TestNoPacer(t *testing.T) {
	var p *pacer = newPacer(0)
	p.pass(t.Context(), nil, query(0))
	p.heard(resolver.ResponseInfo{})
	if p.waits() != 0 {
		t.Error("a pacer without a rate has something that waits")
	}
}
