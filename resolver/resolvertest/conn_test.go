package resolvertest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

func open(t *testing.T, in *Internet, network string) net.Conn {
	t.Helper()
	c, err := in.Dial(t.Context(), network, at(shopServer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDialArguments(t *testing.T) {
	in := New(t, shop)
	for _, network := range []string{"udp", "udp4", "udp6", "tcp", "tcp4", "tcp6"} {
		c, err := in.Dial(t.Context(), network, at(shopServer))
		if err != nil {
			t.Errorf("%s: %v", network, err)
			continue
		}
		if _, isPacket := c.(net.PacketConn); isPacket != (network[:3] == "udp") {
			t.Errorf("%s: is a PacketConn: %v", network, isPacket)
		}
		if got := c.RemoteAddr(); got.String() != at(shopServer) || got.Network() != network[:3] {
			t.Errorf("%s: remote address %s %s", network, got.Network(), got)
		}
		c.Close()
	}
	for _, bad := range [][2]string{{"unix", at(shopServer)}, {"udp", "ns.example.:53"}, {"udp", shopServer}, {"tcp", ""}} {
		if _, err := in.Dial(t.Context(), bad[0], bad[1]); err == nil {
			t.Errorf("Dial(%q): no error", bad)
		}
	}
}

// TestSilence: where no server is, nothing comes back, and a TCP connection is
// not made.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(t, shop)
		for _, address := range []string{"198.51.100.200:53", "198.51.100.3:5353"} {
			c, err := in.Dial(t.Context(), "udp", address)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			c.SetDeadline(start.Add(time.Second))
			if _, err := sendDatagram(c, wireOf(t, query("www.shop.example.", dns.TypeA))); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: got %v, want a timeout", address, err)
			}
			if took := time.Since(start); took != time.Second {
				t.Errorf("%s: took %v, want 1s", address, took)
			}
			c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := in.Dial(ctx, "tcp", address); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: got %v, want context.DeadlineExceeded", address, err)
			}
			cancel()
		}
		if n := in.Count(); n != 4 {
			t.Errorf("got %d entries in the log, want 2 of each network", n)
		}
	})
}

func TestDatagramBoundaries(t *testing.T) {
	in := New(t, shop)
	c := open(t, in, "udp")
	for _, name := range []string{"www.shop.example.", "txt.shop.example."} {
		if _, err := c.Write(wireOf(t, query(name, dns.TypeA))); err != nil {
			t.Fatal(err)
		}
	}
	short := make([]byte, 20)
	if n, err := c.Read(short); n != 20 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	wire, err := readDatagram(c)
	m := new(dns.Msg)
	if err != nil || m.Unpack(wire) != nil || m.Question[0].Name != "txt.shop.example." {
		t.Errorf("got %x, %v: want the second reply, whole", wire, err)
	}
}

// TestRepliesOvertake: a datagram arrives when its time has come, whatever was
// sent before it.
func TestRepliesOvertake(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := New(t, shop)
				c := open(t, in, network)
				in.Fault(shopServer, Latency(30*time.Millisecond).When(Name("www.shop.example.")))
				var sent []byte
				for _, name := range []string{"www.shop.example.", "txt.shop.example."} {
					wire := wireOf(t, query(name, dns.TypeA))
					if network == "udp" {
						c.Write(wire)
					}
					sent = append(sent, framed(wire)...)
				}
				read := readDatagram
				if network == "tcp" {
					c.Write(sent)
					read = readStream
				}
				start := time.Now()
				for _, want := range []struct {
					name  string
					after time.Duration
				}{{"txt.shop.example.", 0}, {"www.shop.example.", 30 * time.Millisecond}} {
					wire, err := read(c)
					m := new(dns.Msg)
					if err != nil || m.Unpack(wire) != nil {
						t.Fatalf("got %x, %v", wire, err)
					}
					if got, took := m.Question[0].Name, time.Since(start); got != want.name || took != want.after {
						t.Errorf("got %s after %v, want %s after %v", got, took, want.name, want.after)
					}
				}
			})
		})
	}
}

// TestStreamInPieces: a query may come in any pieces, and its reply be read so.
func TestStreamInPieces(t *testing.T) {
	in := New(t, shop)
	c := open(t, in, "tcp")
	for _, b := range framed(wireOf(t, query("www.shop.example.", dns.TypeA))) {
		if n := in.Count(); n != 0 {
			t.Fatalf("got %d queries before the query was whole", n)
		}
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	one := make([]byte, 1)
	for len(got) < lengthSize || len(got) < lengthSize+int(binary.BigEndian.Uint16(got)) {
		if n, err := c.Read(one); n != 1 || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
		got = append(got, one[0])
	}
	if err := new(dns.Msg).Unpack(got[lengthSize:]); err != nil {
		t.Error(err)
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("reading into nothing: got %d, %v", n, err)
	}
}

func TestStreamAfterItsEnd(t *testing.T) {
	in := New(t, shop)
	in.Fault(shopServer, CloseInstead().After(1))
	c := open(t, in, "tcp")
	q := framed(wireOf(t, query("www.shop.example.", dns.TypeA)))
	if _, err := c.Write(bytes.Repeat(q, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := readStream(c); err != nil {
		t.Errorf("the first reply: %v", err)
	}
	for range 2 {
		if _, err := readStream(c); err != io.EOF {
			t.Errorf("after it: got %v, want EOF", err)
		}
	}
	if _, err := c.Write(q); err != nil {
		t.Errorf("writing: %v", err)
	}
	if n := in.Count(); n != 3 {
		t.Errorf("got %d queries, want the 3 that the server was there for", n)
	}
}

// TestDripKeepsOrder: bytes of two replies do not mix.
func TestDripKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(t, shop)
		in.Fault(shopServer, Drip(time.Second).First(1))
		c := open(t, in, "tcp")
		start := time.Now()
		c.Write(bytes.Repeat(framed(wireOf(t, query("www.shop.example.", dns.TypeA))), 2))
		var size int
		for i := range 2 {
			wire, err := readStream(c)
			if err != nil || new(dns.Msg).Unpack(wire) != nil {
				t.Fatalf("reply %d: %x, %v", i+1, wire, err)
			}
			size = lengthSize + len(wire)
		}
		if took, want := time.Since(start), time.Duration(size-1)*time.Second; took != want {
			t.Errorf("took %v, want %v", took, want)
		}
	})
}

func TestDeadlines(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := New(t, shop)
				c := open(t, in, network)
				buffer := make([]byte, 512)
				start := time.Now()

				c.SetReadDeadline(start.Add(time.Second))
				if _, err := c.Read(buffer); !isTimeout(err) || time.Since(start) != time.Second {
					t.Errorf("got %v after %v, want a timeout after 1s", err, time.Since(start))
				}
				if _, err := c.Write(nil); err != nil {
					t.Errorf("a deadline for reading stops writing: %v", err)
				}

				c.SetDeadline(time.Time{})
				go func() {
					time.Sleep(time.Second)
					c.SetDeadline(time.Now().Add(-time.Minute))
				}()
				if _, err := c.Read(buffer); !isTimeout(err) || time.Since(start) != 2*time.Second {
					t.Errorf("got %v after %v, want a timeout after 2s", err, time.Since(start))
				}
				if _, err := c.Write([]byte{0}); !isTimeout(err) {
					t.Errorf("writing: got %v, want a timeout", err)
				}

				c.SetDeadline(time.Now().Add(time.Second))
				go func() {
					time.Sleep(time.Millisecond)
					c.SetReadDeadline(time.Now().Add(time.Hour))
				}()
				if _, err := c.Read(buffer); !isTimeout(err) || time.Since(start) != time.Hour+2*time.Second+time.Millisecond {
					t.Errorf("got %v after %v, want the later deadline", err, time.Since(start))
				}
			})
		})
	}
}

func TestCloseWakesReaders(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		synctest.Test(t, func(t *testing.T) {
			in := New(t, shop)
			in.Fault(shopServer, Latency(time.Hour).When(Type(dns.TypeA)))
			c := open(t, in, network)
			wire := wireOf(t, query("www.shop.example.", dns.TypeA))
			if network == "tcp" {
				wire = framed(wire)
			}
			c.Write(wire)
			errs := make(chan error)
			go func() {
				_, err := c.Read(make([]byte, 512))
				errs <- err
			}()
			synctest.Wait()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: got %v, want net.ErrClosed", network, err)
			}
			for _, err := range []error{
				c.Close(), c.SetDeadline(time.Time{}),
				second(c.Write([]byte{0})), second(c.Read(make([]byte, 1))),
			} {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s: got %v after Close, want net.ErrClosed", network, err)
				}
			}
		})
	}
}

func second(_ int, err error) error { return err }

// TestForeignUsers: the connections serve miekg/dns and package net, which tell
// UDP from TCP by net.PacketConn. (Package net has state that a bubble of synctest
// cannot have.)
func TestForeignUsers(t *testing.T) {
	in := New(t, shop)
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, Timeout: time.Minute} // on the real clock
		reply, _, err := client.ExchangeWithConn(query("www.shop.example.", dns.TypeA), &dns.Conn{Conn: open(t, in, network)})
		if err != nil || len(reply.Answer) != 1 {
			t.Errorf("miekg/dns over %s: got %v, %v", network, reply, err)
		}
	}
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return in.Dial(ctx, network, at(shopServer))
	}}
	addrs, err := r.LookupNetIP(t.Context(), "ip4", "www.shop.example.")
	if err != nil || len(addrs) != 1 || addrs[0].String() != "192.0.2.80" {
		t.Errorf("net.Resolver: got %v, %v", addrs, err)
	}
	c := open(t, in, "udp").(net.PacketConn)
	if _, err := c.WriteTo([]byte{0}, &net.UDPAddr{}); !errors.Is(err, net.ErrWriteToConnected) {
		t.Errorf("WriteTo: got %v", err)
	}
}

// TestMadeOutsideTheBubble: one Internet may serve many bubbles.
func TestMadeOutsideTheBubble(t *testing.T) {
	in := New(t, shop)
	in.Fault(shopServer, Latency(time.Second))
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			if got := outcome(t, in, "tcp"); got != "answered" {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	in := New(t, shop)
	in.Fault(shopServer, Loss(0.1), Latency(0), Rcode(dns.RcodeServerFailure).Every(2))
	done := make(chan bool)
	for range 8 {
		go func() {
			defer func() { done <- true }()
			for range 50 {
				c, err := in.Dial(context.Background(), "udp", at(shopServer))
				if err != nil {
					t.Error(err)
					return
				}
				m := query("www.shop.example.", dns.TypeA)
				wire, err := m.Pack()
				if err != nil {
					t.Error(err)
				}
				c.Write(wire)
				c.Close()
				in.Log()
				in.Now()
			}
		}()
	}
	for range 20 {
		in.Fault(shopServer, Latency(0))
		if err := in.Update("-- zone shop.example. --\nwww A 192.0.2.80"); err != nil {
			t.Error(err)
		}
	}
	for range 8 {
		<-done
	}
	if got := in.Count(); got != 400 {
		t.Errorf("got %d queries in the log, want 400", got)
	}
}

func BenchmarkExchange(b *testing.B) {
	in, err := NewInternet(shop)
	if err != nil {
		b.Fatal(err)
	}
	wire, err := query("www.shop.example.", dns.TypeA).Pack()
	if err != nil {
		b.Fatal(err)
	}
	buffer := make([]byte, serverUDPSize)
	b.ReportAllocs()
	for b.Loop() {
		c, err := in.Dial(b.Context(), "udp", at(shopServer))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Write(wire); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(buffer); err != nil {
			b.Fatal(err)
		}
		c.Close()
		in.ResetLog()
	}
}
