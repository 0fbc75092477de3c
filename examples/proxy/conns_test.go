package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// When there is no place for another connection, the one that has been idle for longest
// leaves; those with a query under way stay, and then there is none.
func TestAttackIdleConnections(t *testing.T) {
	const most = 3
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	h := newTestHandler(t)
	l := newLimitedListener(inner, h, most)
	t.Cleanup(func() {
		l.Close()
		l.hangUp()
	})
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetReadDeadline(time.Now().Add(patience / 6)) // or what goes wrong would never end
		return conn
	}
	var clients, servers [most]net.Conn
	for i := range most {
		clients[i] = dial()
		servers[i] = <-accepted
	}
	activityOf(servers[0]).begin() // it asks
	activityOf(servers[1]).begin()
	activityOf(servers[1]).end() // it has asked after the third came
	fourth := dial()
	fourthServer := <-accepted
	if _, err := clients[2].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the connection that was idle for longest: got %v, want its end", err)
	}
	for _, one := range []net.Conn{servers[0], servers[1], fourthServer} {
		if _, err := one.Write([]byte{1}); err != nil {
			t.Errorf("another one: %v", err)
		}
		activityOf(one).begin()
	}
	if _, err := dial().Read(make([]byte, 1)); err == nil {
		t.Error("a connection was accepted beside three that have queries under way")
	}
	if got := h.metrics.connections.Load(); got != most || h.metrics.idleClosed.Load() != 1 || h.metrics.turnedAway.Load() != 1 {
		t.Errorf("got %d connections, %d idle ones closed and %d turned away, want %d, 1 and 1",
			got, h.metrics.idleClosed.Load(), h.metrics.turnedAway.Load(), most)
	}
	_ = fourthServer.Close()
	_ = fourth.Close()
	dial()
	<-accepted // there is a place again
}

// A query that is not whole keeps no place from others, whatever it comes by: who never sends
// the rest of it asks nothing.
func TestAttackHalfQueries(t *testing.T) {
	inBody := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", dohPath, dohType, 2*smallQuery)
	inFrame := string(binary.BigEndian.AppendUint16(nil, 2*smallQuery)) + filled(message([4]uint16{1}, asked), smallQuery)
	for _, test := range []struct {
		about, half string
		make        func(net.Listener, *handler) listener
	}{
		{"TCP", inFrame, func(l net.Listener, h *handler) listener { return newStreamListener(l, overTCP, h) }},
		{"HTTP", inBody, func(l net.Listener, h *handler) listener { return newDoHListener(l, h) }},
	} {
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Skip(err)
		}
		h := newTestHandler(t)
		l := test.make(newLimitedListener(inner, h, 1), h)
		ended := make(chan error)
		go func() { ended <- l.serve() }()
		dial := func(send string) net.Conn {
			conn, err := net.Dial("tcp", inner.Addr().String())
			if err == nil {
				_, err = conn.Write([]byte(send))
			}
			if err != nil {
				t.Fatalf("%s: %v", test.about, err)
			}
			t.Cleanup(func() { conn.Close() })
			_ = conn.SetReadDeadline(time.Now().Add(patience / 6)) // or what goes wrong would never end
			return conn
		}
		half := dial(test.half)
		eventually(t, "the beginning of a query", func() bool { return h.longBytes.Load() > 0 })
		other := dial("")
		if _, err := half.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%s: half a query: got %v, want the end of its connection", test.about, err)
		}
		eventually(t, "its room", func() bool { return h.longBytes.Load() == 0 })
		_ = other.Close()
		l.stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", test.about, err)
		}
	}
}

// filled is wire as a string of n bytes.
func filled(wire []byte, n int) string { return string(append(wire, make([]byte, n-len(wire))...)) }

// The bytes of long queries are bounded for one client and in all; short ones are not
// concerned.
func TestAttackHold(t *testing.T) {
	h := newTestHandler(t)
	first := netip.MustParseAddr("192.0.2.0")
	count := func(addr netip.Addr, bytes int) (n int) {
		for ; n < 10_000 && h.hold(addr, bytes) != nil; n++ {
		}
		return n
	}
	if got, want := count(first, dns.MaxMsgSize), defaultClientQuestions*udpSize/dns.MaxMsgSize; got != want {
		t.Errorf("one client: room for %d of the longest queries, want %d", got, want)
	}
	if got := count(first, smallQuery); got != 10_000 {
		t.Errorf("short queries beside them: room for %d, want any number", got)
	}
	if leave := h.hold(first.Next(), dns.MaxMsgSize); leave == nil {
		t.Error("another client: no room")
	} else {
		leave()
	}
	addr := first
	for range 1000 {
		addr = addr.Next()
		count(addr, dns.MaxMsgSize)
	}
	if got := h.longBytes.Load(); got > maxLongBytes || got < maxLongBytes-dns.MaxMsgSize {
		t.Errorf("1,000 clients: %d bytes, want nearly %d", got, maxLongBytes)
	}
	if h.hold(netip.MustParseAddr("127.0.0.1"), dns.MaxMsgSize) != nil {
		t.Error("this host has no bound of its own, but that in all")
	}
}

// streamOf serves one connection of a client and returns the client's end of it.
func streamOf(t *testing.T, h *handler) net.Conn {
	ours, theirs := net.Pipe()
	l := newStreamListener(nil, overTCP, h)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer ours.Close()
		l.serveConn(&halfConn{ours, 1 << 20})
	}()
	t.Cleanup(func() {
		theirs.Close()
		<-ended
	})
	_ = theirs.SetDeadline(time.Now().Add(patience / 6)) // or what goes wrong would never end
	return theirs
}

// begin writes the first bytes of a query of that length.
func begin(t *testing.T, conn net.Conn, length uint16, wire []byte) {
	t.Helper()
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, length), wire...)); err != nil {
		t.Fatal(err)
	}
}

// A stranger's query over a stream is refused before it is read, and no other follows.
func TestAttackStrangerStream(t *testing.T) {
	h := newTestHandler(t, "-allow-client", "192.0.2.0/24")
	conn := streamOf(t, h)
	long := message([4]uint16{1, 4000}, asked)
	begin(t, conn, smallQuery+1, append(long, make([]byte, smallQuery-len(long))...))
	got, err := (&dns.Conn{Conn: conn}).ReadMsg()
	if err != nil || got.Rcode != dns.RcodeRefused || len(got.Question) != 1 {
		t.Errorf("got %v\n%v\nwant REFUSED", err, got)
	}
	if _, err := conn.Write(make([]byte, 1)); err != io.ErrClosedPipe {
		t.Fatalf("got %v, want that nobody reads the rest", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want the end of the connection", err)
	}
}

// What is no query gets no answer; but a stranger is not listened to any longer for that.
func TestAttackStrangerSendsNoQuery(t *testing.T) {
	reply := message([4]uint16{1}, asked)
	reply[2] |= 1 << 7
	for _, wire := range [][]byte{nil, {1}, reply} {
		for _, clients := range []string{"127.0.0.0/8", "192.0.2.0/24"} {
			conn := streamOf(t, newTestHandler(t, "-allow-client", clients))
			begin(t, conn, uint16(len(wire)), wire)
			if clients != "127.0.0.0/8" {
				if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
					t.Fatalf("%x of a stranger: got %v, want the end of the connection", wire, err)
				}
				continue
			}
			query, _ := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA).Pack()
			begin(t, conn, uint16(len(query)), query)
			if got, err := (&dns.Conn{Conn: conn}).ReadMsg(); err != nil || len(got.Answer) != 1 {
				t.Errorf("a query behind %x: got %v\n%v\nwant an answer", wire, err, got)
			}
		}
	}
}

// A long query for which there is no room is answered with the reason and thrown away; what
// comes behind it is answered.
func TestAttackNoRoomForBytes(t *testing.T) {
	h := newTestHandler(t)
	leave := h.hold(netip.MustParseAddr("127.0.0.1"), maxLongBytes)
	conn := streamOf(t, h)
	client := &dns.Conn{Conn: conn}
	padded := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
	padded.SetEdns0(udpSize, false)
	padded.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 2000)}}
	ask := func(m *dns.Msg) *dns.Msg {
		t.Helper()
		go func() { _ = client.WriteMsg(m) }() // the answer may come before the end of it
		got, err := client.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := ask(padded); got.Rcode != dns.RcodeServerFailure || ede(got) == nil || ede(got).ExtraText != refuseBytes.why.Text {
		t.Errorf("got\n%v\nwant SERVFAIL and the reason", got)
	}
	if got := ask(new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)); len(got.Answer) != 1 {
		t.Errorf("a short one: got\n%v\nwant an answer", got)
	}
	leave()
	if got := ask(padded); len(got.Answer) != 1 {
		t.Errorf("when there is room: got\n%v\nwant an answer", got)
	}
}
