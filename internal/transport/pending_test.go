package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ways are how a query over UDP may be carried. All of them have to behave in the same way.
var ways = []struct {
	name string
	make func(o Options) *Transport
}{
	{"the best of this system", New},
	{"package net", func(o Options) *Transport {
		t := New(o)
		t.poller = nil
		return t
	}},
	{"Dial", func(o Options) *Transport {
		o.Dial = new(net.Dialer).DialContext
		return New(o)
	}},
}

// inEachWay runs test in each way, with a server on loopback, and checks that nothing is left.
func inEachWay(t *testing.T, o Options, test func(t *testing.T, tr *Transport, server *peer)) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			tr := way.make(o)
			server := newPeer(t)
			test(t, tr, server)
			tr.Close()
			server.conn.Close()
			wantOpen(t, tr, 0, 0)
			if n := len(tr.pending); n != 0 {
				t.Errorf("queries under way after Close: got %d, want 0", n)
			}
			wantGoroutines(t, before)
		})
	}
}

// peer is a server on loopback that does what the test says.
type peer struct {
	t    testing.TB
	conn *net.UDPConn
	addr netip.AddrPort
}

func newPeer(t testing.TB) *peer {
	c := listenUDP(t, "udp4", "127.0.0.1:0")
	return &peer{t, c, addrPort(c)}
}

// query returns the next query and where it came from.
func (s *peer) query() ([]byte, netip.AddrPort) {
	s.t.Helper()
	buffer := make([]byte, maxMessage)
	s.conn.SetReadDeadline(time.Now().Add(time.Minute))
	n, from, err := s.conn.ReadFromUDPAddrPort(buffer)
	if err != nil {
		s.t.Fatal(err)
	}
	return buffer[:n], from
}

func (s *peer) send(to netip.AddrPort, messages ...[]byte) {
	s.t.Helper()
	for _, m := range messages {
		if _, err := s.conn.WriteToUDPAddrPort(m, to); err != nil {
			s.t.Error(err)
		}
	}
}

// echo answers each query with itself, without allocating, until the test ends.
func (s *peer) echo() {
	buffer := make([]byte, maxMessage)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		s.conn.WriteToUDPAddrPort(buffer[:n], from)
	}
}

// begin begins a query that is closed when the test ends.
func begin(t *testing.T, tr *Transport, server netip.AddrPort) *Pending {
	t.Helper()
	p, err := tr.Begin(t.Context(), server, message(7, 40, 'q'))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func soon() time.Time { return time.Now().Add(time.Minute) }

func wantReply(t *testing.T, got []byte, err error, want []byte) {
	t.Helper()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes %.40x, %v, want %d bytes %.40x", len(got), got, err, len(want), want)
	}
}

func TestPendingReply(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		p := begin(t, tr, netip.AddrPortFrom(netip.AddrFrom16(server.addr.Addr().As16()), server.addr.Port()))
		wantOpen(t, tr, 1, 0)
		query, from := server.query()
		if !bytes.Equal(query, message(7, 40, 'q')) || !usablePort(from.Port()) {
			t.Errorf("server: got %x from %v", query, from)
		}
		server.send(from, message(7, 50, 'r'))
		reply, err := p.Await(time.Time{}, nil)
		wantReply(t, reply, err, message(7, 50, 'r'))
		if cap(reply) != len(reply) {
			t.Errorf("capacity: got %d, want %d", cap(reply), len(reply))
		}
		p.Close()
		p.Close()
		wantOpen(t, tr, 0, 0)
		if _, err := p.Await(soon(), nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Await after Close: got %v, want net.ErrClosed", err)
		}
	})
}

// While a second server is asked, the first one's reply is still taken, from the same socket.
func TestPendingLate(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		first := begin(t, tr, server.addr)
		_, from := server.query()
		for range 3 {
			until := time.Now().Add(5 * time.Millisecond)
			if _, err := first.Await(until, nil); err != ErrLate || time.Now().Before(until) {
				t.Fatalf("got %v, want ErrLate and not before its time", err)
			}
		}
		wantError(t, first.TimeoutError(), context.DeadlineExceeded, "read", true)
		var waits sync.WaitGroup
		waits.Go(func() {
			reply, err := first.Await(soon(), accept('1').Check)
			wantReply(t, reply, err, message(7, 40, '1'))
		})
		second := begin(t, tr, server.addr)
		_, other := server.query()
		server.send(other, message(7, 40, '2'))
		reply, err := second.Await(soon(), accept('2').Check)
		wantReply(t, reply, err, message(7, 40, '2'))
		second.Close()
		server.send(from, message(7, 40, '1'))
		waits.Wait()
	})
}

// What lies in the socket's buffer is in time, however late it is looked at.
func TestPendingLooksOnceMore(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		for _, before := range []func(p *Pending){
			func(*Pending) {},
			func(p *Pending) {
				if _, err := p.Await(time.Now().Add(time.Millisecond), nil); err != ErrLate {
					t.Errorf("nothing sent: got %v, want ErrLate", err)
				}
			},
		} {
			p := begin(t, tr, server.addr)
			_, from := server.query()
			before(p)
			server.send(from, message(7, 40, 'x'), nil, message(7, 40, 'r'), message(7, 40, 's'))
			time.Sleep(5 * time.Millisecond)
			past := time.Now().Add(-time.Second)
			reply, err := p.Await(past, accept('r').Check)
			wantReply(t, reply, err, message(7, 40, 'r'))
			reply, err = p.Await(past, nil)
			wantReply(t, reply, err, message(7, 40, 's'))
			if _, err := p.Await(past, nil); err != ErrLate {
				t.Errorf("nothing left: got %v, want ErrLate", err)
			}
		}
	})
}

// lateContext is a context whose deadline is set once the query is sent, so that a busy machine does
// not spend the time before.
type lateContext struct {
	context.Context // ends with the deadline
	deadline        time.Time
}

func (c *lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

func (c *lateContext) Err() error {
	if c.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}

// The end of a context by its deadline does not end Send before it has looked at what lies there.
func TestSendLooksOnceMore(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx := &lateContext{Context: parent, deadline: time.Now().Add(time.Hour)}
		reply, err := tr.Send(ctx, "udp", server.addr, message(7, 40, 'q'), Watch{
			Sent: func() {
				_, from := server.query()
				server.send(from, message(7, 40, 'x'), message(7, 40, 'r'))
				const wait = 20 * time.Millisecond
				ctx.deadline = time.Now().Add(wait)
				time.AfterFunc(wait, cancel)
			},
			Check: func(m []byte) Verdict {
				<-ctx.Done()
				time.Sleep(5 * time.Millisecond) // whatever the end of ctx sets off
				return accept('r').Check(m)
			},
		})
		wantReply(t, reply, err, message(7, 40, 'r'))
	})
}

func TestPendingWrongMessages(t *testing.T) {
	const largest = 65507 // of UDP over IPv4
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		p := begin(t, tr, server.addr)
		_, from := server.query()
		wrong := [][]byte{nil, message(7, 12, 'x')[:5], message(8, largest, 'x'), message(7, 41, 'x'), message(7, 41, 'x')}
		server.send(from, wrong...)
		newPeer(t).send(from, message(7, 40, 'r')) // RFC 5452 §9.1: only the server's address and port are heard
		server.send(from, message(7, largest, 'r'))
		var seen []int
		reply, err := p.Await(soon(), func(m []byte) Verdict {
			seen = append(seen, len(m))
			return accept('r').Check(m)
		})
		wantReply(t, reply, err, message(7, largest, 'r'))
		if want := []int{0, 5, largest, 41, 41, largest}; fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("lengths checked: got %v, want %v", seen, want)
		}
		server.send(from, message(9, 30, 'f'))
		reply, err = p.Await(soon(), func([]byte) Verdict { return Abandon })
		if wantError(t, err, ErrAbandoned, "read", false); !bytes.Equal(reply, message(9, 30, 'f')) {
			t.Errorf("abandoned: got %x, want the message", reply)
		}
	})
}

// Of several that wait at once, each has its reply in time, however the others end: with a
// reply, late or closed, before or while it waits.
func TestPendingOneAfterAnother(t *testing.T) {
	const long, limit = 15 * time.Second, 10 * time.Second
	type ending func(p *Pending, reply func()) (wait time.Duration)
	later := func(after time.Duration) ending {
		return func(_ *Pending, reply func()) time.Duration { time.AfterFunc(after, reply); return long }
	}
	endings := []ending{
		later(0),
		later(10 * time.Millisecond),
		func(*Pending, func()) time.Duration { return 0 },
		func(*Pending, func()) time.Duration { return 10 * time.Millisecond },
		func(p *Pending, _ func()) time.Duration { p.Close(); return long },
		func(p *Pending, _ func()) time.Duration { time.AfterFunc(10*time.Millisecond, p.Close); return long },
	}
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		step := 1
		if testing.Short() {
			step = len(endings) - 1 // each ending first, and each second
		}
		for n := 0; n < len(endings)*len(endings); n += step {
			var waits sync.WaitGroup
			start := time.Now()
			for _, end := range []ending{endings[n%len(endings)], endings[n/len(endings)], later(20 * time.Millisecond)} {
				p := begin(t, tr, server.addr)
				_, from := server.query()
				until := time.Now().Add(end(p, func() { server.send(from, message(7, 40, 'r')) }))
				waits.Go(func() { p.Await(until, nil) })
			}
			waits.Wait()
			if took := time.Since(start); took > limit {
				t.Fatalf("combination %d: took %v", n, took)
			}
		}
	})
}

// The accepted slice is not used again.
func TestPendingReplyIsOwn(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		p := begin(t, tr, server.addr)
		_, from := server.query()
		server.send(from, message(7, 40, 'r'), message(7, 40, 's'))
		reply, err := p.Await(soon(), nil)
		if _, err := p.Await(soon(), nil); err != nil {
			t.Error(err)
		}
		wantReply(t, reply, err, message(7, 40, 'r'))
	})
}

// A server that floods with wrong messages does not keep a wait from ending in time.
func TestPendingFlood(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		p := begin(t, tr, server.addr)
		_, from := server.query()
		ctx, stop := context.WithCancel(t.Context())
		var flood sync.WaitGroup
		flood.Go(func() {
			for ctx.Err() == nil {
				server.send(from, message(7, 40, 'x'))
			}
		})
		start := time.Now()
		if _, err := p.Await(start.Add(30*time.Millisecond), accept('r').Check); err != ErrLate {
			t.Errorf("got %v, want ErrLate", err)
		}
		var closed sync.WaitGroup
		closed.Go(func() {
			_, err := p.Await(soon(), accept('r').Check)
			wantError(t, err, net.ErrClosed, "read", false)
		})
		time.Sleep(10 * time.Millisecond)
		p.Close()
		closed.Wait()
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
		stop()
		flood.Wait()
	})
}

// flooded is a socket whose buffer is never empty.
type flooded struct {
	socket
	reads int
}

func (f *flooded) read([]byte, time.Time, *Pending) ([]byte, error) {
	f.reads++
	return message(7, 40, 'x'), nil
}

// Nor does one that is faster than this host.
func TestPendingLateReads(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		p := begin(t, tr, server.addr)
		f := &flooded{socket: p.socket}
		p.socket = f
		_, err := p.Await(time.Now(), accept('r').Check)
		if err != ErrLate || f.reads < 300 || f.reads > 3000 {
			t.Errorf("got %v after %d reads, want ErrLate after as many as a buffer holds", err, f.reads)
		}
	})
}

// A real ICMP message: the server refuses the query, is started again, and answers.
func TestDatagramRefusedThenAnswer(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("refused ports are not reported")
	}
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		p := begin(t, tr, server.addr)
		_, from := server.query()
		server.conn.Close()
		again := func() {
			// Nothing of ours sends twice; a forger's ICMP message comes out of nowhere.
			if err := p.socket.write(message(7, 40, 'q')); err != nil {
				t.Fatal(err)
			}
		}
		again()
		if _, err := p.Await(soon(), nil); err != ErrUnreachable {
			t.Fatalf("got %v, want ErrUnreachable", err)
		}
		again()
		if _, err := p.Await(time.Now().Add(10*time.Millisecond), nil); err != ErrLate {
			t.Errorf("refused once more: got %v, want ErrLate", err)
		}
		back := &peer{t, listenUDP(t, "udp4", server.addr.String()), server.addr}
		back.send(from, message(7, 40, 'r'))
		reply, err := p.Await(soon(), nil)
		wantReply(t, reply, err, message(7, 40, 'r'))
	})
}

// Close by another goroutine ends a wait at once, and what ended the context is the cause.
func TestPendingCloseWhileWaiting(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		for _, cause := range []error{net.ErrClosed, context.Canceled} {
			for _, until := range []time.Time{{}, soon()} {
				ctx, cancel := context.WithCancel(t.Context())
				p, err := tr.Begin(ctx, server.addr, message(7, 40, 'q'))
				if err != nil {
					t.Fatal(err)
				}
				closed := make(chan struct{})
				time.AfterFunc(5*time.Millisecond, func() {
					defer close(closed)
					if cause == context.Canceled {
						cancel()
					}
					p.Close()
				})
				_, err = p.Await(until, nil)
				wantError(t, err, cause, "read", false)
				<-closed // on a busy machine it may be before the wait
				wantOpen(t, tr, 0, 0)
				cancel()
			}
		}
	})
}

func TestPendingTwoWaits(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		p := begin(t, tr, server.addr)
		_, from := server.query()
		server.send(from, message(7, 40, 'r'))
		reply, err := p.Await(soon(), func([]byte) Verdict {
			_, err := p.Await(soon(), nil)
			wantError(t, err, errTwoWaits, "read", false)
			return Accept
		})
		wantReply(t, reply, err, message(7, 40, 'r'))
	})
}

// A reply accepted is returned though the query was closed meanwhile.
func TestPendingCloseWhileChecking(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		p := begin(t, tr, server.addr)
		_, from := server.query()
		server.send(from, message(7, 40, 'r'))
		reply, err := p.Await(soon(), func([]byte) Verdict {
			p.Close()
			wantOpen(t, tr, 1, 0) // the socket may still be read
			return Accept
		})
		wantReply(t, reply, err, message(7, 40, 'r'))
		wantOpen(t, tr, 0, 0)
	})
}

func TestPendingCheckPanics(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		p := begin(t, tr, server.addr)
		_, from := server.query()
		server.send(from, message(7, 40, 'r'))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("got no panic, want that of the check")
				}
			}()
			p.Await(soon(), func([]byte) Verdict { panic("check") })
		}()
		p.Close()
		wantOpen(t, tr, 0, 0)
	})
}

// Transport.Close ends waits, and what nobody waits for.
func TestPendingTransportClose(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		idle := begin(t, tr, server.addr)
		var waits sync.WaitGroup
		for range 5 {
			p := begin(t, tr, server.addr)
			waits.Go(func() {
				_, err := p.Await(soon(), nil)
				wantError(t, err, net.ErrClosed, "read", false)
			})
		}
		time.Sleep(time.Millisecond) // some wait, some do not yet
		tr.Close()
		wantOpen(t, tr, 0, 0)
		waits.Wait()
		_, err := idle.Await(soon(), nil)
		wantError(t, err, net.ErrClosed, "read", false)
		_, err = tr.Begin(t.Context(), server.addr, message(7, 40, 'q'))
		wantError(t, err, net.ErrClosed, "dial", false)
	})
}

func TestPendingMaxSockets(t *testing.T) {
	inEachWay(t, Options{MaxSockets: 2}, func(t *testing.T, tr *Transport, server *peer) {
		first := begin(t, tr, server.addr)
		begin(t, tr, server.addr)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		_, err := tr.Begin(ctx, server.addr, message(7, 40, 'q'))
		if e := wantError(t, err, context.DeadlineExceeded, "wait", true); !e.Unsent() {
			t.Error("a query that was never sent is not known as that")
		}
		wantOpen(t, tr, 2, 0)
		time.AfterFunc(5*time.Millisecond, first.Close)
		begin(t, tr, server.addr)
		wantOpen(t, tr, 2, 0)
	})
}

func TestPendingRefusesArguments(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		_, err := tr.Begin(t.Context(), server.addr, make([]byte, headerSize-1))
		wantError(t, err, ErrQuery, "dial", false)
		_, err = tr.Begin(t.Context(), netip.AddrPort{}, message(7, 40, 'q'))
		wantError(t, err, nil, "dial", false)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = tr.Begin(ctx, server.addr, message(7, 40, 'q'))
		wantError(t, err, context.Canceled, "wait", false)
		// Larger than a datagram may be.
		_, err = tr.Begin(t.Context(), server.addr, message(7, maxMessage, 'q'))
		wantError(t, err, nil, "write", false)
		wantOpen(t, tr, 0, 0)
	})
}

// The ports are drawn from the whole range, one for each query.
func TestPendingPorts(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		if tr.dial != nil {
			t.Skip("the Dial function chooses ports")
		}
		ports := make([]uint16, 400)
		for i := range ports {
			p := begin(t, tr, server.addr)
			_, from := server.query()
			ports[i] = from.Port()
			p.Close()
			if !usablePort(ports[i]) {
				t.Errorf("port: got %d, want a usable one", ports[i])
			}
		}
		if got := chiSquare(ports); got > chiSquareLimit {
			t.Errorf("chi-square: got %.1f, want at most %.1f", got, chiSquareLimit)
		}
	})
}

// A port in use is passed over; one that cannot be had is an error.
func TestPendingPortTaken(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, server *peer) {
		taken := addrPort(listenUDP(t, "udp4", "0.0.0.0:0")).Port()
		ports := takenTwice{port: taken}
		s, err := tr.openHost(server.addr, ports.draw)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.write(message(7, 40, 'q')); err != nil {
			t.Error(err)
		}
		if _, from := server.query(); from.Port() != ports.last || ports.drawn < 3 {
			t.Errorf("port: got %d after %d draws, want the last one, %d, after 3", from.Port(), ports.drawn, ports.last)
		}
		s.close()
		drawn := 0
		_, err = tr.openHost(server.addr, func() uint16 { drawn++; return taken })
		if !portTaken(err) || drawn != maxBinds {
			t.Errorf("all ports taken: got %v after %d draws, want port taken after %d", err, drawn, maxBinds)
		}
	})
}

func TestPendingIPv6(t *testing.T) {
	inEachWay(t, Options{}, func(t *testing.T, tr *Transport, _ *peer) {
		c := listenUDP(t, "udp6", "[::1]:0")
		server := &peer{t, c, addrPort(c)}
		p := begin(t, tr, server.addr)
		_, from := server.query()
		// The port is still free in IPv4.
		listenUDP(t, "udp4", netip.AddrPortFrom(netip.IPv4Unspecified(), from.Port()).String())
		server.send(from, message(7, 40, 'r'))
		reply, err := p.Await(soon(), nil)
		wantReply(t, reply, err, message(7, 40, 'r'))
	})
}

// Many goroutines at once, with everything that can come between: each gets its own reply
// or the error that fits, and what is kept of a query never reaches another one.
func TestPendingStress(t *testing.T) {
	length := 2 * time.Second
	if testing.Short() {
		length /= 5
	}
	inEachWay(t, Options{MaxSockets: 40}, func(t *testing.T, tr *Transport, server *peer) {
		go server.unreliable()
		end := time.Now().Add(length / time.Duration(len(ways)))
		var work sync.WaitGroup
		var queries, replies, strays atomic.Int64
		goesOn := func() bool { // a machine may have no time at all before the end
			now := time.Now()
			return !t.Failed() && (now.Before(end) || replies.Load() == 0 && now.Before(end.Add(time.Minute)))
		}
		for worker := range 50 {
			work.Go(func() {
				for n := uint16(0); goesOn(); n++ {
					queries.Add(1)
					if stressOne(t, tr, server.addr, n<<6|uint16(worker), &strays) {
						replies.Add(1)
					}
				}
			})
		}
		work.Wait()
		// A late reply meets another query if that has drawn the same port meanwhile. Each query has
		// two replies at most, which a busy machine may send when 40 others have a port of 64,501.
		mean := 2 * 40 * float64(queries.Load()) / 64501
		if replies.Load() == 0 || float64(strays.Load()) > mean+6*math.Sqrt(mean)+10 {
			t.Errorf("%d queries: got %d replies and %d to other queries", queries.Load(), replies.Load(), strays.Load())
		}
	})
}

// unreliable answers as networks do: late, twice, wrongly or not at all.
func (s *peer) unreliable() {
	buffer := make([]byte, maxMessage)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		m := bytes.Clone(buffer[:n])
		send := func() { s.conn.WriteToUDPAddrPort(m, from) }
		switch rand.IntN(8) {
		case 0:
		case 1:
			s.conn.WriteToUDPAddrPort(message(0, 30, 'x'), from)
			send()
		case 2:
			send()
			send()
		case 3:
			time.AfterFunc(time.Millisecond, send)
		default:
			send()
		}
	}
}

func stressOne(t *testing.T, tr *Transport, server netip.AddrPort, id uint16, strays *atomic.Int64) bool {
	p, err := tr.Begin(t.Context(), server, message(id, 40, 'q'))
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Op != "dial" { // ten ports in a row may be taken
			t.Errorf("Begin: %v", err)
		}
		return false
	}
	check := func(m []byte) Verdict {
		switch {
		case bytes.Equal(m, message(id, 40, 'q')):
			return Accept
		case len(m) == 40:
			strays.Add(1)
		}
		return Ignore
	}
	reply, err := p.Await(time.Now().Add(500*time.Microsecond), check)
	var waits sync.WaitGroup
	if err == ErrLate {
		// Another goroutine waits on, and this one, or a third, closes.
		waits.Go(func() { reply, err = p.Await(time.Now().Add(3*time.Millisecond), check) })
		if id%2 == 0 {
			time.Sleep(time.Duration(id) % 512 * time.Microsecond)
			go p.Close()
		}
	} else {
		waits.Go(p.Close)
	}
	waits.Wait()
	p.Close()
	switch {
	case err == nil:
		if !bytes.Equal(reply, message(id, 40, 'q')) {
			t.Errorf("got %x, want the reply to %d", reply, id)
		}
	case err != ErrLate && err != ErrUnreachable && !errors.Is(err, net.ErrClosed):
		t.Errorf("Await: %v", err)
	}
	return err == nil
}
