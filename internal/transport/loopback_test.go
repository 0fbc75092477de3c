package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"
)

// tcpServer serves each connection on loopback with handle, in goroutines that end
// before the test does.
func tcpServer(t testing.TB, handle func(c *net.TCPConn)) netip.AddrPort {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// What servers do with real connections, in a table: the first query on a
// connection is answered, the second meets the oddity.
func TestLoopbackStream(t *testing.T) {
	long := message(2, maxMessage, 'r')
	for _, test := range []struct {
		name           string
		do             func(c *net.TCPConn, q []byte)
		want           []byte
		stale, partial bool
	}{
		{"byte by byte", func(c *net.TCPConn, q []byte) {
			for _, b := range reply(q) {
				c.Write([]byte{b})
				runtime.Gosched()
			}
		}, message(2, 40, 'r'), false, false},
		{"length 65535", func(c *net.TCPConn, q []byte) { c.Write(framed(long)) }, long, false, false},
		{"RST after the query", func(c *net.TCPConn, q []byte) { c.SetLinger(0) }, nil, true, false},
		{"FIN after the query", func(c *net.TCPConn, q []byte) {}, nil, true, false},
		{"FIN in the reply", func(c *net.TCPConn, q []byte) { c.Write(reply(q)[:7]) }, nil, false, true},
		{"length 0", func(c *net.TCPConn, q []byte) { c.Write([]byte{0, 0}); c.Write(reply(q)) }, nil, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			t.Cleanup(func() { wantGoroutines(t, before) })
			server := tcpServer(t, func(c *net.TCPConn) {
				c.Write(reply(readQuery(c)))
				if q := readQuery(c); q != nil {
					test.do(c, q)
				}
			})
			tr := New(Options{})
			defer tr.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			exchange(t, ctx, tr, server, 1)
			wantOpen(t, tr, 0, 1)
			got, err := tr.Exchange(ctx, "tcp", server, message(2, 40, 'q'))
			if !bytes.Equal(got, test.want) {
				t.Errorf("reply: got %d bytes, want %d", len(got), len(test.want))
			}
			if test.want != nil {
				if err != nil {
					t.Errorf("error: got %v, want nil", err)
				}
				return
			}
			e := wantError(t, err, nil, "read", false)
			if !e.Reused || errors.Is(err, ErrStale) != test.stale || e.Partial != test.partial {
				t.Errorf("got %#v, want reused, stale %t, Partial %t", e, test.stale, test.partial)
			}
			exchange(t, ctx, tr, server, 3) // the server is alive
		})
	}
}

// A connection that the server closed while idle is not used again, or found to
// be stale: the query is answered at the latest when sent again.
func TestLoopbackClosedWhileIdle(t *testing.T) {
	server := tcpServer(t, func(c *net.TCPConn) { c.Write(reply(readQuery(c))) })
	tr := New(Options{})
	defer tr.Close()
	for id := range uint16(50) {
		_, err := tr.Exchange(t.Context(), "tcp", server, message(id, 40, 'q'))
		if errors.Is(err, ErrStale) {
			_, err = tr.Exchange(t.Context(), "tcp", server, message(id, 40, 'q'))
		}
		if err != nil && !errors.Is(err, ErrStale) { // it may join the next connection just as that closes
			t.Errorf("query %d: got %v, want a reply or ErrStale", id, err)
		}
	}
}

func TestLoopbackStreamRefused(t *testing.T) {
	client, err := net.Dial("tcp4", tcpServer(t, func(c *net.TCPConn) { echo(c) }).String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server := client.LocalAddr().(*net.TCPAddr).AddrPort() // its port is taken, and takes no connections
	tr := New(Options{})
	defer tr.Close()
	_, err = tr.Exchange(t.Context(), "tcp", server, message(1, 40, 'q'))
	wantError(t, err, nil, "dial", false)
}

// Cancelling leaves neither the goroutine of the sender nor, after Close, any other.
func TestLoopbackStreamCancel(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() { wantGoroutines(t, before) })
	asked := make(chan bool)
	server := tcpServer(t, func(c *net.TCPConn) {
		readQuery(c)
		asked <- true
		io.Copy(io.Discard, c)
	})
	tr := New(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := tr.Exchange(ctx, "tcp", server, message(1, 40, 'q'))
	wantError(t, err, context.Canceled, "read", false)
	wantOpen(t, tr, 0, 1)
	tr.Close()
	wantOpen(t, tr, 0, 0)
}

// The largest datagram arrives whole, however small the size offered was.
func TestLoopbackLargestDatagram(t *testing.T) {
	const largest = 65507 // of UDP over IPv4
	want := message(7, largest, 'r')
	server := udpServer(t, func(_ []byte, _ netip.AddrPort, send func([]byte)) {
		send(nil)
		send(want)
	})
	tr := New(Options{})
	defer tr.Close()
	seenEmpty := false
	got, err := tr.Send(t.Context(), "udp", server, message(7, 40, 'q'), Watch{Check: func(reply []byte) Verdict {
		seenEmpty = seenEmpty || len(reply) == 0
		return accept('r').Check(reply)
	}})
	if err != nil || !bytes.Equal(got, want) || !seenEmpty {
		t.Errorf("got %d bytes, %v, empty datagram seen %t, want %d, true", len(got), err, seenEmpty, largest)
	}
}

func TestLoopbackCloseDuringUse(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() { wantGoroutines(t, before) })
	silent := listenUDP(t, "udp4", "127.0.0.1:0")
	server := tcpServer(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	tr := New(Options{})
	var sent sync.WaitGroup
	for id := range uint16(20) {
		sent.Go(func() {
			_, err := tr.Exchange(t.Context(), "udp", addrPort(silent), message(id, 40, 'q'))
			wantClosed(t, err)
		})
		sent.Go(func() {
			_, err := tr.Exchange(t.Context(), "tcp", server, message(id, 40, 'q'))
			wantClosed(t, err)
		})
	}
	buffer := make([]byte, 100)
	for range 10 { // some are under way, some not yet
		if _, _, err := silent.ReadFromUDPAddrPort(buffer); err != nil {
			t.Fatal(err)
		}
	}
	tr.Close()
	wantOpen(t, tr, 0, 0)
	sent.Wait()
}

func wantClosed(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}
