package resolver_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// slowReader is a client of ServeDNS or ServeWire that takes its reply when read is closed.
type slowReader struct {
	client
	read    chan struct{}
	sending atomic.Int32
	sent    atomic.Int32
}

func newSlowReader() *slowReader {
	return &slowReader{client: client{remote: overTCP}, read: make(chan struct{})}
}

func (c *slowReader) WriteMsg(m *dns.Msg) error {
	c.sending.Add(1)
	<-c.read
	c.reply = m
	c.sent.Add(1)
	c.sending.Add(-1)
	return nil
}

// ask has the client ask, by ServeDNS or ServeWire.
func (c *slowReader) ask(w *world, name string, wire bool) {
	query := ask(name, dns.TypeA, withEDNS)
	if !wire {
		w.r.ServeDNS(c, query)
		return
	}
	w.r.ServeWire(packed(w, query), resolver.WireClient{Addr: clientAt}, func(b []byte) { _ = c.WriteMsg(unpacked(w, b)) })
}

// TestCloseWaitsForNoClient: Close returns while a client whose question was shed does not read
// its reply. Virtual time does not pass meanwhile, since the leader's call waits for a sync.Once.
func TestCloseWaitsForNoClient(t *testing.T) {
	inShedWorld(t, func(w *world, serve func(string) *guest) {
		serve("other.slow.example.")
		leader := newSlowReader()
		var call sync.WaitGroup
		call.Go(func() { leader.ask(w, "shared.slow.example.", false) })
		synctest.Wait()
		serve("shared.slow.example.")
		serve("another.slow.example.")
		serve("n.quick.example.")
		time.Sleep(600 * time.Millisecond)
		synctest.Wait()
		if leader.sending.Load() != 1 {
			t.Fatal("the leader was not shed")
		}
		var closed atomic.Bool
		call.Go(func() { w.r.Close(); closed.Store(true) })
		for i := 0; i < 100_000_000 && !closed.Load(); i++ {
			runtime.Gosched()
		}
		if !closed.Load() {
			t.Error("Close waits for the leader to read")
		}
		close(leader.read)
		call.Wait()
		if n := leader.sent.Load(); n != 1 {
			t.Errorf("the leader got %d replies", n)
		}
	})
}

// aliasWorld has an alias at a zone whose server takes 700 ms, to one in another zone.
const aliasWorld = shedWorld + `
-- zone alias.example. at 198.51.100.6 --
shared CNAME www.end.example.
-- zone end.example. at 198.51.100.7 --
www A 192.0.2.83
-- fault 198.51.100.6 --
latency 700ms
`

// TestShedLeaderDoesNotReturn: when a function of the program's panics or ends its goroutine in the
// goroutine of a client, that client gets one reply all the same, as do others who wait for the work;
// also when it was shed before, and its reply is being sent. Its call does not end before.
func TestShedLeaderDoesNotReturn(t *testing.T) {
	for name, end := range map[string]func(){"panics": func() { panic("boom") }, "ends its goroutine": runtime.Goexit} {
		for i := range 4 {
			shed, wire := i&1 == 0, i&2 == 0
			t.Run(name, func(t *testing.T) { testShedLeaderDoesNotReturn(t, end, shed, wire) })
		}
	}
}

func testShedLeaderDoesNotReturn(t *testing.T, end func(), shed, wire bool) {
	var armed atomic.Bool
	var leader *slowReader
	inWorld(t, aliasWorld, func(w *world) {
		w.r.AwaitHere()
		for _, zone := range []string{"slow", "quick", "alias", "end"} {
			w.ask("warm."+zone+".example.", dns.TypeA)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		var all sync.WaitGroup
		serve := func(name string) *guest {
			g := &guest{client: client{remote: overUDP}}
			all.Go(func() { serveDNS(w, g, name) })
			synctest.Wait() // one after the other
			return g
		}
		serve("other.slow.example.")
		leader = newSlowReader()
		all.Go(func() {
			defer func() {
				if n := leader.sending.Load(); n != 0 {
					t.Error("the call has ended, and its reply is being sent")
				}
			}()
			defer func() { _ = recover() }()
			leader.ask(w, "shared.alias.example.", wire)
		})
		synctest.Wait()
		follower := serve("shared.alias.example.")
		if shed {
			serve("another.slow.example.")
			serve("n.quick.example.")
			time.Sleep(600 * time.Millisecond)
			synctest.Wait()
			if leader.sending.Load() != 1 {
				t.Fatal("the leader was not shed")
			}
		}
		armed.Store(true)
		if !shed {
			close(leader.read)
		}
		all.Wait()
		synctest.Wait()
		if n := leader.sent.Load(); n != 1 || leader.reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("shed %t, wire %t: the leader got %d replies, the last\n%v", shed, wire, n, leader.reply)
		}
		if follower.reply == nil || follower.reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("shed %t, wire %t: the follower got\n%v", shed, wire, follower.reply)
		}
		if s := w.r.Stats(); s.InFlight != 0 || s.Sockets != 0 {
			t.Errorf("%d questions and %d sockets are left", s.InFlight, s.Sockets)
		}
	}, ipv4Only, minimiseOff, func(o *resolver.Options) {
		o.Limits.Questions = 4
		dial := o.Dial
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "198.51.100.7:") && armed.Swap(false) {
				if shed { // as a wait for a sync.Once stops virtual time, the client begins to read now
					go func() {
						for range 100 {
							runtime.Gosched()
						}
						close(leader.read)
					}()
				}
				end()
			}
			return dial(ctx, network, address)
		}
	})
}
