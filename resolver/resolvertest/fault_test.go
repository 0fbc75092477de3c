package resolvertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// shop is an Internet with one server to put faults on.
const shop = `
-- zone shop.example. at 198.51.100.3 --
www     A       192.0.2.80
txt     TXT     "plain"
`

const shopServer = "198.51.100.3"

// TestReplyFaults has the faults that change what is in a reply, written as in a
// text.
func TestReplyFaults(t *testing.T) {
	const plain = "an www.shop.example. 300 IN A 192.0.2.80"
	tests := []struct {
		fault string
		want  string
	}{
		{"rcode SERVFAIL", "SERVFAIL"},
		{"rcode 9", "NOTAUTH"},
		{"truncate", "NOERROR aa tc"},
		{"lame refused", "REFUSED"},
		{"lame upward", "NOERROR\nns . 3600 IN NS ns1."},
		{"lame not-authoritative", "NOERROR\n" + plain},
		{"clear aa", "NOERROR\n" + plain},
		{"set ra", "NOERROR aa ra\n" + plain},
		{"set tc", "NOERROR aa tc\n" + plain},
		{"add answer www.victim.example. 60 A 203.0.113.66", "NOERROR aa\n" + plain + "\nan www.victim.example. 60 IN A 203.0.113.66"},
		{"add answer @ A 203.0.113.66", "NOERROR aa\n" + plain + "\nan www.shop.example. 300 IN A 203.0.113.66"},
		{"add authority victim.example. NS ns.evil.example.", "NOERROR aa\n" + plain + "\nns victim.example. 300 IN NS ns.evil.example."},
		{"add additional  ns.victim.example. A 203.0.113.66", "NOERROR aa\n" + plain + "\nar ns.victim.example. 300 IN A 203.0.113.66"},
		{"remove answer A", "NOERROR aa"},
		{"remove answer *", "NOERROR aa"},
		{"remove answer AAAA", "NOERROR aa\n" + plain},
		{"remove answer www.shop.example. A", "NOERROR aa"},
		{"remove answer other.shop.example. A", "NOERROR aa\n" + plain},
		{"replace NXDOMAIN", "NXDOMAIN aa"},
		{"replace NOERROR www.shop.example. 5 A 203.0.113.66", "NOERROR aa\nan www.shop.example. 5 IN A 203.0.113.66"},
		{"when name www.shop.example.: rcode SERVFAIL", "SERVFAIL"},
		{"when name WWW.shop.example: rcode SERVFAIL", "SERVFAIL"},
		{"when name txt.shop.example.: rcode SERVFAIL", "NOERROR aa\n" + plain},
		{"when below example. type A udp: rcode SERVFAIL", "SERVFAIL"},
		{"when below victim.example.: rcode SERVFAIL", "NOERROR aa\n" + plain},
		{"when tcp: rcode SERVFAIL", "NOERROR aa\n" + plain},
		{"when type AAAA: rcode SERVFAIL", "NOERROR aa\n" + plain},
		{"when not-type AAAA: rcode SERVFAIL", "SERVFAIL"},
		{"when edns: rcode SERVFAIL", "SERVFAIL"},
		{"when no-edns: rcode SERVFAIL", "NOERROR aa\n" + plain},
		{"when do: rcode SERVFAIL", "NOERROR aa\n" + plain},
		{"when rd: rcode SERVFAIL", "NOERROR aa\n" + plain},
		{"when cookie: rcode SERVFAIL", "NOERROR aa\n" + plain},
		{"when no-cookie: rcode SERVFAIL", "SERVFAIL"},
		{"no-edns formerr", "FORMERR"},
		{"no-edns notimp", "NOTIMP"},
		{"no-edns ignore", "NOERROR aa\n" + plain},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			in := New(t, shop+"-- fault "+shopServer+" --\n"+test.fault)
			compare(t, text(ask(t, in, shopServer, query("www.shop.example.", dns.TypeA))), test.want)
		})
	}
}

func TestFaultsBuildOnEachOther(t *testing.T) {
	in := New(t, shop+`
-- fault shop.example. --
replace NXDOMAIN
add authority shop.example. SOA ns.shop.example. h. 1 1 1 1 1
clear aa
`)
	compare(t, text(ask(t, in, shopServer, query("www.shop.example.", dns.TypeA))), `NXDOMAIN
		ns shop.example. 300 IN SOA ns.shop.example. h. 1 1 1 1 1`)
}

// TestFaultsLeaveZonesAlone: a fault edits a copy of the records.
func TestFaultsLeaveZonesAlone(t *testing.T) {
	in := New(t, shop)
	in.Fault(shopServer, Hook(func(_, reply *dns.Msg) {
		reply.Answer[0].(*dns.A).A[3] = 66
		reply.Answer[0].Header().Ttl = 1
	}).First(1))
	q := query("www.shop.example.", dns.TypeA)
	compare(t, text(ask(t, in, shopServer, q)), "NOERROR aa\nan www.shop.example. 1 IN A 192.0.2.66")
	compare(t, text(ask(t, in, shopServer, q)), "NOERROR aa\nan www.shop.example. 300 IN A 192.0.2.80")
}

// A reply is filled up to a size as it is sent: with names compressed.
func TestOversize(t *testing.T) {
	const size, owner = 1500, "a-name-that-takes-much-room.unless-it-is-compressed"
	var zone strings.Builder
	for i := range 12 {
		fmt.Fprintf(&zone, "%s A 192.0.2.%d\n", owner, i)
	}
	in := New(t, shop+zone.String())
	in.Fault(shopServer, Oversize(size))
	wire, err := send(t, in, inMemory, "udp", shopServer, wireOf(t, query(owner+".shop.example.", dns.TypeA)))
	if err != nil || len(wire) < size || len(wire) >= size+300 {
		t.Errorf("got a reply of %d bytes, error %v; want %d at least, and not much more", len(wire), err, size)
	}
}

func TestHeaderFaults(t *testing.T) {
	q := query("www.Shop.example.", dns.TypeA)
	tests := []struct {
		fault string
		right func(reply *dns.Msg) bool
	}{
		{"wrong-id", func(r *dns.Msg) bool { return r.Id != q.Id }},
		{"wrong-qr", func(r *dns.Msg) bool { return !r.Response }},
		{"wrong-opcode 5", func(r *dns.Msg) bool { return r.Opcode == dns.OpcodeUpdate }},
		{"wrong-question victim.example. TXT", func(r *dns.Msg) bool {
			return r.Question[0].Name == "victim.example." && r.Question[0].Qtype == dns.TypeTXT
		}},
		{"no-question", func(r *dns.Msg) bool { return len(r.Question) == 0 }},
		{"fold-case", func(r *dns.Msg) bool {
			return r.Question[0].Name == "www.shop.example." && r.Answer[0].Header().Name == "www.shop.example."
		}},
		{"random-case", func(r *dns.Msg) bool { return r.Question[0].Name == "WWW.sHOP.EXAMPLE." }},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			in := New(t, shop+"-- fault "+shopServer+" --\n"+test.fault)
			if reply := ask(t, in, shopServer, q); !test.right(reply) {
				t.Errorf("got %v", reply)
			}
		})
	}
}

func TestWireFaults(t *testing.T) {
	q := wireOf(t, query("www.shop.example.", dns.TypeA))
	tests := []struct {
		fault string
		right func(reply []byte) bool
	}{
		{"cut 20", func(r []byte) bool { return len(r) == 20 && new(dns.Msg).Unpack(r) != nil }},
		{"garbage", func(r []byte) bool { return bytes.Equal(r[:2], q[:2]) && new(dns.Msg).Unpack(r) != nil }},
		{"oversize 3000", func(r []byte) bool { return len(r) >= 3000 && len(r) < 3500 && new(dns.Msg).Unpack(r) == nil }},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			in := New(t, shop+"-- fault "+shopServer+" --\n"+test.fault)
			reply, err := send(t, in, inMemory, "udp", shopServer, q)
			if err != nil || !test.right(reply) {
				t.Errorf("got %x, %v", reply, err)
			}
		})
	}
}

func TestRawHook(t *testing.T) {
	q := wireOf(t, query("www.shop.example.", dns.TypeA))
	in := New(t, shop)
	in.Fault(shopServer,
		RawHook(func(query, reply []byte) []byte { return append(reply, query[:2]...) }).When(Over("udp")),
		RawHook(func(_, _ []byte) []byte { return nil }).When(Over("tcp")))
	reply, err := send(t, in, inMemory, "udp", shopServer, q)
	if err != nil || !bytes.HasSuffix(reply, q[:2]) {
		t.Errorf("got %x, %v", reply, err)
	}
	synctest.Test(t, func(t *testing.T) {
		if reply, err := send(t, in, inMemory, "tcp", shopServer, q); !isTimeout(err) {
			t.Errorf("got %x, %v, want silence", reply, err)
		}
	})
}

// TestDelivery has the faults that decide whether and when something arrives.
func TestDelivery(t *testing.T) {
	const (
		answered = "answered"
		timeout  = "timeout"
		refused  = "connection refused"
		noRoute  = "network is unreachable"
		reset    = "connection reset by peer"
		eof      = "EOF"
	)
	tests := []struct {
		fault    string
		udp, tcp string
		after    time.Duration // how long UDP and TCP together took to fail or answer
	}{
		{"latency 20ms", answered, answered, 60 * time.Millisecond}, // TCP: handshake and query
		{"latency 20ms\nlatency 5ms", answered, answered, 75 * time.Millisecond},
		{"drop", timeout, timeout, 2 * patience},
		{"no-edns drop", timeout, timeout, 2 * patience},
		{"dead", timeout, timeout, 2 * patience},
		{"when tcp: dead", answered, timeout, patience},
		{"when udp: dead", timeout, answered, patience},
		{"when type A: dead", timeout, timeout, 2 * patience},
		{"refuse", refused, refused, 0},
		{"latency 20ms\nrefuse", refused, refused, 40 * time.Millisecond},
		{"unreachable", noRoute, noRoute, 0},
		{"close", answered, eof, 0},
		{"reset", answered, reset, 0},
		{"drip 1ms", answered, answered, 62 * time.Millisecond},
		{"wrong-address", timeout, answered, patience},
		{"loss 0%", answered, answered, 0},
		{"loss 100%", timeout, timeout, 2 * patience},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := New(t, shop+"-- fault "+shopServer+" --\n"+test.fault)
				start := time.Now()
				for _, try := range []struct{ network, want string }{{"udp", test.udp}, {"tcp", test.tcp}} {
					if got := outcome(t, in, try.network); !strings.HasSuffix(got, try.want) {
						t.Errorf("%s: got %q, want %q", try.network, got, try.want)
					}
				}
				if took := time.Since(start); took != test.after {
					t.Errorf("took %v, want %v", took, test.after)
				}
			})
		})
	}
}

// outcome asks once and says what happened.
func outcome(t *testing.T, in *Internet, network string) string {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := in.Dial(ctx, network, at(shopServer))
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	wire := wireOf(t, query("www.shop.example.", dns.TypeA))
	if network == "udp" {
		_, err = sendDatagram(c, wire)
	} else {
		_, err = sendStream(c, wire)
	}
	switch {
	case err == nil:
		return "answered"
	case isTimeout(err):
		return "timeout"
	}
	return err.Error()
}

func TestErrorsAreThoseOfSockets(t *testing.T) {
	in := New(t, shop)
	wire := wireOf(t, query("www.shop.example.", dns.TypeA))
	in.Fault(shopServer, Refuse())
	for _, network := range []string{"udp", "tcp"} {
		if _, err := send(t, in, inMemory, network, shopServer, wire); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: got %v, want ECONNREFUSED", network, err)
		}
	}
	in.Fault(shopServer, Mend(), Unreachable())
	for _, network := range []string{"udp", "tcp"} {
		if _, err := send(t, in, inMemory, network, shopServer, wire); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("%s: got %v, want ENETUNREACH", network, err)
		}
	}
	in.Fault(shopServer, Mend(), ResetInstead())
	if _, err := send(t, in, inMemory, "tcp", shopServer, wire); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want ECONNRESET", err)
	}
	in.Fault(shopServer, Mend(), CloseInstead())
	if _, err := send(t, in, inMemory, "tcp", shopServer, wire); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
}

// TestPartial: so many bytes of the length and the message arrive, and then the end; over
// UDP it is no fault.
func TestPartial(t *testing.T) {
	for _, dial := range []dialer{inMemory, onLoopback} {
		in := New(t, shop)
		in.Fault(shopServer, Partial(20))
		if err := in.Listen(); err != nil {
			t.Fatal(err)
		}
		wire := wireOf(t, query("www.shop.example.", dns.TypeA))
		conn, err := dial(t, in, "tcp", shopServer)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(framed(wire)); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || len(got) != 20 {
			t.Errorf("got %d bytes and %v, want 20 and the end", len(got), err)
		}
		if _, err := send(t, in, dial, "udp", shopServer, wire); err != nil {
			t.Errorf("over UDP: got %v, want an answer", err)
		}
	}
}

// TestLatencyFunc: each query takes as long as the function says.
func TestLatencyFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(t, shop)
		in.Fault(shopServer, LatencyFunc(func(q Query) time.Duration {
			if q.Type == dns.TypeTXT {
				return 3 * time.Second
			}
			return time.Second
		}))
		for rrtype, want := range map[uint16]time.Duration{dns.TypeA: time.Second, dns.TypeTXT: 3 * time.Second} {
			start := time.Now()
			ask(t, in, shopServer, query("www.shop.example.", rrtype))
			if took := time.Since(start); took != want {
				t.Errorf("%s: took %v, want %v", dns.Type(rrtype), took, want)
			}
		}
	})
}

func TestUnreachablePrefixHasStrangersToo(t *testing.T) {
	in := New(t, shop)
	in.Fault("::/0", Unreachable())
	if _, err := in.Dial(t.Context(), "udp", "[2001:db8::1]:53"); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("got %v, want ENETUNREACH", err)
	}
	if got := outcome(t, in, "udp"); got != "answered" {
		t.Errorf("over IPv4: got %s", got)
	}
}

// TestCounts has the conditions that count, as the numbers of the queries out of
// eight that got SERVFAIL.
func TestCounts(t *testing.T) {
	tests := []struct {
		condition string
		want      []int
	}{
		{"first 3", []int{1, 2, 3}},
		{"every 3", []int{3, 6}},
		{"after 6", []int{7, 8}},
		{"after 2 first 3", []int{3, 4, 5}},
		{"after 2 every 2", []int{4, 6, 8}},
		{"first 4 every 2", []int{2, 4}},
		{"every 1", []int{1, 2, 3, 4, 5, 6, 7, 8}},
	}
	for _, test := range tests {
		in := New(t, shop+"-- fault "+shopServer+" --\nwhen "+test.condition+": rcode SERVFAIL")
		var got []int
		for i := 1; i <= 8; i++ {
			if ask(t, in, shopServer, query("www.shop.example.", dns.TypeA)).Rcode == dns.RcodeServerFailure {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.condition, got, test.want)
		}
	}
}

// TestCountsAreKept: adding a fault or changing a zone does not begin them anew.
func TestCountsAreKept(t *testing.T) {
	in := New(t, shop)
	in.Fault(shopServer, Rcode(dns.RcodeServerFailure).First(1))
	q := query("www.shop.example.", dns.TypeA)
	ask(t, in, shopServer, q)
	in.Fault(shopServer, Latency(0))
	if err := in.Update("-- zone shop.example. --\nwww A 192.0.2.81"); err != nil {
		t.Fatal(err)
	}
	compare(t, text(ask(t, in, shopServer, q)), "NOERROR aa\nan www.shop.example. 300 IN A 192.0.2.81")
}

// TestLossIsSeeded: the same seed loses the same queries, another one others.
func TestLossIsSeeded(t *testing.T) {
	lost := func(seed uint64) (pattern string) {
		in := New(t, shop, Seed(seed))
		in.Fault(shopServer, Loss(0.5))
		for range 64 {
			if in.connecting(mustAddrPort(shopServer), "udp", atQuery).silent {
				pattern += "x"
			} else {
				pattern += "."
			}
		}
		return pattern
	}
	if first, again := lost(1), lost(1); first != again {
		t.Error("one seed, two patterns")
	}
	if lost(1) == lost(2) {
		t.Error("two seeds, one pattern")
	}
	if n := strings.Count(lost(1), "x"); n < 16 || n > 48 {
		t.Errorf("lost %d of 64 at 50 %%", n)
	}
}

func TestForged(t *testing.T) {
	in := New(t, shop+`
-- fault 198.51.100.3 --
latency 20ms
forge 2 wrong-id; replace NOERROR www.shop.example. A 203.0.113.66
forge 1 cut 12
`)
	synctest.Test(t, func(t *testing.T) {
		c, err := in.Dial(t.Context(), "udp", at(shopServer))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		q := query("www.shop.example.", dns.TypeA)
		if _, err := c.Write(wireOf(t, q)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for range 4 {
			wire, err := readDatagram(c)
			if err != nil {
				t.Fatal(err)
			}
			m := new(dns.Msg)
			switch {
			case m.Unpack(wire) != nil || len(wire) == 12:
				got = append(got, "cut")
			case m.Id != q.Id:
				got = append(got, "forged "+m.Answer[0].(*dns.A).A.String())
			default:
				got = append(got, "genuine "+m.Answer[0].(*dns.A).A.String())
			}
		}
		want := []string{"forged 203.0.113.66", "forged 203.0.113.66", "cut", "genuine 192.0.2.80"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestIntercept(t *testing.T) {
	in := New(t, shop+"-- intercept --\nlatency 5ms\nwhen type TXT: rcode REFUSED")
	synctest.Test(t, func(t *testing.T) {
		for _, server := range []string{shopServer, "192.0.2.200"} { // whether or not a server is there
			compare(t, text(ask(t, in, server, query("www.shop.example.", dns.TypeA))),
				"NOERROR ra\nan www.shop.example. 300 IN A 192.0.2.80")
		}
		compare(t, text(ask(t, in, shopServer, query("txt.shop.example.", dns.TypeTXT))), "REFUSED ra")
	})
	if in.Count(To("192.0.2.200")) != 1 {
		t.Errorf("the log hides where a query was sent:\n%s", Table(in.Log()))
	}
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	tests := []struct{ line, want string }{
		{"nonsense", "unknown fault"},
		{"nonsense 3", "unknown fault"},
		{"latency", "wrong number of words"},
		{"latency fast", "no duration"},
		{"latency -1s", "no duration"},
		{"loss 101%", "no probability"},
		{"loss NaN", "no probability"},
		{"dead now", "wrong number of words"},
		{"rcode NOPE", "unknown RCODE"},
		{"rcode 4096", "unknown RCODE"},
		{"lame duck", "lame upward"},
		{"no-edns maybe", "no-edns formerr"},
		{"cut 65536", "not a number"},
		{"set xx", "unknown flag"},
		{"set aa tc", "wrong number of words"},
		{"add nowhere www.example. A 192.0.2.1", "section answer"},
		{"add answer www.example. A 192.0.2.300", "bad A"},
		{"add answer", "nothing there"},
		{"replace NOPE", "unknown RCODE"},
		{"replace NOERROR www.example. A x", "bad A"},
		{"remove answer", "wrong number of words"},
		{"remove answer NOTYPE", "unknown type"},
		{"remove nowhere A", "section answer"},
		{"wrong-question www.example.", "wrong number of words"},
		{"wrong-question www..example. A", "empty label"},
		{"forge x wrong-id", "not a number"},
		{"forge 1 nonsense", "unknown fault"},
		{"forge 1 add answer x", "record"},
		{"when udp dead", "colon"},
		{"when sometimes: dead", "unknown condition"},
		{"when name: dead", "unknown condition"},
		{"when name a..b: dead", "empty label"},
		{"when first x: dead", "not a number"},
		{"when never 3: dead", "unknown condition"},
	}
	for _, test := range tests {
		_, err := NewInternet(shop + "-- fault " + shopServer + " --\n" + test.line)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "line 6: ") {
			t.Errorf("%s: got %v, want line 6 and %q", test.line, err, test.want)
		}
		if _, err := ParseFault(test.line); err == nil {
			t.Errorf("ParseFault(%q): no error", test.line)
		}
	}
}

func TestFaultTargets(t *testing.T) {
	const text = shop + "-- zone other.example. at 198.51.100.4 2001:db8::4 --\nwww A 192.0.2.1\n"
	tests := []struct {
		target string
		want   string // servers with the fault, of the three
	}{
		{"198.51.100.3", "198.51.100.3"},
		{"other.example.", "198.51.100.4 2001:db8::4"},
		{"OTHER.example", "198.51.100.4 2001:db8::4"},
		{"198.51.100.0/24", "198.51.100.3 198.51.100.4"},
		{"::/0", "2001:db8::4"},
		{"*", "198.51.100.3 198.51.100.4 2001:db8::4"},
		{"198.51.100.3 2001:db8::4", "198.51.100.3 2001:db8::4"},
	}
	for _, test := range tests {
		in := New(t, text+"-- fault "+test.target+" --\nrcode SERVFAIL")
		var got []string
		for _, server := range []string{"198.51.100.3", "198.51.100.4", "2001:db8::4"} {
			if ask(t, in, server, query("www.shop.example.", dns.TypeA)).Rcode == dns.RcodeServerFailure {
				got = append(got, server)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %s, want %s", test.target, got, test.want)
		}
	}
	for _, target := range []string{"", "nowhere.example.", "fe80::1%eth0"} {
		if failures := failuresOf(func(t TB) { New(t, text).Fault(target, Dead()) }); len(failures) != 1 {
			t.Errorf("target %q: got failures %q, want one", target, failures)
		}
	}
}

// TestHookSharesRecords: hooks and handlers may put the same records into the replies to several queries
// at once: what is sent is a copy, since to pack a record writes to it.
func TestHookSharesRecords(t *testing.T) {
	in := New(t, shop)
	shared := &dns.A{Hdr: dns.RR_Header{Name: "www.shop.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 99)}
	in.Fault(shopServer, Hook(func(_, reply *dns.Msg) { reply.Answer = []dns.RR{shared} }))
	in.Handle("198.51.100.99", dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		reply.Answer = []dns.RR{shared}
		w.WriteMsg(reply)
	}))
	var all sync.WaitGroup
	for _, server := range []string{shopServer, "198.51.100.99"} {
		for range 4 {
			all.Go(func() {
				if reply := ask(t, in, server, query("www.shop.example.", dns.TypeA)); len(reply.Answer) != 1 {
					t.Errorf("%s: got %v", server, reply)
				}
			})
		}
	}
	all.Wait()
	if shared.Hdr.Rdlength != 0 {
		t.Error("a record of the hook's own was written to")
	}
}
