package resolver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func TestStats(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 signed break=corrupt:bad/A --
www     A       192.0.2.80
bad     A       192.0.2.66
a       CNAME   b
b       CNAME   c
c       A       192.0.2.81
loop    CNAME   loop
`+"big     TXT     "+strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 8)+`
-- zone dead.example. at 198.51.100.4 --
www     A       192.0.2.80
-- fault 198.51.100.4 --
dead
`, func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		w.ask("www.shop.example.", dns.TypeA)
		w.ask("big.shop.example.", dns.TypeTXT) // over TCP
		w.wantError("www.dead.example.", dns.TypeA, resolver.ErrNoReachableServer)
		w.wantError("www.dead.example.", dns.TypeA, resolver.ErrCached)
		w.wantError("loop.shop.example.", dns.TypeA, resolver.ErrAliasLoop)
		if o := w.ask("bad.shop.example.", dns.TypeA); o.err == nil {
			t.Error("bad.shop.example.: want an error")
		}
		w.wantLimit("a.shop.example.", dns.TypeA, "Aliases")
		query := new(dns.Msg).SetQuestion("new.shop.example.", dns.TypeA)
		query.RecursionDesired = false
		if _, err := w.r.Exchange(w.Context(), query); err != nil {
			t.Error(err)
		}
		if _, err := w.r.LookupNetIP(w.Context(), "ip4", "www.shop.example"); err != nil {
			t.Error(err)
		}
		w.settle()
		s := w.r.Stats()
		for _, tt := range []struct {
			what      string
			got, want uint64
		}{
			{"questions", s.Questions, 10},
			{"from the cache", s.FromCache, 2},
			{"unreachable", s.Failures[resolver.FailureUnreachable], 1},
			{"cached failures", s.Failures[resolver.FailureCached], 1},
			{"loops", s.Failures[resolver.FailureLoop], 1},
			{"bogus questions", s.Failures[resolver.FailureBogus], 1},
			{"limited questions", s.Failures[resolver.FailureLimit], 1},
			{"not in the cache", s.Failures[resolver.FailureRefused], 1},
			{"alias limit", s.Limits["Aliases"], 1},
			{"limits in all", total(s.Limits), 1},
			{"bogus", s.Bogus["wrong signature"], total(s.Bogus)},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: %d, want %d", tt.what, tt.got, tt.want)
			}
		}
		// A server that was asked, lost or not, is one that something is known about.
		if s.SentUDP == 0 || s.SentTCP == 0 || total(s.Bogus) == 0 || s.TimedOut != 3 || s.Received == 0 || s.Servers < 4 || s.Cache.Entries == 0 || s.InFlight != 0 {
			t.Errorf("got %+v", s)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"shop", "dead", "198.51"} {
			if strings.Contains(string(text), word) {
				t.Errorf("Stats tell of %q: %s", word, text)
			}
		}
		for _, word := range []string{`"questions":10`, `"cache":{"entries":`, `"failures":{"bogus":1`, `"SendsPerServer":0`} {
			if !strings.Contains(string(text), word) {
				t.Errorf("no %s in %s", word, text)
			}
		}
	}, ipv4Only, func(o *resolver.Options) { o.Limits.Aliases = 2 })
}

func total(counts map[string]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// Every limit has a counter.
func TestStatsHaveEveryLimit(t *testing.T) {
	r, err := resolver.New(resolver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s := r.Stats()
	const boundsOfMessages = 4
	limits := reflect.TypeFor[resolver.Limits]()
	for field := range limits.Fields() {
		if _, ok := s.Limits[field.Name]; !ok {
			t.Errorf("Stats.Limits lacks %s", field.Name)
		}
	}
	if want := limits.NumField() + boundsOfMessages; len(s.Limits) != want {
		t.Errorf("Stats.Limits has %d limits, want %d", len(s.Limits), want)
	}
}

// Each limit is counted where it is reached.
func TestStatsCountLimits(t *testing.T) {
	slow := "-- zone shop.example. at 198.51.100.3 198.51.100.4 --\nwww A 192.0.2.80\n-- fault shop.example. --\nlatency 20s\n"
	for _, tt := range []struct {
		limit string
		world string
		set   func(*resolver.Limits)
	}{
		{"Sends", slow, func(l *resolver.Limits) { l.Sends = 3 }},
		{"Time", slow, func(l *resolver.Limits) { l.Time = 300 * time.Millisecond }},
		{"Bytes", "-- zone shop.example. at 198.51.100.3 --\nwww A 192.0.2.80\n", func(l *resolver.Limits) { l.Bytes = 100 }},
		{"Referrals", "-- zone shop.example. at 198.51.100.3 --\nwww A 192.0.2.80\n", func(l *resolver.Limits) { l.Referrals = 1 }},
		{"Records", "-- zone shop.example. at 198.51.100.3 --\nwww A 192.0.2.80\nwww A 192.0.2.81\n", func(l *resolver.Limits) { l.Records = 1 }},
		{"SignatureChecks", "-- zone shop.example. at 198.51.100.3 signed --\nwww A 192.0.2.80\n", func(l *resolver.Limits) { l.SignatureChecks = 1 }},
	} {
		t.Run(tt.limit, func(t *testing.T) {
			inWorld(t, tt.world, func(w *world) {
				o := w.wantLimit("www.shop.example.", dns.TypeA, tt.limit)
				w.settle()
				if got := w.r.Stats().Limits[tt.limit]; got == 0 {
					t.Errorf("Stats.Limits[%q] = 0 after %v", tt.limit, o)
				}
			}, ipv4Only, minimiseOff, func(o *resolver.Options) { tt.set(&o.Limits) })
		})
	}
}

// What a reply has more of than is kept is counted, once a reply; the question goes on with
// the rest. Replies of honest zones are not counted.
func TestStatsCountWhatIsLeftOut(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format+"\n", i+1)
		}
		return b.String()
	}
	shop := "-- zone shop.example. at 198.51.100.3 signed --\nwww A 192.0.2.80\n"
	fault := func(records string) string { return shop + "-- fault 198.51.100.3 --\n" + records }
	delegation := func(servers, addresses int) string {
		return "-- zone example. at 198.51.100.2 --\nshop NS ns.shop\nns.shop A 198.51.100.3\n" +
			many(servers-1, "shop NS ns%d.shop") + many(addresses-1, "ns.shop A 198.51.100.1%d") +
			"-- zone shop.example. at 198.51.100.3 undelegated --\nwww A 192.0.2.80\n"
	}
	for _, tt := range []struct {
		what  resolver.Excess // "": nothing
		world string
		ask   string
		qtype uint16
	}{
		{"", delegation(13, 6), "www.shop.example.", dns.TypeA},
		{resolver.ExcessServers, delegation(14, 6), "www.shop.example.", dns.TypeA},
		{resolver.ExcessGlue, delegation(13, 7), "www.shop.example.", dns.TypeA},
		{"", shop, "www.shop.example.", dns.TypeA},
		{"", shop, "none.shop.example.", dns.TypeA},
		{resolver.ExcessSignatures, fault(many(17, "when name www.shop.example. type A: add answer www.shop.example. 300 IN RRSIG A 200 3 300 20300101000000 20200101000000 %d shop.example. AAAA")), "www.shop.example.", dns.TypeA},
		{resolver.ExcessDenials, fault(many(11, "when name none.shop.example.: add authority n%[1]d.shop.example. 300 IN NSEC n%[1]d0.shop.example. A")), "none.shop.example.", dns.TypeA},
		{resolver.ExcessTypes, shop + many(25, "www TYPE650%02d \\# 1 00"), "www.shop.example.", dns.TypeANY},
		{resolver.ExcessAliases, chain("shop.example.", 13), "n1.shop.example.", dns.TypeA},
		{resolver.ExcessRecords, fault(many(257, "when name none.shop.example.: add authority n.shop.example. 300 IN NSEC n%d.shop.example. A")), "none.shop.example.", dns.TypeA},
	} {
		t.Run(string(tt.what)+" "+tt.ask, func(t *testing.T) {
			inWorld(t, tt.world, func(w *world) {
				o := w.ask(tt.ask, tt.qtype)
				w.settle()
				left := w.r.Stats().LeftOut
				for what, n := range left {
					if (n > 0) != (what == tt.what) {
						t.Errorf("%s: counted %d, want any: %v; %v", what, n, what == tt.what, o)
					}
				}
				if _, known := left[tt.what]; !known && tt.what != "" {
					t.Errorf("Stats.LeftOut lacks %s", tt.what)
				}
			}, ipv4Only, minimiseOff)
		})
	}
}

// Questions that wait, and those that are being worked on, are counted as long as they do.
func TestStatsNow(t *testing.T) {
	inWorld(t, "-- zone shop.example. at 198.51.100.3 --\n*.w A 192.0.2.80\n-- fault 198.51.100.3 --\nlatency 3s\n", func(w *world) {
		w.in.ResetLog()
		for _, name := range []string{"a.w.shop.example.", "b.w.shop.example."} {
			go served(w.r, overTCP, new(dns.Msg).SetQuestion(name, dns.TypeA))
			synctest.Wait()
		}
		if s := w.r.Stats(); s.InFlight != 2 || s.Queued != 1 {
			t.Errorf("%d in flight or waiting, %d of them queued; want 2, 1", s.InFlight, s.Queued)
		}
		w.settle()
		s := w.r.Stats()
		if s.InFlight != 0 || s.Queued != 0 || s.Limits["Questions"] != 1 || s.Failures[resolver.FailureLimit] != 1 {
			t.Errorf("got %+v; want nothing under way, and one turned away", s)
		}
	}, ipv4Only, func(o *resolver.Options) { o.Limits.Questions = 1 })
}

// A caller that gives up is counted as that, and not as a fault of the servers.
func TestStatsCountCallersWhoLeave(t *testing.T) {
	inWorld(t, "-- zone shop.example. at 198.51.100.3 --\nwww A 192.0.2.80\n-- fault 198.51.100.3 --\nlatency 500ms\n", func(w *world) {
		ctx, cancel := context.WithTimeout(w.Context(), 100*time.Millisecond)
		defer cancel()
		w.askWith(ctx, "www.shop.example.", dns.TypeA)
		ctx, cancel = context.WithCancel(w.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if o := w.askWith(ctx, "www.shop.example.", dns.TypeA); !errors.Is(o.err, context.Canceled) {
			t.Errorf("got %v, want that it was cancelled", o)
		}
		s := w.r.Stats()
		if s.Failures[resolver.FailureTimeout] != 1 || s.Failures[resolver.FailureCanceled] != 1 {
			t.Errorf("got failures %v, want a timeout and a cancellation", s.Failures)
		}
	})
}

// The counts of the second level are included.
func TestStatsHaveTheSecondLevel(t *testing.T) {
	fleet(t, sharedWorld, func(w *world, s *store) {
		w.ask("www.shop.example.", dns.TypeA)
		synctest.Wait()
		other := w.replica(secondLevelUse(s), ipv4Only)
		other.ask("www.shop.example.", dns.TypeA)
		wrote, read := w.r.Stats().SecondLevel, other.r.Stats().SecondLevel
		if wrote != w.r.SecondLevelStats() || wrote.Writes == 0 || wrote.Misses == 0 || read != other.r.SecondLevelStats() || read.Hits == 0 {
			t.Errorf("got %+v and %+v, want writes and hits as in SecondLevelStats", wrote, read)
		}
		text, err := json.Marshal(other.r.Stats())
		if want := fmt.Sprintf(`"second_level":{"hits":%d,`, read.Hits); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("got %s, %v, want %s in it", text, err, want)
		}
	})
}

// Queries that never left this host are not counted as sent, nor are attempts to connect.
func TestStatsSent(t *testing.T) {
	for _, test := range []struct {
		faults string
		tcp    uint64
	}{
		{"", 0},
		{"unreachable", 0},
		{"drop", 0},
		{"when udp: truncate", 1},
		{"when udp: truncate\nwhen tcp: refuse", 0},
		{"when udp: truncate\nwhen tcp: dead", 0},
		{"when udp: truncate\nwhen tcp: drop", 1},
		{"when udp: truncate\nwhen tcp: unreachable", 0},
	} {
		t.Run(test.faults, func(t *testing.T) {
			inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\n"+test.faults+"\n", func(w *world) {
				w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA)
				w.settle()
				left := func(q resolvertest.Query) bool { return !q.Unconnected }
				want := uint64(w.in.Count(left, resolvertest.Over("udp")))
				if s := w.r.Stats(); s.SentUDP != want || s.SentTCP != test.tcp {
					w.Errorf("got %d over UDP and %d over TCP, want %d and %d", s.SentUDP, s.SentTCP, want, test.tcp)
				}
			}, ipv4Only)
		})
	}
}

// TestWalkServers: what the servers of a world have shown of themselves.
func TestWalkServers(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 --
www     A       192.0.2.80
-- zone dead.example. at 198.51.100.4 --
www     A       192.0.2.80
-- zone old.example. at 198.51.100.5 --
www     A       192.0.2.81
-- fault 198.51.100.3 --
latency 30ms
cookies
-- fault 198.51.100.4 --
dead
-- fault 198.51.100.5 --
no-edns formerr
`, func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		w.ask("www.old.example.", dns.TypeA)
		w.wantError("www.dead.example.", dns.TypeA, resolver.ErrNoReachableServer)
		w.settle()
		known := make(map[string]resolver.KnownServer)
		w.r.WalkServers(func(k resolver.KnownServer) bool {
			known[k.Addr.Addr().String()] = k
			return true
		})
		if len(known) != w.r.Stats().Servers {
			t.Errorf("got %d servers, want %d as Stats says", len(known), w.r.Stats().Servers)
		}
		if k := known["198.51.100.3"]; k.RTT != 30*time.Millisecond || !k.EDNS || !k.Cookies || k.Down || k.Measured.IsZero() {
			t.Errorf("got %+v, want 30 ms, EDNS and cookies", k)
		}
		if k := known["198.51.100.4"]; !k.Down || k.Timeouts < 3 || k.RTT != 0 || !k.DownTill.After(w.r.Options().Now().Add(-time.Minute)) {
			t.Errorf("got %+v, want it marked down", k)
		}
		if k := known["198.51.100.5"]; k.EDNS || k.RTT == 0 || k.Cookies {
			t.Errorf("got %+v, want no EDNS", k)
		}
		shown := 0
		w.r.WalkServers(func(resolver.KnownServer) bool { shown++; return false })
		if shown != 1 {
			t.Errorf("got %d servers after false, want 1", shown)
		}
	})
}

// TestOptionsAsTheyApply: the cache is the one that the resolver made, the clock the one given.
func TestOptionsAsTheyApply(t *testing.T) {
	in := resolvertest.New(t, "-- zone shop.example. --\nwww A 192.0.2.80\n")
	r := in.Resolver(t)
	if _, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil {
		t.Fatal(err)
	}
	o := r.Options()
	if o.Cache == nil || o.Cache.Len() == 0 || o.Now == nil || o.SignatureTime == nil || o.RootHints != in.Options().RootHints && len(o.RootHints.Servers) == 0 {
		t.Errorf("got %+v, want it filled", o)
	}
	if o.Port != 53 || o.MaxStale != resolver.DefaultMaxStale {
		t.Errorf("got port %d and MaxStale %v, want the defaults", o.Port, o.MaxStale)
	}
}
