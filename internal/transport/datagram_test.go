package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// udpServer answers on loopback with handle, which sends whatever it wants.
func udpServer(t testing.TB, handle func(query []byte, from netip.AddrPort, send func([]byte))) netip.AddrPort {
	c := listenUDP(t, "udp4", "127.0.0.1:0")
	go func() {
		buffer := make([]byte, maxMessage)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			handle(bytes.Clone(buffer[:n]), from, func(b []byte) { c.WriteToUDPAddrPort(b, from) })
		}
	}()
	return addrPort(c)
}

func udpEcho(query []byte, _ netip.AddrPort, send func([]byte)) { send(query) }

func TestDatagramLoopback(t *testing.T) {
	server := udpServer(t, udpEcho)
	tr := New(Options{})
	defer tr.Close()
	query := message(7, 40, 'q')
	for _, to := range []netip.AddrPort{server, netip.AddrPortFrom(netip.AddrFrom16(server.Addr().As16()), server.Port())} {
		reply, err := tr.Exchange(t.Context(), "udp", to, query)
		if err != nil || !bytes.Equal(reply, query) || cap(reply) != len(reply) {
			t.Errorf("Exchange with %v: got %x (capacity %d), %v, want %x", to, reply, cap(reply), err, query)
		}
	}
	wantOpen(t, tr, 0, 0)
}

// The server sees a port of its own for each query, from the whole range.
func TestDatagramPorts(t *testing.T) {
	var mu sync.Mutex
	var ports []uint16
	server := udpServer(t, func(query []byte, from netip.AddrPort, send func([]byte)) {
		mu.Lock()
		ports = append(ports, from.Port())
		mu.Unlock()
		send(query)
	})
	tr := New(Options{})
	defer tr.Close()
	const n = 400
	for range n {
		if _, err := tr.Exchange(t.Context(), "udp", server, message(1, 12, 0)); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	distinct := map[uint16]bool{}
	for _, p := range ports {
		if !usablePort(p) {
			t.Errorf("port: got %d, want a usable one", p)
		}
		distinct[p] = true
	}
	if len(ports) != n || len(distinct) < n-12 { // 1.2 pairs expected
		t.Errorf("%d queries: got %d ports, want nearly as many", len(ports), len(distinct))
	}
	if got := chiSquare(ports); got > chiSquareLimit {
		t.Errorf("chi-square: got %.1f, want at most %.1f", got, chiSquareLimit)
	}
}

// RFC 5452 §9.1: only the server's address and port are heard.
func TestDatagramOtherSource(t *testing.T) {
	other := listenUDP(t, "udp4", "127.0.0.1:0")
	server := udpServer(t, func(query []byte, from netip.AddrPort, send func([]byte)) {
		for range 10 {
			other.WriteToUDPAddrPort(message(7, 40, 'f'), from)
		}
		send(message(7, 40, 'r'))
	})
	tr := New(Options{})
	defer tr.Close()
	reply, err := tr.Exchange(t.Context(), "udp", server, message(7, 40, 'q'))
	if err != nil || !bytes.Equal(reply, message(7, 40, 'r')) {
		t.Errorf("got %x, %v, want the reply of the server", reply, err)
	}
}

// 1,000 bad packets neither end the wait nor shorten it (TuDoor).
func TestDatagramBadPacketsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{packets: func(query []byte, arrive func([]byte, error)) {
			for i := range 1000 {
				arrive(bytes.Repeat([]byte{byte(i % 100)}, i), nil)
			}
			time.Sleep(900 * time.Millisecond)
			arrive(message(7, 100, 'r'), nil)
		}}
		tr := New(Options{Dial: n.Dial})
		seen := 0
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		reply, err := tr.Send(ctx, "udp", server1, message(7, 40, 'q'), Watch{Check: func(reply []byte) Verdict {
			seen++
			return accept('r').Check(reply)
		}})
		if err != nil || !bytes.Equal(reply, message(7, 100, 'r')) || seen != 1001 {
			t.Errorf("got %x, %v after %d packets, want the reply after 1001", reply, err, seen)
		}
		tr.Close()
		if open, _, all := n.state(); open != 0 || all != 1 {
			t.Errorf("sockets: got %d open, %d in all, want 0 and 1", open, all)
		}
	})
}

// The accepted slice is the caller's: it may keep what it saw in the check.
func TestDatagramReplyIsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{packets: func(query []byte, arrive func([]byte, error)) {
			arrive(message(7, 20, 'x'), nil)
			arrive(message(7, 20, 'r'), nil)
			arrive(message(7, 20, 'y'), nil)
		}}
		tr := New(Options{Dial: n.Dial})
		defer tr.Close()
		var kept []byte
		reply, err := tr.Send(t.Context(), "udp", server2, message(7, 20, 'q'), Watch{Check: func(reply []byte) Verdict {
			kept = reply
			return accept('r').Check(reply)
		}})
		if err != nil || &kept[0] != &reply[0] || len(reply) != 20 || cap(reply) != 20 {
			t.Errorf("got %x (capacity %d), %v, want the slice that was checked", reply, cap(reply), err)
		}
		if _, err := tr.Exchange(t.Context(), "udp", server1, message(8, 20, 'q')); err != nil {
			t.Fatal(err)
		}
		if want := message(7, 20, 'r'); !bytes.Equal(reply, want) {
			t.Errorf("after another send: got %x, want %x", reply, want)
		}
	})
}

func TestDatagramAbandon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{packets: func(query []byte, arrive func([]byte, error)) { arrive(message(8, 30, 'f'), nil) }}
		tr := New(Options{Dial: n.Dial})
		defer tr.Close()
		reply, err := tr.Send(t.Context(), "udp", server1, message(7, 40, 'q'), Watch{Check: func([]byte) Verdict { return Abandon }})
		if !bytes.Equal(reply, message(8, 30, 'f')) {
			t.Errorf("reply: got %x, want the message abandoned for", reply)
		}
		wantError(t, err, ErrAbandoned, "read", false)
		wantOpen(t, tr, 0, 0)
	})
}

// Nobody listens, nobody answers: the wait lasts as long as the context.
func TestDatagramUnreachable(t *testing.T) {
	tr := New(Options{})
	defer tr.Close()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := tr.Send(ctx, "udp", closedPort(t), message(7, 40, 'q'), Watch{Unreachable: cancel})
	wantError(t, err, context.Canceled, "read", false)
}

// Forged refusals, as many as the limit allows, call Unreachable once and do not end
// the wait; a connection that fails for good does.
func TestDatagramReadErrors(t *testing.T) {
	refusal := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNREFUSED)}
	unreachable := &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.EHOSTUNREACH)}
	for _, test := range []struct {
		name    string
		err     error
		times   int
		refused int
		answer  bool
	}{
		{"one refusal", refusal, 1, 1, true},
		{"refusals up to the limit", refusal, maxReadErrors - 1, 1, true},
		{"refusals without end", refusal, maxReadErrors, 1, false},
		{"unreachable", unreachable, 3, 0, true},
		{"unreachable without end", unreachable, maxReadErrors, 0, false},
		{"closed by the other side", io.EOF, 1, 0, false},
		{"closed pipe", io.ErrClosedPipe, 1, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{packets: func(query []byte, arrive func([]byte, error)) {
					for range test.times {
						arrive(nil, test.err)
					}
					arrive(query, nil)
				}}
				tr := New(Options{Dial: n.Dial})
				defer tr.Close()
				refused := 0
				reply, err := tr.Send(t.Context(), "udp", server1, message(7, 40, 'q'), Watch{Unreachable: func() { refused++ }})
				if refused > 1 || test.answer && refused != test.refused {
					t.Errorf("Unreachable: got %d calls, want %d", refused, test.refused)
				}
				if test.answer {
					if err != nil || !bytes.Equal(reply, message(7, 40, 'q')) {
						t.Errorf("got %x, %v, want the reply", reply, err)
					}
					return
				}
				wantError(t, err, test.err, "read", false)
			})
		})
	}
}

// A timeout before the deadline is a lost packet; one at the deadline is the
// context's.
func TestDatagramTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{packets: func(query []byte, arrive func([]byte, error)) {
			if query[headerSize-1] == 'l' {
				arrive(nil, os.ErrDeadlineExceeded)
			}
		}}
		tr := New(Options{Dial: n.Dial})
		defer tr.Close()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()

		_, err := tr.Exchange(ctx, "udp", server1, message(7, 40, 'l'))
		wantError(t, err, os.ErrDeadlineExceeded, "read", true)
		if errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 0 {
			t.Errorf("lost packet: got %v after %v, want the connection's own timeout at once", err, time.Since(start))
		}
		_, err = tr.Exchange(ctx, "udp", server1, message(7, 40, 's'))
		wantError(t, err, context.DeadlineExceeded, "read", true)
		if got := time.Since(start); got != 300*time.Millisecond {
			t.Errorf("silence: ended after %v, want 300ms", got)
		}
		<-ctx.Done() // its timer and that of the connection run out together
		_, err = tr.Exchange(ctx, "udp", server1, message(7, 40, 's'))
		wantError(t, err, context.DeadlineExceeded, "wait", true)
		if _, _, all := n.state(); all != 2 {
			t.Errorf("sockets in all: got %d, want 2: none for a context that is over", all)
		}
	})
}

// Only the connection's timer, not the context's, says that time is over.
type deadlineOnly struct {
	context.Context
	at time.Time
}

func (d deadlineOnly) Deadline() (time.Time, bool) { return d.at, true }

func TestDatagramDeadlineBeforeDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{packets: func([]byte, func([]byte, error)) {}}
		tr := New(Options{Dial: n.Dial})
		defer tr.Close()
		_, err := tr.Exchange(deadlineOnly{context.Background(), time.Now().Add(time.Second)}, "udp", server1, message(7, 40, 'q'))
		wantError(t, err, context.DeadlineExceeded, "read", true)
	})
}

func TestDatagramDialAndWriteErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("no route")
		n := &network{connect: func(context.Context, string) error { return failure }}
		tr := New(Options{Dial: n.Dial})
		defer tr.Close()
		_, err := tr.Exchange(t.Context(), "udp", server1, message(7, 40, 'q'))
		wantError(t, err, failure, "dial", false)

		broken := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) {
			a, b := net.Pipe()
			b.Close()
			return a, nil
		}})
		defer broken.Close()
		_, err = broken.Exchange(t.Context(), "udp", server1, message(7, 40, 'q'))
		wantError(t, err, io.ErrClosedPipe, "write", false)
		wantOpen(t, broken, 0, 0)
	})
}

// Cancelling frees socket and goroutine at once.
func TestDatagramCancel(t *testing.T) {
	before := runtime.NumGoroutine()
	server := listenUDP(t, "udp4", "127.0.0.1:0") // never answers
	tr := New(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	const n = 50
	var sent sync.WaitGroup
	var failed atomic.Int64
	for i := range n {
		sent.Go(func() {
			if _, err := tr.Exchange(ctx, "udp", addrPort(server), message(uint16(i), 40, 'q')); errors.Is(err, context.Canceled) {
				failed.Add(1)
			}
		})
	}
	buffer := make([]byte, 100)
	for range n {
		if _, _, err := server.ReadFromUDPAddrPort(buffer); err != nil {
			t.Fatal(err)
		}
	}
	wantOpen(t, tr, n, 0)
	cancel()
	sent.Wait()
	wantOpen(t, tr, 0, 0)
	if got := failed.Load(); got != n {
		t.Errorf("cancelled sends: got %d with context.Canceled, want %d", got, n)
	}
	wantGoroutines(t, before)
	tr.Close()
}

func TestDatagramCancelInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{packets: func([]byte, func([]byte, error)) {}}
		tr := New(Options{Dial: n.Dial})
		defer tr.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := tr.Exchange(ctx, "udp", server1, message(7, 40, 'q'))
		wantError(t, err, context.Canceled, "read", false)
		if open, _, _ := n.state(); open != 0 || time.Since(start) != time.Second {
			t.Errorf("got %d sockets open after %v, want 0 after 1s", open, time.Since(start))
		}
		wantOpen(t, tr, 0, 0)
	})
}

// Not more than MaxSockets are open; a send that waits for one ends with its context.
func TestDatagramMaxSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{packets: func(query []byte, arrive func([]byte, error)) {
			time.Sleep(time.Second)
			arrive(query, nil)
		}}
		tr := New(Options{Dial: n.Dial, MaxSockets: 3})
		defer tr.Close()
		var sent sync.WaitGroup
		start := time.Now()
		for range 9 {
			sent.Go(func() {
				if _, err := tr.Exchange(t.Context(), "udp", server1, message(7, 40, 'q')); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		wantOpen(t, tr, 3, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := tr.Exchange(ctx, "udp", server1, message(7, 40, 'q'))
		wantError(t, err, context.DeadlineExceeded, "wait", true)
		sent.Wait()
		if _, most, _ := n.state(); most != 3 || time.Since(start) != 3*time.Second {
			t.Errorf("got %d sockets at once for %v, want 3 for 3s", most, time.Since(start))
		}
	})
}

// Close ends sends that read, dial and wait for a socket, and those to come.
func TestDatagramClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			packets: func([]byte, func([]byte, error)) {},
			connect: func(ctx context.Context, address string) error {
				if address == server2.String() {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			},
		}
		tr := New(Options{Dial: n.Dial, MaxSockets: 2})
		errs := make(chan error, 3)
		for _, server := range []netip.AddrPort{server1, server2, server1} {
			go func() {
				_, err := tr.Exchange(t.Context(), "udp", server, message(7, 40, 'q'))
				errs <- err
			}()
			synctest.Wait()
		}
		if err := tr.Close(); err != nil {
			t.Errorf("Close: got %v, want nil", err)
		}
		wantOpen(t, tr, 0, 0)
		ops := map[string]bool{}
		for range 3 {
			err := <-errs
			var e *Error
			if !errors.As(err, &e) || !errors.Is(err, net.ErrClosed) {
				t.Fatalf("send under way: got %v, want net.ErrClosed", err)
			}
			ops[e.Op] = true
		}
		if len(ops) != 3 {
			t.Errorf("operations ended by Close: got %v, want wait, dial and read", ops)
		}
		for _, kind := range []string{"udp", "tcp"} {
			_, err := tr.Exchange(t.Context(), kind, server1, message(7, 40, 'q'))
			wantError(t, err, net.ErrClosed, "dial", false)
		}
		if err := tr.Close(); err != nil {
			t.Errorf("second Close: got %v, want nil", err)
		}
	})
}
