package resolvertest

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// onSockets makes an Internet that listens.
func onSockets(t *testing.T, text string) *Internet {
	t.Helper()
	in := New(t, text)
	if err := in.Listen(); err != nil {
		t.Fatal(err)
	}
	return in
}

func TestLoopback(t *testing.T) {
	in := onSockets(t, shop+"-- zone six.example. at 2001:db8::6 --\nwww A 192.0.2.6\n-- fault * --\nlatency 1ms")
	for _, test := range []struct{ server, name string }{{shopServer, "www.shop.example."}, {"2001:db8::6", "www.six.example."}} {
		for _, network := range []string{"udp", "tcp"} {
			wire, err := send(t, in, onLoopback, network, test.server, wireOf(t, query(test.name, dns.TypeA)))
			m := new(dns.Msg)
			if err != nil || m.Unpack(wire) != nil || len(m.Answer) != 1 {
				t.Errorf("%s over %s: got %x, %v", test.name, network, wire, err)
			}
		}
	}
	for _, q := range in.Log() {
		if q.Client.Port() == 0 || !q.Client.Addr().IsLoopback() || !q.Answered {
			t.Errorf("log: got %+v, want the client's port", q)
		}
	}
	if err := in.Listen(); err != nil {
		t.Errorf("listening twice: %v", err)
	}
}

// Servers at their own addresses are found without any Dial.
func TestListenAt(t *testing.T) {
	in := New(t, `
-- zone . at 127.73.0.1 --
-- zone example. at 127.73.0.2 --
www A 192.0.2.80
`)
	var err error
	var port uint16
	for port = 12_053; port < 12_153; port++ { // another program may have one of them
		if err = in.ListenAt(port); err == nil {
			break
		}
	}
	if err != nil {
		t.Skipf("no address of 127.0.0.0/8 but the usual one, or no port: %v", err)
	}
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: time.Minute}
		m, _, err := client.Exchange(query("www.example.", dns.TypeA), net.JoinHostPort("127.73.0.2", strconv.Itoa(int(port))))
		if err != nil || len(m.Answer) != 1 {
			t.Errorf("over %s: got %v, %v", network, m, err)
		}
	}
	if got := in.Log(To("127.73.0.2")); len(got) != 2 {
		t.Errorf("log: got %v, want two queries", got)
	}
}

// Addresses that are not the host's are not listened at.
func TestListenAtForeign(t *testing.T) {
	in := New(t, shop)
	if err := in.ListenAt(12_053); err == nil {
		t.Error("got no error for servers outside 127.0.0.0/8")
	}
	if err := in.ListenAt(0); err == nil {
		t.Error("got no error for port 0")
	}
	if err := in.Listen(); err != nil {
		t.Errorf("Listen after that: %v", err)
	}
}

func TestLoopbackFaults(t *testing.T) {
	q := wireOf(t, query("www.shop.example.", dns.TypeA))
	tests := []struct {
		fault   string
		network string
		right   func(wire []byte, err error) bool
	}{
		{"rcode SERVFAIL", "udp", func(w []byte, err error) bool { return err == nil && w[3]&0xf == dns.RcodeServerFailure }},
		{"refuse", "tcp", func(_ []byte, err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		{"when type A: refuse", "tcp", func(_ []byte, err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"unreachable", "udp", func(_ []byte, err error) bool { return errors.Is(err, syscall.ENETUNREACH) }},
		{"unreachable", "tcp", func(_ []byte, err error) bool { return errors.Is(err, syscall.ENETUNREACH) }},
		{"close", "tcp", func(_ []byte, err error) bool { return err == io.EOF }},
		{"reset", "tcp", func(_ []byte, err error) bool { return errors.Is(err, syscall.ECONNRESET) }},
		{"drip 10us", "tcp", func(w []byte, err error) bool { return err == nil && new(dns.Msg).Unpack(w) == nil }},
		{"forge 1 cut 13", "udp", func(w []byte, err error) bool { return err == nil && len(w) == 13 }},
		{"forge 1 cut 13", "tcp", func(w []byte, err error) bool { return err == nil && len(w) == 13 }},
	}
	for _, test := range tests {
		t.Run(test.fault+" over "+test.network, func(t *testing.T) {
			in := onSockets(t, shop+"-- fault "+shopServer+" --\n"+test.fault)
			wire, err := send(t, in, onLoopback, test.network, shopServer, q)
			if !test.right(wire, err) {
				t.Errorf("got %x, %v", wire, err)
			}
		})
	}
}

// TestLoopbackWrongAddress: an unconnected socket sees the reply, and that it
// comes from elsewhere.
func TestLoopbackWrongAddress(t *testing.T) {
	in := onSockets(t, shop+"-- fault "+shopServer+" --\nwrong-address")
	server, ok := in.listeners.realAddress(mustAddrPort(shopServer))
	if !ok {
		t.Fatal("no socket for the server")
	}
	c, err := net.ListenUDP("udp4", loopbackUDP(0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.WriteToUDPAddrPort(wireOf(t, query("www.shop.example.", dns.TypeA)), server); err != nil {
		t.Fatal(err)
	}
	_, from, err := c.ReadFromUDPAddrPort(make([]byte, 512))
	if err != nil || from == server {
		t.Errorf("got a reply from %v, %v, want it from elsewhere", from, err)
	}
}

// TestLoopbackStrangers: where no server is, there is silence as in memory.
func TestLoopbackStrangers(t *testing.T) {
	in := onSockets(t, shop)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.LoopbackDial(ctx, "tcp", "198.51.100.200:53"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := in.LoopbackDial(t.Context(), "unix", ""); err == nil {
		t.Error("no error for a network that does not exist")
	}
	c, err := in.LoopbackDial(t.Context(), "udp", "198.51.100.200:53")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("got %v, want a timeout", err)
	}
}

// TestCloseLeavesNothing: neither goroutines nor sockets, also with replies on
// their way and connections open.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	in, err := NewInternet(shop + "-- fault " + shopServer + " --\nlatency 1h\nwhen type TXT: drip 1h")
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Listen(); err != nil {
		t.Fatal(err)
	}
	server, _ := in.listeners.realAddress(mustAddrPort(shopServer))
	udp, err := net.Dial("udp4", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Dial("tcp4", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp.Write(wireOf(t, query("www.shop.example.", dns.TypeA)))
	tcp.Write(framed(wireOf(t, query("txt.shop.example.", dns.TypeTXT))))
	for in.Count() < 2 {
		runtime.Gosched()
	}
	in.Close()
	in.Close() // twice does no harm
	if _, err := tcp.Read(make([]byte, 1)); err == nil {
		t.Error("the TCP connection is still open")
	}
	// A goroutine that is waited for no longer may still be on its last step.
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after:\n%s", before, after, stacks[:runtime.Stack(stacks, true)])
	}
	if err := in.Listen(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listening after Close: got %v", err)
	}
}
