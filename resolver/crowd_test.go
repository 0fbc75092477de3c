package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// crowdWorld has a shop, and zones whose servers are silent.
const crowdWorld = `
-- zone shop.example. at 198.51.100.3 --
*.cold  A  192.0.2.80
*.big   A  192.0.2.81
-- zone s1.example. at 198.51.100.11 --
-- zone s2.example. at 198.51.100.12 --
-- zone s3.example. at 198.51.100.13 --
-- zone s4.example. at 198.51.100.14 --
-- fault 198.51.100.3 --
latency 20ms
-- fault s1.example. --
drop
-- fault s2.example. --
drop
-- fault s3.example. --
drop
-- fault s4.example. --
drop
`

// crowd asks for many names at once, and returns their errors when all have ended.
func (w *world) crowd(n int, name func(i int) string) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { _, errs[i] = w.r.Resolve(w.Context(), name(i), dns.TypeA) })
	}
	all.Wait()
	return errs
}

// limited counts the errors that name a limit.
func limited(errs []error, name string) (n int) {
	for _, err := range errs {
		var limit *resolver.LimitError
		if errors.As(err, &limit) && limit.Limit == name {
			n++
		}
	}
	return n
}

// TestCrowdAtDeadServer: a question that waits for a server that others find silent does
// not ask it, and no more than a quarter of all questions wait to see whether it is up
// again; all others fail at once.
func TestCrowdAtDeadServer(t *testing.T) {
	const crowd, questions = 600, 400
	inWorld(t, crowdWorld, func(w *world) {
		w.ask("n0.cold.shop.example.", dns.TypeA)
		w.in.ResetLog()
		start := time.Now()
		errs := w.crowd(crowd, func(i int) string { return fmt.Sprintf("x%d.s1.example.", i) })
		took := time.Since(start)
		for i, err := range errs {
			if !errors.Is(err, resolver.ErrNoReachableServer) {
				w.Errorf("question %d: got %v, want %v", i, err, resolver.ErrNoReachableServer)
			}
		}
		// The first ten find out, and each of the rest tries once more at most, alone.
		if sends := w.in.Count(resolvertest.To("198.51.100.11")); sends > 30 {
			w.Errorf("got %d queries to a server that is down, want at most 30", sends)
		}
		refused := limited(errs, "Questions")
		if refused < questions/2 || uint64(refused) != w.r.Stats().Limits["Questions"] {
			w.Errorf("%d questions failed since too many wait, %d counted", refused, w.r.Stats().Limits["Questions"])
		}
		if took > 5*time.Second {
			w.Errorf("%d questions to a server that is down took %v", crowd, took)
		}
	}, ipv4Only, minimiseOff, func(o *resolver.Options) {
		o.Limits.Questions, o.Limits.QueriesPerServer = questions, 10
	})
}

// TestCrowdWaitsForServer: a few questions that wait for a server that turns out to be up
// again are answered.
func TestCrowdWaitsForServer(t *testing.T) {
	inWorld(t, crowdWorld, func(w *world) {
		w.ask("n0.cold.shop.example.", dns.TypeA)
		w.in.Fault("198.51.100.3", resolvertest.Drop())
		for i := range 3 {
			w.ask(fmt.Sprintf("lost%d.cold.shop.example.", i), dns.TypeA)
		}
		w.in.Fault("198.51.100.3", resolvertest.Mend(), resolvertest.Latency(20*time.Millisecond))
		for i, err := range w.crowd(100, func(i int) string { return fmt.Sprintf("m%d.cold.shop.example.", i) }) {
			if err != nil {
				w.Errorf("question %d: %v", i, err)
			}
		}
	}, ipv4Only, minimiseOff)
}

// TestCrowdLeavesSockets: silent servers take all sockets but a quarter, which are left for
// servers that answer; questions to these do not wait, and do not mark them down.
func TestCrowdLeavesSockets(t *testing.T) {
	inWorld(t, crowdWorld, func(w *world) {
		w.ask("n0.cold.shop.example.", dns.TypeA)
		for i := 1; i <= 4; i++ { // the zone cuts are known, and the servers not yet marked down
			ctx, cancel := context.WithTimeout(w.Context(), 10*time.Millisecond)
			w.r.Resolve(ctx, fmt.Sprintf("s%d.example.", i), dns.TypeA)
			cancel()
		}
		var silent sync.WaitGroup
		silent.Go(func() { w.crowd(100, func(i int) string { return fmt.Sprintf("x%d.s%d.example.", i, 1+i%4) }) })
		time.Sleep(50 * time.Millisecond)
		if got := w.r.Stats().Sockets; got != 6 {
			w.Errorf("got %d sockets for silent servers, want 6 of 8", got)
		}
		for i := range 5 {
			start := time.Now()
			o := w.ask(fmt.Sprintf("n%d.cold.shop.example.", i+1), dns.TypeA)
			if took := time.Since(start); o.err != nil || took > 25*time.Millisecond {
				w.Errorf("question %d beside them: %v after %v, want an answer after 20 ms", i, o, took)
			}
		}
		silent.Wait()
	}, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Limits.Sockets = 8 })
}

// TestCrowdLeavesSocketsToQuick: so do servers that answer, but slowly.
func TestCrowdLeavesSocketsToQuick(t *testing.T) {
	inWorld(t, crowdWorld, func(w *world) {
		w.ask("n0.cold.shop.example.", dns.TypeA)
		for i := 1; i <= 4; i++ {
			zone := fmt.Sprintf("s%d.example.", i)
			w.in.Fault(zone, resolvertest.Mend())
			w.in.Fault(w.in.Servers(zone)[0].String(), resolvertest.Latency(700*time.Millisecond))
			w.ask(zone, dns.TypeA)
		}
		var slow sync.WaitGroup
		slow.Go(func() { w.crowd(60, func(i int) string { return fmt.Sprintf("x%d.s%d.example.", i, 1+i%4) }) })
		time.Sleep(50 * time.Millisecond)
		if got := w.r.Stats().Sockets; got != 6 {
			w.Errorf("got %d sockets for slow servers, want 6 of 8", got)
		}
		for i := range 5 {
			o := w.ask(fmt.Sprintf("n%d.cold.shop.example.", i+1), dns.TypeA)
			if o.err != nil || o.took > 25*time.Millisecond {
				w.Errorf("question %d beside them: %v after %v, want an answer after 20 ms", i, o, o.took)
			}
		}
		slow.Wait()
	}, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Limits.Sockets = 8 })
}

// TestCrowdIsToldTheLimit: a question that waits for a slot until time runs out fails with
// an error that names the limit and is a timeout, and with the extended error that goes
// with it, and is counted.
func TestCrowdIsToldTheLimit(t *testing.T) {
	for limit, set := range map[string]func(*resolver.Limits){
		"Sockets":          func(l *resolver.Limits) { l.Sockets = 1 },
		"QueriesPerServer": func(l *resolver.Limits) { l.QueriesPerServer = 1 },
		"QueriesPerZone":   func(l *resolver.Limits) { l.QueriesPerZone = 1 },
	} {
		t.Run(limit, func(t *testing.T) {
			inWorld(t, crowdWorld, func(w *world) {
				w.in.Fault("198.51.100.3", resolvertest.Mend(), resolvertest.Latency(350*time.Millisecond))
				w.ask("n0.cold.shop.example.", dns.TypeA) // its slowness is known: no timeouts
				errs := w.crowd(5, func(i int) string { return fmt.Sprintf("m%d.cold.shop.example.", i) })
				told := limited(errs, limit)
				if told == 0 || w.r.Stats().Limits[limit] == 0 {
					w.Fatalf("got %v, %d counted; want the limit %s", errs, w.r.Stats().Limits[limit], limit)
				}
				for _, err := range errs {
					var e *resolver.Error
					if !errors.As(err, &e) || limited([]error{err}, limit) == 0 {
						continue
					}
					if !e.Timeout() || e.Extended.Code != dns.ExtendedErrorCodeOther || e.Extended.Text == "" {
						w.Errorf("got %v, timeout %t, extended error %v; want a timeout with its reason", err, e.Timeout(), e.Extended)
					}
				}
				// The server has answered every query that reached it.
				w.settle()
				w.want("n9.cold.shop.example.", dns.TypeA, dns.RcodeSuccess, "n9.cold.shop.example. A 192.0.2.80")
				w.count(1, resolvertest.To("198.51.100.3"))
			}, ipv4Only, minimiseOff, func(o *resolver.Options) {
				set(&o.Limits)
				o.Limits.Time = time.Second
			})
		})
	}
}

// TestCrowdAtSlowServer: names below a zone whose server is slow take all slots of
// questions, and names that other clients ask for are found within a second all the same.
// Callers of Resolve wait for each other.
func TestCrowdAtSlowServer(t *testing.T) {
	const places, flood = 400, 2000
	slow := func(i int) string { return fmt.Sprintf("x%d.s1.example.", i) }
	small := func(o *resolver.Options) {
		o.Limits.Questions, o.Limits.QueriesPerZone, o.Limits.QueriesPerServer = places, 20, 20
	}
	begin := func(w *world) {
		w.in.Fault("s1.example.", resolvertest.Mend())
		w.in.Fault("198.51.100.11", resolvertest.Latency(900*time.Millisecond))
		for _, name := range []string{"n0.cold.shop.example.", "n0.s1.example.", "n1.s1.example."} {
			w.ask(name, dns.TypeA)
		}
	}
	inWorld(t, crowdWorld, func(w *world) {
		begin(w)
		var all sync.WaitGroup
		var told, answered atomic.Int64
		for i := range flood {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 3 * time.Millisecond)
				reply := exchanged(w.T, w.r, ask(slow(i), dns.TypeA, withEDNS))
				switch {
				case reply.Rcode == dns.RcodeNameError:
					answered.Add(1)
				case reply.Rcode == dns.RcodeServerFailure && slices.Equal(codes(reply), []uint16{dns.ExtendedErrorCodeOther}):
					told.Add(1)
				default:
					w.Errorf("%s: got\n%v", slow(i), reply)
				}
			})
		}
		time.Sleep(time.Second)
		for i := range 10 {
			start := time.Now()
			reply := exchanged(w.T, w.r, ask(fmt.Sprintf("n%d.cold.shop.example.", i+1), dns.TypeA))
			if took := time.Since(start); reply.Rcode != dns.RcodeSuccess || took > time.Second {
				w.Errorf("question %d beside the flood: %s after %v, want an answer within a second", i, dns.RcodeToString[reply.Rcode], took)
			}
			time.Sleep(50 * time.Millisecond)
		}
		all.Wait()
		counted := w.r.Stats().Limits["Questions"]
		if counted < flood/2 || answered.Load() < places/2 || answered.Load()+told.Load() != flood {
			w.Errorf("of the flood %d failed, %d counted as having to go, and %d were answered; want most to go, and answers for half of the places",
				told.Load(), counted, answered.Load())
		}
	}, ipv4Only, minimiseOff, small)
	inWorld(t, crowdWorld, func(w *world) {
		begin(w)
		if n := limited(w.crowd(places+50, slow), "Questions"); n > 0 {
			w.Errorf("%d callers of Resolve were shed", n)
		}
	}, ipv4Only, minimiseOff, small)
}

// TestCrowdOverTCP: servers that drip their answers take no more than a quarter of the
// connections for one zone; a question that gets none in time fails by that limit.
func TestCrowdOverTCP(t *testing.T) {
	inWorld(t, crowdWorld+`
-- zone drip.example. at 198.51.100.21 198.51.100.22 198.51.100.23 198.51.100.24 198.51.100.25 --
*  A  192.0.2.1
-- fault drip.example. --
when udp: truncate
when tcp: drip 1s
-- fault 198.51.100.3 --
when udp below big.shop.example.: truncate
`, func(w *world) {
		w.ask("n0.cold.shop.example.", dns.TypeA)
		var dripping sync.WaitGroup
		var errs []error
		dripping.Go(func() { errs = w.crowd(50, func(i int) string { return fmt.Sprintf("x%d.drip.example.", i) }) })
		for i := range 8 {
			time.Sleep(250 * time.Millisecond)
			if got := w.r.Stats().Connections; got > 3 { // two that drip, and the shop's
				w.Errorf("got %d connections, want at most 3", got)
			}
			w.want(fmt.Sprintf("b%d.big.shop.example.", i), dns.TypeA, dns.RcodeSuccess, fmt.Sprintf("b%d.big.shop.example. A 192.0.2.81", i))
		}
		// In these two seconds no dripping answer has ended: two queries for them are under
		// way, beside the eight of the shop.
		if got := w.r.Stats().SentTCP; got > 10 {
			w.Errorf("got %d queries over TCP, want at most 10", got)
		}
		dripping.Wait()
		if limited(errs, "Connections") == 0 || w.r.Stats().Limits["Connections"] == 0 {
			w.Errorf("got %v, want the limit Connections, counted", errs)
		}
	}, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Limits.Connections = 8 })
}

// TestCrowdFillsConnections: with every connection in use by hostile zones, a query over
// TCP waits, and then names the limit.
func TestCrowdFillsConnections(t *testing.T) {
	inWorld(t, crowdWorld+`
-- zone drip.example. at 198.51.100.21 --
*  A  192.0.2.1
-- zone trickle.example. at 198.51.100.22 --
*  A  192.0.2.1
-- fault 198.51.100.21 198.51.100.22 --
when udp: truncate
when tcp: drip 1s
`, func(w *world) {
		w.ask("n0.cold.shop.example.", dns.TypeA)
		errs := w.crowd(2, func(i int) string { return []string{"x.drip.example.", "x.trickle.example."}[i] })
		if got := limited(errs, "Connections"); got != 1 || limited(errs, "Time") != 1 {
			w.Errorf("got %v, want that one has no connection and the other no time", errs)
		}
	}, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Limits.Connections, o.Limits.Time = 1, 2*time.Second })
}

// TestSheddingSaysNothingOfServers: questions that are shed end before a server answers that
// is slow and was not asked before. It is not marked down.
func TestSheddingSaysNothingOfServers(t *testing.T) {
	inWorld(t, crowdWorld, func(w *world) {
		for _, zone := range []string{"s1.example.", "s2.example."} {
			w.in.Fault(zone, resolvertest.Mend())
		}
		w.in.Fault("s2.example.", resolvertest.Latency(700*time.Millisecond))
		w.in.Fault("s1.example.", resolvertest.Latency(790*time.Millisecond))
		w.ask("s3.example.", dns.TypeDS) // the servers above are known
		var all sync.WaitGroup
		for i := range 3 { // three lost queries mark a server down
			all.Go(func() { exchanged(w.T, w.r, ask(fmt.Sprintf("k%d.s1.example.", i), dns.TypeA, withEDNS)) }) // stays for good
			time.Sleep(10 * time.Millisecond)
			all.Go(func() {
				reply := exchanged(w.T, w.r, ask(fmt.Sprintf("y%d.s2.example.", i), dns.TypeA, withEDNS))
				if reply.Rcode != dns.RcodeServerFailure {
					w.Errorf("question %d was to be shed, and got\n%v", i, reply)
				}
			})
			time.Sleep(10 * time.Millisecond)
			all.Go(func() { exchanged(w.T, w.r, ask(fmt.Sprintf("n%d.cold.shop.example.", i), dns.TypeA, withEDNS)) })
			all.Wait()
		}
		w.want("s2.example.", dns.TypeA, dns.RcodeSuccess).within(w, 750*time.Millisecond)
		w.count(1, resolvertest.To("198.51.100.12"))
	}, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Limits.Questions = 2 })
}
