package resolver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// askByMany has every name asked by so many clients at once, and returns how many of the
// answers were stale.
func (w *world) askByMany(names []string, clients int) (stale int) {
	w.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, name := range names {
		for range clients {
			all.Go(func() {
				result, err := w.r.Resolve(w.Context(), name, dns.TypeA)
				if err != nil {
					w.Errorf("%s: %v", name, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if result.Stale {
					stale++
				}
			})
		}
	}
	all.Wait()
	return stale
}

// staleNames are those of many.example., and the text of its zone.
func staleNames(n int) (names []string, zone string) {
	zone = "-- zone many.example. at 198.51.100.11 198.51.100.12 198.51.100.13 198.51.100.14 198.51.100.15 198.51.100.16 198.51.100.17 198.51.100.18 --\n$TTL 60\n"
	for i := range n {
		names = append(names, fmt.Sprintf("n%d.many.example.", i))
		zone += fmt.Sprintf("n%d A 192.0.2.80\n", i)
	}
	return names, zone
}

// However many clients get expired answers, the work behind them is one search for each
// question, and no more than a hundred in all; it ends by itself, and at once with Close.
func TestStaleRefreshesAreBounded(t *testing.T) {
	const patience = 50 * time.Millisecond // within which no server is given up
	impatient := func(o *resolver.Options) { o.StaleAfter = patience }
	for _, tt := range []struct {
		about          string
		names, clients int
		want           int // that go on in the background
		close          bool
	}{
		{"one question, many clients", 1, 200, 1, false},
		{"many questions", 150, 2, 100, false},
		{"closed meanwhile", 150, 2, 100, true},
	} {
		names, zone := staleNames(tt.names)
		inWorld(t, staleWorld, func(w *world) {
			w.update(zone)
			w.askByMany(names, 1)
			time.Sleep(2 * time.Minute)
			w.update("-- fault many.example. --\ndrop\n")
			start := time.Now()
			if got, want := w.askByMany(names, tt.clients), tt.names*tt.clients; got != want {
				t.Errorf("%s: got %d stale answers, want %d", tt.about, got, want)
			}
			if took := time.Since(start).Round(time.Millisecond); took != patience {
				t.Errorf("%s: took %v, want %v", tt.about, took, patience)
			}
			if s := w.r.Stats(); s.Refreshing != tt.want || s.InFlight != tt.want {
				t.Errorf("%s: %d questions go on, %d are in flight; want %d", tt.about, s.Refreshing, s.InFlight, tt.want)
			}
			if tt.close {
				closing := time.Now()
				w.r.Close()
				if took := time.Since(closing); took != 0 {
					t.Errorf("%s: Close took %v", tt.about, took)
				}
			}
			time.Sleep(time.Minute)
			if s := w.r.Stats(); s.Refreshing != 0 || s.InFlight != 0 {
				t.Errorf("%s: a minute later %d questions go on, %d are in flight; want none", tt.about, s.Refreshing, s.InFlight)
			}
		}, serveStale, minimiseOff, ipv4Only, impatient)
	}
}

// A client that goes away before it would get an expired answer ends its question, as ever.
func TestStaleRefreshEndsWithItsClient(t *testing.T) {
	inWorld(t, staleWorld, func(w *world) {
		w.ask("www.many.example.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		w.update("-- fault many.example. --\ndrop\n")
		ctx, cancel := context.WithCancel(w.Context())
		time.AfterFunc(500*time.Millisecond, cancel)
		if result, err := w.r.Resolve(ctx, "www.many.example.", dns.TypeA); err == nil {
			t.Errorf("got %v, want an error", result)
		}
		if s := w.r.Stats(); s.Refreshing != 0 || s.InFlight != 0 {
			t.Errorf("%d questions go on, %d are in flight; want none", s.Refreshing, s.InFlight)
		}
	}, serveStale, minimiseOff, ipv4Only)
}

// Each expired part of each answer is counted once, by whichever method it was asked for;
// checking whether there is one is not counted.
func TestStaleHitsAreCountedOnce(t *testing.T) {
	inWorld(t, staleWorld+"-- zone wild.example. at 198.51.100.5 signed nsec3 --\n$TTL 60\n* A 192.0.2.82\n", func(w *world) {
		for _, name := range []string{"www.shop.example.", "away.shop.example.", "none.shop.example.", "www.many.example.", "a.wild.example."} {
			w.ask(name, dns.TypeA)
		}
		time.Sleep(2 * time.Minute)
		hits := func(about string, want uint64, ask func()) {
			t.Helper()
			before := w.r.Stats().Cache.StaleHits
			ask()
			if got := w.r.Stats().Cache.StaleHits - before; got != want {
				t.Errorf("%s: counted %d stale hits, want %d", about, got, want)
			}
		}
		hits("an answer that is found", 0, func() { w.wantFresh("www.shop.example.", dns.TypeA) })
		time.Sleep(2 * time.Minute)
		w.update("-- fault 198.51.100.3 198.51.100.4 198.51.100.5 --\nrcode SERVFAIL\n-- fault many.example. --\ndrop\n")
		hits("after a failure", 1, func() { w.wantStale("www.shop.example.", dns.TypeA, staleAnswer, 0) })
		hits("not tried again", 1, func() { w.wantStale("www.shop.example.", dns.TypeA, staleAnswer, 0) })
		hits("a name that does not exist", 1, func() { w.wantStale("none.shop.example.", dns.TypeA, staleNXDOMAIN, 0) })
		hits("an alias and its end", 2, func() { w.wantStale("away.shop.example.", dns.TypeA, staleAnswer, 0) })
		hits("of a wildcard", 1, func() { w.ask("a.wild.example.", dns.TypeA) })
		hits("too slow", 1, func() { w.wantStale("www.many.example.", dns.TypeA, staleAnswer, 1800*time.Millisecond) })
	}, serveStale, minimiseOff, ipv4Only)
}
