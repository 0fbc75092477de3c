package resolver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// shedWorld has a zone whose server takes 700 ms, and one that is quick.
const shedWorld = `
-- zone slow.example. at 198.51.100.4 --
*  A  192.0.2.81
-- zone quick.example. at 198.51.100.5 --
*  A  192.0.2.82
-- fault 198.51.100.4 --
latency 700ms
`

// guest is a client of ServeDNS, or of ServeWire.
type guest struct {
	client
	returned time.Duration // when that has, after the begin of the test, as answered
	answered time.Duration
}

// inShedWorld plays with four slots, of which the first and the third question to come are
// never shed; once with clients of ServeDNS, and once with those of ServeWire.
func inShedWorld(t *testing.T, play func(w *world, serve func(name string) *guest), change ...func(*resolver.Options)) {
	t.Helper()
	change = append(change, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Limits.Questions = 4 })
	for door, serve := range map[string]func(*world, *guest, string){"ServeDNS": serveDNS, "ServeWire": serveWire} {
		t.Run(door, func(t *testing.T) {
			inWorld(t, shedWorld, func(w *world) {
				w.r.AwaitHere()
				w.ask("warm.slow.example.", dns.TypeA)
				w.ask("warm.quick.example.", dns.TypeA)
				time.Sleep(time.Minute)
				synctest.Wait()
				start := time.Now()
				var all sync.WaitGroup
				play(w, func(name string) *guest {
					g := &guest{client: client{remote: overUDP}}
					all.Go(func() {
						serve(w, g, name)
						g.returned, g.answered = time.Since(start), g.at.Sub(start)
					})
					synctest.Wait() // one after the other
					return g
				})
				all.Wait()
			}, change...)
		})
	}
}

func serveDNS(w *world, g *guest, name string) {
	w.r.ServeDNS(&g.client, ask(name, dns.TypeA, withEDNS))
}

func serveWire(w *world, g *guest, name string) {
	reply := wired(w, w.r, resolver.WireClient{Addr: clientAt, MaxSize: 1232}, packed(w, ask(name, dns.TypeA, withEDNS)), func() { g.at = time.Now() })
	g.reply = unpacked(w, reply)
}

// wantShed checks that a guest has been told at the time of 500 ms that it was shed.
func (g *guest) wantShed(t testing.TB, what string) {
	t.Helper()
	if g.reply == nil || g.reply.Rcode != dns.RcodeServerFailure || len(codes(g.reply)) != 1 || g.answered != 500*time.Millisecond {
		t.Errorf("%s was answered after %v, want SERVFAIL with a reason after 500ms:\n%v", what, g.answered, g.reply)
	}
}

// wantAnswer checks that a guest has got the records, and when.
func (g *guest) wantAnswer(t testing.TB, what string, after time.Duration) {
	t.Helper()
	if g.reply == nil || g.reply.Rcode != dns.RcodeSuccess || len(g.reply.Answer) != 1 || g.answered != after {
		t.Errorf("%s was answered after %v, want the answer after %v:\n%v", what, g.answered, after, g.reply)
	}
}

// TestShedLeader: when a question is shed whose goroutine works for others too, its client is
// told at once, and its slot is free; the others get the answer, and no server is asked again.
func TestShedLeader(t *testing.T) {
	inShedWorld(t, func(w *world, serve func(string) *guest) {
		serve("other.slow.example.")
		leader := serve("shared.slow.example.")
		follower := serve("shared.slow.example.")
		serve("another.slow.example.")
		waiting := serve("n.quick.example.")
		time.Sleep(time.Second)
		synctest.Wait()
		leader.wantShed(w, "the leader")
		if leader.returned != 700*time.Millisecond {
			w.Errorf("its call returned after %v, want 700ms", leader.returned)
		}
		follower.wantAnswer(w, "the follower", 700*time.Millisecond)
		waiting.wantAnswer(w, "the question that waited for a slot", 500*time.Millisecond)
		w.count(1, resolvertest.Below("shared.slow.example."))
		if got := w.r.Stats(); got.Limits["Questions"] != 1 || got.InFlight != 0 {
			w.Errorf("got %d questions under way, and %d shed, want 0 and 1", got.InFlight, got.Limits["Questions"])
		}
	})
}

// TestShedLeaderOfCaller: the same when a caller of Resolve waits, who hears of the work by a Trace.
func TestShedLeaderOfCaller(t *testing.T) {
	inShedWorld(t, func(w *world, serve func(string) *guest) {
		serve("other.slow.example.")
		leader := serve("shared.slow.example.")
		responses := 0
		var caller sync.WaitGroup
		caller.Go(func() {
			ctx := resolver.WithTrace(w.Context(), &resolver.Trace{Response: func(resolver.ResponseInfo) { responses++ }})
			if _, err := w.r.Resolve(ctx, "shared.slow.example.", dns.TypeA); err != nil {
				w.Error(err)
			}
		})
		synctest.Wait()
		serve("another.slow.example.")
		serve("n.quick.example.")
		caller.Wait()
		synctest.Wait()
		leader.wantShed(w, "the leader")
		if responses != 1 {
			w.Errorf("the caller has heard of %d responses, want 1", responses)
		}
	})
}

// TestShedAlone: a question that nobody shares ends when it is shed, and so does a follower, whose
// leader goes on.
func TestShedAlone(t *testing.T) {
	inShedWorld(t, func(w *world, serve func(string) *guest) {
		leader := serve("shared.slow.example.")
		follower := serve("shared.slow.example.")
		serve("other.slow.example.")
		alone := serve("alone.slow.example.")
		serve("n.quick.example.")
		serve("m.quick.example.")
		time.Sleep(time.Second)
		synctest.Wait()
		follower.wantShed(w, "the follower")
		alone.wantShed(w, "the lone question")
		if follower.returned != follower.answered || alone.returned != alone.answered {
			w.Errorf("their calls returned after %v and %v", follower.returned, alone.returned)
		}
		leader.wantAnswer(w, "the leader", 700*time.Millisecond)
	})
}

// TestShedLeaderLeavesNothing: what a shed leader works on for a follower ends when that one is gone,
// or with the resolver.
func TestShedLeaderLeavesNothing(t *testing.T) {
	for name, end := range map[string]func(w *world, leave context.CancelFunc){
		"the follower leaves": func(_ *world, leave context.CancelFunc) { leave() },
		"the resolver closes": func(w *world, _ context.CancelFunc) { w.r.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			inShedWorld(t, func(w *world, serve func(string) *guest) {
				ctx, leave := context.WithCancel(w.Context())
				defer leave()
				serve("other.slow.example.")
				leader := serve("shared.slow.example.")
				var follower sync.WaitGroup
				follower.Go(func() {
					if reply, err := w.r.Exchange(ctx, ask("shared.slow.example.", dns.TypeA)); err == nil {
						w.Errorf("the follower got\n%v", reply)
					}
				})
				synctest.Wait()
				serve("another.slow.example.")
				serve("n.quick.example.")
				time.Sleep(600 * time.Millisecond)
				end(w, leave)
				follower.Wait()
				synctest.Wait()
				leader.wantShed(w, "the leader")
				if leader.returned != 600*time.Millisecond {
					w.Errorf("its call returned after %v, want 600ms", leader.returned)
				}
			})
		})
	}
}

// TestCrowdLeadsHere: many clients of ServeDNS, some with the same questions, all get a reply, exactly
// one, while most are shed.
func TestCrowdLeadsHere(t *testing.T) {
	inShedWorld(t, func(w *world, serve func(string) *guest) {
		var all []*guest
		for i := range 60 {
			all = append(all, serve(fmt.Sprintf("n%d.slow.example.", i%5)))
			time.Sleep(time.Duration(i%7) * 20 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		answered := 0
		for i, g := range all {
			if g.reply == nil {
				w.Errorf("client %d has no reply", i)
			} else if g.reply.Rcode == dns.RcodeSuccess {
				answered++
			}
		}
		if answered < 30 {
			w.Errorf("%d of %d were answered, want most", answered, len(all))
		}
		if got := w.r.Stats(); got.InFlight != 0 {
			w.Errorf("%d questions are under way", got.InFlight)
		}
	})
}
