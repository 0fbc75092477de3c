package resolver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// client is the far end of a ServeDNS call.
type client struct {
	dns.ResponseWriter
	remote net.Addr
	tls    *tls.ConnectionState
	reply  *dns.Msg // the last one written
	at     time.Time
}

func (c *client) RemoteAddr() net.Addr                  { return c.remote }
func (c *client) ConnectionState() *tls.ConnectionState { return c.tls }
func (c *client) WriteMsg(m *dns.Msg) error {
	c.reply, c.at = m, time.Now()
	return nil
}

var (
	overUDP = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5353}
	overTCP = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5353}
)

// served returns the message that ServeDNS writes; nil when it writes nothing.
func served(r *resolver.Resolver, remote net.Addr, query *dns.Msg) *dns.Msg {
	c := &client{remote: remote}
	r.ServeDNS(c, query)
	return c.reply
}

// wireLength returns the length of a message in wire format.
func wireLength(t *testing.T, m *dns.Msg) int {
	t.Helper()
	packed, err := m.Pack()
	if err != nil {
		t.Fatalf("reply does not pack: %v", err)
	}
	return len(packed)
}

func TestServeDNSTruncates(t *testing.T) {
	var zone strings.Builder
	zone.WriteString("-- zone shop.example. at 198.51.100.3 --\n")
	for _, set := range []struct {
		name    string
		records int
	}{{"small", 2}, {"middle", 10}, {"big", 40}} { // about 200, 900 and 3500 bytes
		for i := range set.records {
			fmt.Fprintf(&zone, "%s TXT \"%02d%s\"\n", set.name, i, strings.Repeat("x", 70))
		}
	}
	size := func(n uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.SetEdns0(n, false) } }
	for _, test := range []struct {
		name   string
		edns   []func(*dns.Msg)
		remote net.Addr
		limit  int
		tc     bool
	}{
		{"small", nil, overUDP, 512, false},
		{"middle", nil, overUDP, 512, true},
		{"middle", []func(*dns.Msg){size(0)}, overUDP, 512, true},
		{"middle", []func(*dns.Msg){size(512)}, overUDP, 512, true},
		{"middle", []func(*dns.Msg){size(1232)}, overUDP, 1232, false},
		{"big", []func(*dns.Msg){size(1232)}, overUDP, 1232, true},
		{"big", []func(*dns.Msg){size(4096)}, overUDP, 1232, true},
		{"big", []func(*dns.Msg){size(65535)}, overUDP, 1232, true},
		{"big", nil, overTCP, 65535, false},
		{"big", []func(*dns.Msg){size(512)}, overTCP, 65535, false},
	} {
		t.Run(fmt.Sprintf("%s %s %d", test.name, test.remote.Network(), test.limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolvertest.New(t, zone.String()).Resolver(t)
				query := ask(test.name+".shop.example.", dns.TypeTXT, test.edns...)
				reply := served(r, test.remote, query)
				if reply.Truncated != test.tc || reply.Id != query.Id || (reply.IsEdns0() != nil) != (test.edns != nil) {
					t.Errorf("got TC=%t, want %t:\n%v", reply.Truncated, test.tc, reply)
				}
				if got := wireLength(t, reply); got > test.limit {
					t.Errorf("reply has %d bytes, want at most %d", got, test.limit)
				}
			})
		})
	}
}

// An answer that had to be searched is sent as short as one from the cache, and not padded
// to more than it needs.
func TestServeDNSCompresses(t *testing.T) {
	var zone strings.Builder
	zone.WriteString("-- zone shop.example. --\n")
	for i := range 30 {
		fmt.Fprintf(&zone, "www A 192.0.2.%d\n", i+1)
	}
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, zone.String()).Resolver(t)
		query := ask("www.shop.example.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, false) })
		missed := wireLength(t, served(r, overTCP, query))
		hit, ok := r.AppendHit(nil, packed(t, query), 0)
		if !ok || missed != len(hit) {
			t.Errorf("a miss has %d bytes, want as many as a hit, which has %d", missed, len(hit))
		}
		reply, err := r.Exchange(t.Context(), query)
		if err != nil || wireLength(t, reply) != len(hit) {
			t.Errorf("Exchange has %d bytes, %v, want %d", wireLength(t, reply), err, len(hit))
		}
		query.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 20)}}
		c := &client{remote: overTCP, tls: new(tls.ConnectionState)}
		r.ServeDNS(c, query)
		const block = 468 // RFC 8467 §4.1
		if got, want := wireLength(t, c.reply), (missed+4+block-1)/block*block; got != want {
			t.Errorf("padded it has %d bytes, want %d", got, want)
		}
	})
}

func TestServeDNSAnswersNoResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, clientWorld).Resolver(t)
		query := ask("www.shop.example.", dns.TypeA)
		query.Response = true
		if reply := served(r, overUDP, query); reply != nil {
			t.Errorf("a response was answered with\n%v", reply)
		}
	})
}

func TestServeDNSPadsOverTLS(t *testing.T) {
	padded := func(m *dns.Msg) {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, 20)})
	}
	for _, test := range []struct {
		name  string
		query *dns.Msg
		tls   *tls.ConnectionState
		want  bool
	}{
		{"padded over TLS", ask("www.shop.example.", dns.TypeA, padded), new(tls.ConnectionState), true},
		{"signed over TLS", ask("www.shop.example.", dns.TypeA, padded, func(m *dns.Msg) { m.IsEdns0().SetDo() }), new(tls.ConnectionState), true},
		{"denial over TLS", ask("nx.shop.example.", dns.TypeA, padded), new(tls.ConnectionState), true},
		{"not padded over TLS", ask("www.shop.example.", dns.TypeA, withEDNS), new(tls.ConnectionState), false},
		{"no EDNS over TLS", ask("www.shop.example.", dns.TypeA), new(tls.ConnectionState), false},
		{"padded in clear", ask("www.shop.example.", dns.TypeA, padded), nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolvertest.New(t, clientWorld).Resolver(t)
				c := &client{remote: overTCP, tls: test.tls}
				r.ServeDNS(c, test.query)
				if got := wireLength(t, c.reply); (got == 468) != test.want {
					t.Errorf("reply has %d bytes; padded to 468: want %t", got, test.want)
				}
			})
		})
	}
}

// crowdedWorld has a server that takes its time.
const crowdedWorld = `
-- zone shop.example. at 198.51.100.3 --
www             A     192.0.2.80
-- zone slow.example. at 198.51.100.4 --
*               A     192.0.2.81
-- fault 198.51.100.4 --
latency 700ms
`

// crowd lets n clients ask for names of slow.example. at once and returns them when all
// have their answers.
func crowd(r *resolver.Resolver, n int) []*client {
	clients := make([]*client, n)
	var all sync.WaitGroup
	for i := range clients {
		clients[i] = &client{remote: overUDP}
		all.Go(func() { r.ServeDNS(clients[i], ask(fmt.Sprintf("c%d.slow.example.", i), dns.TypeA, withEDNS)) })
	}
	all.Wait()
	return clients
}

// With two questions at a time, the third and fourth wait for the first two, and all others
// are refused at once, since as many wait already as may.
func TestServeDNSOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, crowdedWorld)
		r := in.Resolver(t, func(o *resolver.Options) { o.Limits.Questions = 2 })
		served(r, overUDP, ask("www.shop.example.", dns.TypeA))
		served(r, overUDP, ask("warm.slow.example.", dns.TypeA))
		start := time.Now()
		clients := crowd(r, 8)
		answered, atOnce := 0, 0
		for _, c := range clients {
			took := c.at.Sub(start)
			switch c.reply.Rcode {
			case dns.RcodeSuccess:
				answered++
			case dns.RcodeServerFailure:
				if !slices.Equal(codes(c.reply), []uint16{dns.ExtendedErrorCodeOther}) || took > time.Second {
					t.Errorf("overload is reported as %v after %v, want an extended error within 1s", codes(c.reply), took)
				}
				if took == 0 {
					atOnce++
				}
			default:
				t.Errorf("got\n%v", c.reply)
			}
		}
		// Some of the first four may have been refused too, as all come in the same
		// instant.
		if answered < 2 || answered > 4 || atOnce < 4 {
			t.Errorf("of 8 clients %d were answered and %d turned away at once, want 2 to 4 and at least 4", answered, atOnce)
		}
	})
}

// A question that gets no slot for a second is refused, however long the others may still
// take.
func TestServeDNSPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, crowdedWorld)
		r := in.Resolver(t, func(o *resolver.Options) { o.Limits.Questions, o.Limits.Time = 1, 6*time.Second })
		served(r, overUDP, ask("warm.slow.example.", dns.TypeA))
		in.Fault("198.51.100.4", resolvertest.Dead())
		start := time.Now()
		var times []time.Duration
		clients := make(chan []*client, 1)
		go func() { clients <- crowd(r, 1) }()
		synctest.Wait() // until the first has its slot
		for _, c := range slices.Concat(crowd(r, 1), <-clients) {
			if c.reply.Rcode != dns.RcodeServerFailure {
				t.Errorf("got\n%v", c.reply)
			}
			times = append(times, c.at.Sub(start))
		}
		if slices.Sort(times); times[0] != time.Second || times[1] <= time.Second {
			t.Errorf("answers after %v, want one after 1s and one later", times)
		}
	})
}

// Answers from the cache are sent however many questions are under way.
func TestServeDNSHitsUnderOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, crowdedWorld)
		r := in.Resolver(t, func(o *resolver.Options) { o.Limits.Questions = 1 })
		served(r, overUDP, ask("www.shop.example.", dns.TypeA))
		var others sync.WaitGroup
		others.Go(func() { crowd(r, 20) })
		synctest.Wait()
		start := time.Now()
		reply := served(r, overUDP, ask("www.shop.example.", dns.TypeA))
		if reply.Rcode != dns.RcodeSuccess || time.Since(start) != 0 {
			t.Errorf("got %s after %v, want NOERROR at once", dns.RcodeToString[reply.Rcode], time.Since(start))
		}
		others.Wait()
	})
}

// A caller of Exchange waits for its turn for as long as its context lasts.
func TestExchangeWaitsByItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, crowdedWorld)
		r := in.Resolver(t, func(o *resolver.Options) { o.Limits.Questions, o.Limits.Time = 1, 6*time.Second })
		served(r, overUDP, ask("warm.slow.example.", dns.TypeA))
		for _, name := range []string{"first.slow.example.", "second.slow.example."} {
			go r.Resolve(t.Context(), name, dns.TypeA)
			synctest.Wait()
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
		defer cancel()
		reply, err := r.Exchange(ctx, ask("hurried.slow.example.", dns.TypeA))
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != 1200*time.Millisecond {
			t.Errorf("got %v, error %v after %v, want the end of the context after 1.2s", reply, err, took)
		}
		if reply := exchanged(t, r, ask("patient.slow.example.", dns.TypeA)); reply.Rcode != dns.RcodeSuccess {
			t.Errorf("got\n%v\nwant the answer, when it is its turn", reply)
		}
	})
}

// A caller of Resolve waits for its turn as long as a question may take.
func TestQuestionsWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, crowdedWorld)
		r := in.Resolver(t, func(o *resolver.Options) { o.Limits.Questions, o.Limits.Time = 1, 5*time.Second })
		if _, err := r.Resolve(t.Context(), "warm.slow.example.", dns.TypeA); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		failed := make(chan error, 12)
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				if _, err := r.Resolve(t.Context(), fmt.Sprintf("r%d.slow.example.", i), dns.TypeA); err != nil {
					failed <- err
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v, want at most 5s", took)
		}
		if n := len(failed); n == 0 || n > 8 {
			t.Errorf("%d of 12 questions of 700 ms, one at a time, failed in 5s; want 1 to 8", n)
		}
	})
}

// ServeDNS answers though servers are silent.
func TestServeDNSDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, crowdedWorld+"-- fault 198.51.100.4 --\ndead")
		r := in.Resolver(t, func(o *resolver.Options) { o.Limits.Time = 4 * time.Second })
		start := time.Now()
		reply := served(r, overUDP, ask("www.slow.example.", dns.TypeA, withEDNS))
		if reply.Rcode != dns.RcodeServerFailure || len(codes(reply)) != 1 || time.Since(start) > 4*time.Second {
			t.Errorf("got %s with %v after %v, want SERVFAIL with a reason in 4s", dns.RcodeToString[reply.Rcode], codes(reply), time.Since(start))
		}
	})
}

// Close answers queries that are under way, and those that come later, and leaves no
// goroutine: else synctest fails.
func TestServeDNSDrainsOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, crowdedWorld)
		r := in.Resolver(t)
		served(r, overUDP, ask("warm.slow.example.", dns.TypeA))
		start := time.Now()
		time.AfterFunc(100*time.Millisecond, func() { r.Close() })
		for _, c := range crowd(r, 5) {
			if c.reply == nil || c.reply.Rcode != dns.RcodeServerFailure || !slices.Equal(codes(c.reply), []uint16{dns.ExtendedErrorCodeNotReady}) {
				t.Errorf("got\n%v\nwant SERVFAIL, not ready", c.reply)
			}
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("clients had their answers after %v, want 100ms", took)
		}
		if reply := served(r, overUDP, ask("www.shop.example.", dns.TypeA, withEDNS)); reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("after Close: got\n%v", reply)
		}
	})
}

// startServer puts the resolver behind real sockets.
func startServer(t *testing.T, r *resolver.Resolver) (address string, stop func()) {
	t.Helper()
	var packets net.PacketConn
	var listener net.Listener
	for range 100 { // the TCP port beside a free UDP port may be taken
		var err error
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if listener, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			break
		}
		packets.Close()
	}
	if listener == nil {
		t.Fatal("no port is free for UDP and TCP")
	}
	servers := []*dns.Server{{PacketConn: packets, Handler: r}, {Listener: listener, Handler: r}}
	var running sync.WaitGroup
	for _, s := range servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		running.Go(func() {
			if err := s.ActivateAndServe(); err != nil {
				t.Errorf("server: %v", err)
			}
		})
		<-started
	}
	return packets.LocalAddr().String(), func() {
		for _, s := range servers {
			if err := s.Shutdown(); err != nil {
				t.Errorf("shutdown: %v", err)
			}
		}
		running.Wait()
	}
}

// Many clients at once over real sockets: each gets the answer to its own question.
func TestServeDNSConcurrently(t *testing.T) {
	in := resolvertest.New(t, clientWorld)
	r := in.Resolver(t)
	address, stop := startServer(t, r)
	defer stop()
	names := []string{"www.shop.example.", "alias.shop.example.", "ABROAD.shop.example.", "nx.shop.example.", "www.plain.example.", "localhost.", "www.broken.example."}
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			network := []string{"udp", "tcp"}[i%2]
			c := &dns.Client{Net: network, Timeout: 30 * time.Second}
			for j := range 20 {
				query := ask(names[(i+j)%len(names)], dns.TypeA, withDO)
				reply, _, err := c.Exchange(query, address)
				if err != nil {
					t.Errorf("%s over %s: %v", query.Question[0].Name, network, err)
					return
				}
				if !slices.Equal(reply.Question, query.Question) {
					t.Errorf("asked %v, answered %v", query.Question, reply.Question)
				}
				if want := query.Question[0].Name == "www.broken.example."; (reply.Rcode == dns.RcodeServerFailure) != want {
					t.Errorf("%s: got %s", query.Question[0].Name, dns.RcodeToString[reply.Rcode])
				}
			}
		})
	}
	all.Wait()
}

// Only a real server gets bytes that are no query.
func TestServeDNSMalformed(t *testing.T) {
	in := resolvertest.New(t, clientWorld)
	address, stop := startServer(t, in.Resolver(t))
	defer stop()
	conn, err := dns.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	query, err := ask("www.shop.example.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	manyQuestions := slices.Clone(query)
	manyQuestions[4], manyQuestions[5] = 0xff, 0xff
	for _, junk := range [][]byte{{}, query[:11], query[:20], manyQuestions} {
		if _, err := conn.Write(junk); err != nil {
			t.Fatal(err)
		}
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if err := conn.WriteMsg(ask("localhost.", dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	for { // replies to the part that could be read may come first
		reply, err := conn.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if reply.Rcode == dns.RcodeSuccess {
			if got, want := types(reply.Answer), "localhost. A"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			return
		}
		if reply.Rcode != dns.RcodeFormatError {
			t.Errorf("malformed query was answered with\n%v", reply)
		}
	}
}
