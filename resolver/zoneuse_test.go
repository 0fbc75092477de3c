package resolver_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const shopZone = "\n-- zone example. at 198.51.100.1 --\n-- zone shop.example. at 198.51.100.3 --\ntxt TXT token\n"

// TestAskServersGivenUp: callers that give up before their turn take no turn from those behind them.
func TestAskServersGivenUp(t *testing.T) {
	inWorld(t, shopZone, func(w *world) {
		z := w.zoneOf("shop.example", resolver.FindZoneOptions{})
		w.askServers(z, "txt.shop.example", dns.TypeTXT)
		for range 60 {
			ctx, cancel := context.WithTimeout(w.Context(), 10*time.Millisecond)
			if _, err := w.r.AskServers(ctx, z, "txt.shop.example", dns.TypeTXT); !errors.Is(err, context.DeadlineExceeded) {
				w.Errorf("before its turn: %v", err)
			}
			cancel()
		}
		begun := time.Now()
		if w.askServers(z, "txt.shop.example", dns.TypeTXT); time.Since(begun) > time.Second {
			w.Errorf("the next caller waits for %v", time.Since(begun))
		}
		w.wantNobodyWorking()
	})
}

// TestWaitForClosed: Close ends a wait at once, also between two rounds.
func TestWaitForClosed(t *testing.T) {
	inWorld(t, shopZone, func(w *world) {
		z, begun := w.zoneOf("shop.example", resolver.FindZoneOptions{}), time.Now()
		time.AfterFunc(3*time.Second, func() { w.r.Close() })
		answers, err := w.r.WaitFor(w.Context(), z, "x.shop.example", dns.TypeTXT, func(*resolver.ServerAnswers) bool { return false })
		if !errors.Is(err, resolver.ErrClosed) || answers == nil || time.Since(begun) != 3*time.Second {
			w.Errorf("got %v, %v after %v", answers, err, time.Since(begun))
		}
	})
}

// TestWaitForCallback: what the callback does to the context, or a panic of it, ends the wait and
// nothing else.
func TestWaitForCallback(t *testing.T) {
	inWorld(t, shopZone, func(w *world) {
		z := w.zoneOf("shop.example", resolver.FindZoneOptions{})
		ctx, cancel := context.WithCancel(w.Context())
		answers, err := w.r.WaitFor(ctx, z, "txt.shop.example", dns.TypeTXT, func(*resolver.ServerAnswers) bool { cancel(); return false })
		if answers == nil || !errors.Is(err, context.Canceled) {
			w.Errorf("cancelled: %v, %v", answers, err)
		}
		if answers, err = w.r.WaitFor(ctx, z, "txt.shop.example", dns.TypeTXT, nil); answers != nil || !errors.Is(err, context.Canceled) {
			w.Errorf("ended before: %v, %v", answers, err)
		}
		func() {
			defer func() {
				if recover() != "of the callback" {
					w.Error("the panic is lost")
				}
			}()
			w.r.WaitFor(w.Context(), z, "txt.shop.example", dns.TypeTXT, func(*resolver.ServerAnswers) bool { panic("of the callback") })
		}()
		w.wantNobodyWorking()
		w.in.ResetLog()
		if answers, err = w.r.WaitFor(w.Context(), z, "txt.shop.example", dns.TypeTXT, func(*resolver.ServerAnswers) bool { return true }); answers == nil || err != nil {
			w.Errorf("afterwards: %v, %v", answers, err)
		}
		w.count(1, resolvertest.Type(dns.TypeTXT))
	}, ipv4Only)
}
