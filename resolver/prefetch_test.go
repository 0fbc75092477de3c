package resolver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const prefetchWorld = `
-- zone shop.example. at 198.51.100.3 --
$TTL 300
@       SOA     ns hostmaster 1 3600 600 86400 300
www     A       192.0.2.80
alias   CNAME   www
other   A       192.0.2.81
short   20 A    192.0.2.82
`

// every asks for a name once in each interval, times times, and returns how often the
// answer was not in the cache.
func (w *world) every(interval time.Duration, times int, name string, qtype uint16) (misses int) {
	w.Helper()
	for range times {
		result, err := w.r.Resolve(w.Context(), name, qtype)
		if err != nil {
			w.Fatalf("%s: %v", name, err)
		}
		if !result.FromCache {
			misses++
		}
		time.Sleep(interval)
	}
	return misses
}

// A name that is always in use is fetched again in the last tenth of its life: no client
// waits after the first time, and it costs no more than a query in nine tenths of a TTL.
// The target of an alias and a denial are no different.
func TestPrefetch(t *testing.T) {
	for _, tt := range []struct {
		name  string
		qtype uint16
		ttl   int // seconds
	}{
		{"www.shop.example.", dns.TypeA, 300},
		{"alias.shop.example.", dns.TypeA, 300},
		{"www.shop.example.", dns.TypeAAAA, 300},
		{"missing.shop.example.", dns.TypeA, 300},
		{"short.shop.example.", dns.TypeA, 20}, // more often than claims last
	} {
		t.Run(tt.name+dns.TypeToString[tt.qtype], func(t *testing.T) {
			inWorld(t, prefetchWorld, func(w *world) {
				w.ask(tt.name, tt.qtype)
				w.settle()
				w.in.ResetLog()
				const hour = 3600
				if misses := w.every(time.Second, hour, tt.name, tt.qtype); misses != 0 {
					t.Errorf("%d of %d questions were not answered from the cache", misses, hour)
				}
				// An alias and its target each have a life of their own.
				got, lives := w.in.Count(resolvertest.To("198.51.100.3")), hour/(tt.ttl*9/10)
				if got < hour/tt.ttl || got > 2*(lives+1) {
					t.Errorf("%d queries in an hour, want %d to %d", got, hour/tt.ttl, 2*(lives+1))
				}
				if s := w.r.Stats(); s.Prefetched == 0 || s.PrefetchFailed != 0 || s.Prefetching != 0 {
					t.Errorf("Stats: prefetched %d, failed %d, under way %d", s.Prefetched, s.PrefetchFailed, s.Prefetching)
				}
			}, minimiseOff)
		})
	}
}

// A name that is asked for once, or not in the last tenth of its life, is not fetched.
func TestPrefetchLeavesUnusedAlone(t *testing.T) {
	for _, tt := range []struct {
		about string
		at    []int // seconds after the first question
		want  int
	}{
		{"once", nil, 0},
		{"once more at the end", []int{299}, 0},
		{"often, but not at the end", []int{1, 2, 3, 200, 269}, 0},
		{"often, and at the end", []int{1, 2, 3, 271}, 1},
		{"often, and at the end at once", []int{1, 2, 280, 280, 280, 280}, 1},
	} {
		inWorld(t, prefetchWorld, func(w *world) {
			w.ask("www.shop.example.", dns.TypeA)
			w.in.ResetLog()
			start := time.Now()
			for _, at := range tt.at {
				time.Sleep(time.Until(start.Add(time.Duration(at) * time.Second)))
				if _, err := w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Hour)
			if got := w.in.Count(resolvertest.Name("www.shop.example.")); got != tt.want {
				t.Errorf("%s: %d queries, want %d", tt.about, got, tt.want)
			}
		}, minimiseOff)
	}
}

// Data that was not validated gains nothing by being asked for, and nothing is fetched
// when that is turned off.
func TestPrefetchNot(t *testing.T) {
	for _, tt := range []struct {
		about string
		off   bool
		cd    bool
	}{{"turned off", true, false}, {"CD", false, true}} {
		inWorld(t, prefetchWorld, func(w *world) {
			query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
			query.CheckingDisabled = tt.cd
			for range 300 {
				if _, err := w.r.Exchange(w.Context(), query); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second - time.Millisecond)
			}
			if got := w.in.Count(resolvertest.To("198.51.100.3")); got != 1 {
				t.Errorf("%s: %d queries, want 1", tt.about, got)
			}
		}, minimiseOff, func(o *resolver.Options) { o.DisablePrefetch = tt.off })
	}
}

// When the servers do not answer a prefetch, the next try is half a minute away, and the
// cached data is returned until it expires.
func TestPrefetchFails(t *testing.T) {
	inWorld(t, prefetchWorld, func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		w.every(time.Second, 250, "www.shop.example.", dns.TypeA)
		if err := w.in.Update("-- fault 198.51.100.3 --\nrcode SERVFAIL\n"); err != nil {
			t.Fatal(err)
		}
		w.in.ResetLog()
		if misses := w.every(time.Second, 49, "www.shop.example.", dns.TypeA); misses != 0 {
			t.Errorf("%d questions were not answered from the cache", misses)
		}
		w.count(1, resolvertest.Name("www.shop.example."))
		if got := w.r.Stats().PrefetchFailed; got != 1 {
			t.Errorf("Stats.PrefetchFailed = %d, want 1", got)
		}
	}, minimiseOff, ipv4Only)
}

// However many names are about to expire, a hundred are fetched at a time.
func TestPrefetchBounded(t *testing.T) {
	const names, bound = 10_000, 100
	var zone strings.Builder
	zone.WriteString("-- zone shop.example. at 198.51.100.3 --\n$TTL 300\n")
	for i := range names {
		fmt.Fprintf(&zone, "n%d A 192.0.2.80\n", i)
	}
	inWorld(t, zone.String(), func(w *world) {
		askAll := func() {
			t.Helper()
			for i := range names {
				if _, err := w.r.Resolve(w.Context(), fmt.Sprintf("n%d.shop.example.", i), dns.TypeA); err != nil {
					t.Fatal(err)
				}
			}
		}
		askAll()
		start := time.Now() // after the answers have come
		askAll()
		askAll()
		if err := w.in.Update("-- fault 198.51.100.3 --\nlatency 100ms\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(start.Add(299 * time.Second)))
		w.in.ResetLog()
		askAll()
		synctest.Wait()
		if got := w.r.Stats(); got.Prefetching != bound || got.PrefetchDropped == 0 || got.InFlight != bound {
			t.Errorf("%d prefetches under way, %d in flight, %d dropped; want %d, %[4]d, some",
				got.Prefetching, got.InFlight, got.PrefetchDropped, bound)
		}
		w.count(bound, resolvertest.To("198.51.100.3"))
		if err := w.r.Close(); err != nil { // and they end with it
			t.Error(err)
		}
		if got := w.r.Stats().Prefetching; got != 0 {
			t.Errorf("%d prefetches under way after Close", got)
		}
	}, minimiseOff, ipv4Only)
}

// A prefetch does not take the place of a question that is being worked on.
func TestPrefetchGivesWay(t *testing.T) {
	inWorld(t, prefetchWorld+`
-- zone slow.example. at 198.51.100.4 --
www A 192.0.2.80
-- fault 198.51.100.4 --
latency 5s
`, func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		w.every(time.Second, 260, "www.shop.example.", dns.TypeA)
		time.Sleep(15 * time.Second)
		before := w.r.Stats()
		go w.r.Resolve(w.Context(), "www.slow.example.", dns.TypeA)
		synctest.Wait()
		w.every(time.Second, 2, "www.shop.example.", dns.TypeA)
		after := w.r.Stats()
		if after.Prefetched != before.Prefetched || after.PrefetchDropped == before.PrefetchDropped {
			t.Errorf("prefetched %d, %d dropped while the only place was taken; want 0, some",
				after.Prefetched-before.Prefetched, after.PrefetchDropped-before.PrefetchDropped)
		}
		w.settle()
	}, minimiseOff, func(o *resolver.Options) { o.Limits.Questions = 1 })
}

// A prefetch does not read the second level, which has the same old data as the cache, and
// writes the new data there.
func TestPrefetchPassesTheSecondLevel(t *testing.T) {
	for about, signed := range map[string]string{"unsigned": "", "signed": " signed"} {
		old := strings.Replace(prefetchWorld, "198.51.100.3 --", "198.51.100.3"+signed+" --", 1)
		fleet(t, old, func(w *world, s *store) {
			w.ask("www.shop.example.", dns.TypeA)
			w.update(strings.Replace(old, "192.0.2.80", "192.0.2.99", 1))
			w.every(time.Second, 269, "www.shop.example.", dns.TypeA)
			s.counts()
			w.every(time.Second, 11, "www.shop.example.", dns.TypeA)
			synctest.Wait()
			if got := w.r.Stats().Prefetched; got != 1 {
				t.Errorf("%s: %d prefetches, want 1", about, got)
			}
			if gets, sets := s.counts(); gets != 0 || sets == 0 {
				t.Errorf("%s: the prefetch made %d reads and %d writes, want none and some", about, gets, sets)
			}
			const renewed = "www.shop.example. A 192.0.2.99"
			for which, w := range map[string]*world{"the prefetcher": w, "another": w.replica(secondLevelUse(s), ipv4Only, minimiseOff)} {
				o := w.ask("www.shop.example.", dns.TypeA)
				if o.err != nil {
					t.Fatalf("%s: %s: %v", about, which, o.err)
				}
				o.Answer = noSignatures(o.Answer)
				o.check(w, "www.shop.example.", 0, renewed)
				if o.sends != 0 {
					t.Errorf("%s: %s: %d queries, want none", about, which, o.sends)
				}
			}
		}, minimiseOff)
	}
}

// Queries without RD have nothing fetched, in whatever way they are answered.
func TestPrefetchNotWithoutRD(t *testing.T) {
	for about, ask := range map[string]func(w *world, query *dns.Msg) error{
		"Exchange": func(w *world, query *dns.Msg) error {
			m, err := w.r.Exchange(w.Context(), query)
			if err == nil && m.Rcode != dns.RcodeSuccess {
				err = fmt.Errorf("got %v", m)
			}
			return err
		},
		"AppendHit": func(w *world, query *dns.Msg) error {
			if _, ok := w.r.AppendHit(nil, packed(w, query), 0); !ok {
				return errors.New("no hit")
			}
			return nil
		},
	} {
		for _, rd := range []bool{false, true} {
			inWorld(t, prefetchWorld, func(w *world) {
				w.ask("www.shop.example.", dns.TypeA)
				w.settle()
				w.in.ResetLog()
				query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
				query.RecursionDesired = rd
				for range 280 {
					if err := ask(w, query); err != nil {
						t.Fatalf("%s, RD %t: %v", about, rd, err)
					}
					time.Sleep(time.Second)
				}
				if got := w.in.Count(notPriming) > 0; got != rd {
					t.Errorf("%s, RD %t: asked for again: %t, want %t", about, rd, got, rd)
				}
			}, minimiseOff, ipv4Only)
		}
	}
}
