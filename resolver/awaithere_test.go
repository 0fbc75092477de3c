package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// hereWorld has one zone with one server, and one with two; all are 20 ms away.
const hereWorld = `
-- zone one.example. at 198.51.100.3 --
*   A   192.0.2.80
big TXT ` + `"` + "0123456789012345678901234567890123456789012345678901234567890123456789" + `"` + `
-- zone two.example. at 198.51.100.4 198.51.100.5 --
*   A   192.0.2.81
-- fault * --
latency 20ms
`

// inHereWorld plays in hereWorld, when the zones are known and the root is primed. A seed makes choices the same.
func inHereWorld(t *testing.T, here, seeded bool, play func(w *world), change ...func(*resolver.Options)) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 1)
	inWorld(t, hereWorld, func(w *world) {
		if seeded { // this also has goroutines begin some microseconds later, one after the other
			w.r.Seed(1)
		}
		if here {
			w.r.AwaitHere()
		}
		for _, name := range []string{"known.one.example.", "known.two.example."} {
			if _, err := w.r.Resolve(w.Context(), name, dns.TypeA); err != nil {
				w.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		play(w)
	}, append(change, ipv4Only)...)
}

// bubbleStacks returns the stacks of the goroutines in the bubble of the caller, its own first. Those
// outside, such as one of the test before that is about to end, are left out.
func bubbleStacks() []string {
	stacks := make([]byte, 1<<22)
	all := strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n")
	_, own, _ := strings.Cut(all[0], "synctest bubble ")
	bubble, _, _ := strings.Cut(own, "]")
	return slices.DeleteFunc(all, func(stack string) bool { return !strings.Contains(stack, "synctest bubble "+bubble+"]:") })
}

// bubbleGoroutines returns how many goroutines the bubble of the caller has.
func bubbleGoroutines() int { return len(bubbleStacks()) }

// TestGoroutinesOfAMiss: a question of ServeDNS that waits for its first reply has no goroutine
// but its caller's, and one whose caller may leave has one more; each has one more when the server is
// late. Then all are gone.
func TestGoroutinesOfAMiss(t *testing.T) {
	const questions = 10
	for way, test := range map[string]struct {
		waiting int
		ask     func(w *world, name string) bool
	}{
		"Resolve": {2, func(w *world, name string) bool {
			_, err := w.r.Resolve(w.Context(), name, dns.TypeA)
			return err == nil
		}},
		"Exchange": {2, func(w *world, name string) bool {
			m, err := w.r.Exchange(w.Context(), new(dns.Msg).SetQuestion(name, dns.TypeA))
			return err == nil && len(m.Answer) == 1
		}},
		"ServeDNS": {1, func(w *world, name string) bool {
			m := served(w.r, overUDP, new(dns.Msg).SetQuestion(name, dns.TypeA))
			return m != nil && len(m.Answer) == 1
		}},
	} {
		inHereWorld(t, true, false, func(w *world) {
			w.in.Fault("198.51.100.3", resolvertest.Latency(80*time.Millisecond))
			before := bubbleGoroutines()
			var all sync.WaitGroup
			for i := range questions {
				all.Go(func() {
					if !test.ask(w, fmt.Sprintf("n%d.one.example.", i)) {
						w.Errorf("%s: question %d got no answer", way, i)
					}
				})
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if n := bubbleGoroutines() - before; n != test.waiting*questions {
				w.Errorf("%s: %d questions wait with %d goroutines, their callers' included, want %d", way, questions, n, test.waiting*questions)
			}
			time.Sleep(70 * time.Millisecond)
			synctest.Wait()
			if n := bubbleGoroutines() - before; n != (test.waiting+1)*questions {
				w.Errorf("%s: %d questions wait for a late server with %d goroutines, want %d", way, questions, n, (test.waiting+1)*questions)
			}
			all.Wait()
			synctest.Wait()
			if n := bubbleGoroutines() - before; n > 0 {
				w.Errorf("%s: %d goroutines are left", way, n)
			}
		})
	}
}

// TestAwaitHereIsTheSame: where the first reply is awaited changes neither answers, nor queries,
// nor when they are sent, nor what a Trace is told.
func TestAwaitHereIsTheSame(t *testing.T) {
	type fault struct {
		at     string
		faults []resolvertest.Fault
	}
	for name, test := range map[string]struct {
		zone   string
		faults []fault
	}{
		"answered":         {"one", nil},
		"truncated":        {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.Truncated().When(resolvertest.Over("udp"))}}}},
		"lost once":        {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.Drop().First(1)}}}},
		"silent":           {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.Drop()}}}},
		"late":             {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.Latency(150 * time.Millisecond)}}}},
		"wrong ID":         {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.WrongID().First(1)}}}},
		"case":             {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.FoldCase()}}}},
		"no EDNS":          {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.NoEDNS(resolvertest.EDNSFormErr)}}}},
		"cookies":          {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.RequireCookies()}}}},
		"wrong cookie":     {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.Cookies(), resolvertest.WrongCookie()}}}},
		"garbage":          {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.Garbage()}}}},
		"unreachable":      {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.Refuse()}}}},
		"no route":         {"one", []fault{{"198.51.100.3", []resolvertest.Fault{resolvertest.Unreachable()}}}},
		"one is refused":   {"two", []fault{{"198.51.100.4", []resolvertest.Fault{resolvertest.Refuse()}}}},
		"other is refused": {"two", []fault{{"198.51.100.5", []resolvertest.Fault{resolvertest.Refuse()}}}},
		"one is lame":      {"two", []fault{{"198.51.100.4", []resolvertest.Fault{resolvertest.LameRefused()}}}},
		"other is lame":    {"two", []fault{{"198.51.100.5", []resolvertest.Fault{resolvertest.LameRefused()}}}},
		"all are lame":     {"two", []fault{{"two.example.", []resolvertest.Fault{resolvertest.LameRefused()}}}},
		"one is silent":    {"two", []fault{{"198.51.100.4", []resolvertest.Fault{resolvertest.Drop()}}}},
		"all are silent":   {"two", []fault{{"two.example.", []resolvertest.Fault{resolvertest.Drop()}}}},
		"first wins": {"two", []fault{ // each is late, and the hedge is later still
			{"two.example.", []resolvertest.Fault{resolvertest.Latency(150 * time.Millisecond)}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var want string
			for _, here := range []bool{false, true} {
				inHereWorld(t, here, true, func(w *world) {
					since := func(start time.Time) time.Duration { return time.Since(start).Round(10 * time.Millisecond) }
					for _, f := range test.faults {
						w.in.Fault(f.at, f.faults...)
					}
					var lines []string
					open := make(map[int]bool)
					for i := range 3 {
						w.in.ResetLog()
						start := time.Now()
						trace := &resolver.Trace{
							Query: func(q resolver.QueryInfo) {
								if open[q.ID] {
									w.Errorf("query %d is told twice", q.ID)
								}
								open[q.ID] = true
								lines = append(lines, fmt.Sprint(since(start), " query ", q.ID, q.Server, q.Network, q.Reason))
							},
							Response: func(q resolver.ResponseInfo) {
								if !open[q.ID] {
									w.Errorf("the end of query %d is told twice, or before it", q.ID)
								}
								delete(open, q.ID)
								lines = append(lines, fmt.Sprint(since(start), " response ", q.ID, q.Server, q.Network, q.Kind, q.Rcode, q.RTT.Round(10*time.Millisecond)))
							},
						}
						result, err := w.r.Resolve(resolver.WithTrace(w.Context(), trace), fmt.Sprintf("n%d%s.%s.example.", i, manyLetters, test.zone), dns.TypeA)
						lines = append(lines, fmt.Sprint(since(start), " ", result != nil, err, w.in.Count()))
						clear(open)
						time.Sleep(10 * time.Second)
						s := w.r.Stats()
						lines = append(lines, fmt.Sprint(s.SentUDP, s.SentTCP, s.Received, s.TimedOut, s.Failures, s.Dropped, s.Sockets, s.InFlight))
						if s.Sockets != 0 || s.InFlight != 0 {
							w.Errorf("%d sockets and %d questions are left", s.Sockets, s.InFlight)
						}
					}
					got := strings.Join(lines, "\n")
					if !here {
						want = got
					} else if got != want {
						w.Errorf("got\n%s\n\nwant, as in a goroutine of its own,\n%s", got, want)
					}
				})
			}
		})
	}
}

// TestCloseWhileAwaitedHere: Close returns at once, whether the reply is late or not.
func TestCloseWhileAwaitedHere(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 500 * time.Millisecond} {
		inHereWorld(t, true, false, func(w *world) {
			w.in.Fault("two.example.", resolvertest.Drop())
			before := bubbleGoroutines()
			var all sync.WaitGroup
			for i := range 10 {
				all.Go(func() {
					if _, err := w.r.Resolve(w.Context(), fmt.Sprintf("n%d.two.example.", i%5), dns.TypeA); !errors.Is(err, resolver.ErrClosed) {
						w.Errorf("got %v", err)
					}
				})
			}
			synctest.Wait()
			time.Sleep(after)
			start := time.Now()
			if err := w.r.Close(); err != nil || time.Since(start) != 0 {
				w.Errorf("Close after %v: %v, and took %v", after, err, time.Since(start))
			}
			all.Wait()
			synctest.Wait()
			if n, s := bubbleGoroutines()-before, w.r.Stats(); n > 0 || s.Sockets != 0 || s.InFlight != 0 {
				w.Errorf("Close after %v: %d goroutines, %d sockets and %d questions are left", after, n, s.Sockets, s.InFlight)
			}
		})
	}
}

// TestLastToLeaveEndsTheWait: with the last of its callers a question ends at once, wherever its
// reply is awaited, and not with another one; its slots are free then.
func TestLastToLeaveEndsTheWait(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		for _, leave := range []time.Duration{10 * time.Millisecond, 500 * time.Millisecond} {
			inHereWorld(t, true, false, func(w *world) {
				w.in.Fault("198.51.100.3", resolvertest.Drop())
				before := bubbleGoroutines()
				ends := []time.Duration{leave, leave + 40*time.Millisecond} // the server is late after some 65 ms
				if reverse {                                                // the one that leads leaves last
					slices.Reverse(ends)
				}
				var all sync.WaitGroup
				for _, end := range ends {
					all.Go(func() {
						ctx, cancel := context.WithTimeout(w.Context(), end)
						defer cancel()
						start := time.Now()
						if _, err := w.r.Resolve(ctx, "www.one.example.", dns.TypeA); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != end {
							w.Errorf("got %v after %v, want the end of its context after %v", err, time.Since(start), end)
						}
					})
					synctest.Wait()
				}
				time.Sleep(leave + 20*time.Millisecond)
				if s := w.r.Stats(); s.Sockets == 0 {
					w.Error("no query is under way for the caller that is left")
				}
				all.Wait()
				synctest.Wait()
				if n, s := bubbleGoroutines()-before, w.r.Stats(); n > 0 || s.Sockets != 0 || s.InFlight != 0 {
					w.Errorf("%d goroutines, %d sockets and %d questions are left", n, s.Sockets, s.InFlight)
				}
				w.in.Fault("198.51.100.3", resolvertest.Mend())
				time.Sleep(time.Minute)
				if _, err := w.r.Resolve(w.Context(), "after.one.example.", dns.TypeA); err != nil {
					w.Errorf("the next question: %v", err)
				}
			}, narrow)
		}
	}
}

// TestCloseEndsTheWait: Close ends at once what is awaited in the goroutine of a client, before the
// server is late and after it.
func TestCloseEndsTheWait(t *testing.T) {
	for _, end := range []time.Duration{10 * time.Millisecond, 500 * time.Millisecond} {
		inHereWorld(t, true, false, func(w *world) {
			w.in.Fault("198.51.100.3", resolvertest.Drop())
			start := time.Now()
			time.AfterFunc(end, func() { w.r.Close() })
			reply := served(w.r, overUDP, ask("www.one.example.", dns.TypeA, withEDNS))
			if took := time.Since(start); took != end || !slices.Equal(codes(reply), []uint16{dns.ExtendedErrorCodeNotReady}) {
				w.Errorf("answered after %v, want %v, not ready:\n%v", took, end, reply)
			}
		})
	}
}
