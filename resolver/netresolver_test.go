package resolver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/stub"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// loopbackWorld has a host at the loopback addresses, where tests can listen.
const loopbackWorld = `
-- zone shop.example. at 198.51.100.3 --
www      A     127.0.0.1
www      AAAA  ::1
four     A     127.0.0.1
alias    CNAME four
text     TXT   "there"
`

// warmNet lets package net read its configuration before a test's virtual time begins:
// what it makes then must not belong to a test.
func warmNet() {
	r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, net.ErrClosed
	}}
	r.LookupTXT(context.Background(), "text.shop.example.")
	r.LookupHost(context.Background(), "www.shop.example.")
}

// dialSelf returns the connection that package net gets.
func dialSelf(t *testing.T, ctx context.Context, r *resolver.Resolver, network string) net.Conn {
	t.Helper()
	c, err := r.NetResolver().Dial(ctx, network, "192.0.2.53:53")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeQuery(t *testing.T, c net.Conn, m *dns.Msg) {
	t.Helper()
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)); err != nil {
		t.Fatal(err)
	}
}

func readReply(c net.Conn) (*dns.Msg, error) {
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	wire := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, wire); err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	return m, m.Unpack(wire)
}

func TestNetResolverConnection(t *testing.T) {
	r := resolvertest.New(t, loopbackWorld).Resolver(t, plain)
	for _, network := range []string{"udp", "tcp"} {
		c := dialSelf(t, t.Context(), r, network)
		if _, ok := c.(net.PacketConn); ok {
			t.Errorf("%s: the connection is a net.PacketConn", network)
		}
		// Two questions at once, and spelled at random.
		for id, name := range []string{"fOuR.Shop.example.", "missing.shop.example."} {
			m := new(dns.Msg).SetQuestion(name, dns.TypeA)
			m.Id = uint16(id)
			writeQuery(t, c, m)
		}
		for range 2 {
			m, err := readReply(c)
			if err != nil {
				t.Fatalf("%s: %v", network, err)
			}
			want := []string{"NOERROR fOuR.Shop.example. 1", "NXDOMAIN missing.shop.example. 0"}[m.Id]
			got := fmt.Sprintf("%s %s %d", dns.RcodeToString[m.Rcode], m.Question[0].Name, len(m.Answer))
			if got != want || !m.Response || !m.RecursionAvailable || m.Truncated {
				t.Errorf("%s: got %s, %+v, want %s with QR and RA", network, got, m.MsgHdr, want)
			}
		}
		if err := c.Close(); err != nil {
			t.Errorf("%s: close: %v", network, err)
		}
	}
}

// A message that is not a query gets no answer, only the end of the connection.
func TestNetResolverGarbage(t *testing.T) {
	r := resolvertest.New(t, loopbackWorld).Resolver(t, plain)
	response := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("four.shop.example.", dns.TypeA))
	wire, err := response.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for name, message := range map[string][]byte{"a response": wire, "garbage": []byte("garbage"), "nothing": {}} {
		c := dialSelf(t, t.Context(), r, "udp")
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
			t.Fatal(err)
		}
		if m, err := readReply(c); err == nil {
			t.Errorf("%s: got the answer %v", name, m)
		}
		c.Close()
	}
}

// A TXT answer larger than any datagram arrives whole and without TC.
func TestNetResolverLargeAnswer(t *testing.T) {
	var zone strings.Builder
	zone.WriteString("-- zone shop.example. at 198.51.100.3 --\n")
	for i := range 60 {
		fmt.Fprintf(&zone, "big TXT \"%d %s\"\n", i, strings.Repeat("x", 240))
	}
	r := resolvertest.New(t, zone.String()).Resolver(t, plain)
	texts, err := r.NetResolver().LookupTXT(t.Context(), "big.shop.example.")
	if err != nil || len(texts) != 60 {
		t.Errorf("got %d texts, %v, want 60", len(texts), err)
	}
}

// slowChain has a chain of aliases that takes more than 5 s to follow: every answer comes
// over TCP, byte by byte.
const slowChain = `
-- zone a.example. at 198.51.100.11 --
text CNAME text.b.example.
-- zone b.example. at 198.51.100.12 --
text CNAME text.c.example.
-- zone c.example. at 198.51.100.13 --
text CNAME text.d.example.
-- zone d.example. at 198.51.100.14 --
text CNAME text.e.example.
-- zone e.example. at 198.51.100.15 --
text TXT "there"
-- fault 198.51.100.0/24 --
when type TXT: truncate
drip 15ms
`

// A question that takes longer than Go's 5 s is asked again by Go, and answered by the work
// that was under way.
func TestNetResolverSlowAnswer(t *testing.T) {
	warmNet()
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, slowChain)
		r := in.Resolver(t, plain)
		var walks, joined int
		ctx := resolver.WithTrace(t.Context(), &resolver.Trace{
			Start: func(resolver.StartInfo) { walks++ },
			Joined: func(j resolver.JoinedInfo) {
				if j.Zone == "" {
					joined++
				}
			},
		})
		start := time.Now()
		texts, err := r.NetResolver().LookupTXT(ctx, "text.a.example.")
		if took := time.Since(start); err != nil || len(texts) != 1 || texts[0] != "there" || took < 5*time.Second {
			t.Errorf("got %q %v after %v, want the text after more than 5s", texts, err, took)
		}
		if n := in.Count(resolvertest.Over("tcp"), resolvertest.Type(dns.TypeTXT)); n != 5 {
			t.Errorf("got %d queries over TCP, want one for each name", n)
		}
		if walks == 0 || joined != 1 {
			t.Errorf("the Trace in the context saw %d walks and %d joins, want some and that of the second try", walks, joined)
		}
	})
}

// Go asks twice for each server in resolv.conf. A failed question is not searched again for
// that: all tries get the failure from the cache.
func TestNetResolverRepeatsFailure(t *testing.T) {
	warmNet()
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, loopbackWorld)
		in.Fault("shop.example", resolvertest.Dead())
		r := in.Resolver(t, plain)
		if _, err := r.Resolve(t.Context(), "text.shop.example.", dns.TypeTXT); err == nil {
			t.Fatal("got an answer from a server that is down")
		}
		in.ResetLog()
		failures := 0
		ctx := resolver.WithTrace(t.Context(), &resolver.Trace{Cache: func(c resolver.CacheInfo) {
			if c.Failure {
				failures++
			}
		}})
		_, err := r.NetResolver().LookupTXT(ctx, "text.shop.example.")
		e := new(net.DNSError)
		if !errors.As(err, &e) || !e.Temporary() {
			t.Errorf("got %v, want a temporary *net.DNSError", err)
		}
		if n := in.Count(); n != 0 || failures < 2 {
			t.Errorf("got %d queries and %d failures out of the cache, want none, and one for each try", n, failures)
		}
	})
}

// The question ends when the caller gives up before the deadline.
func TestNetResolverCancel(t *testing.T) {
	warmNet()
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, loopbackWorld)
		in.Fault("shop.example", resolvertest.Dead())
		r := in.Resolver(t, plain)
		ctx, cancel := context.WithCancel(t.Context())
		var hooks, late atomic.Int64
		ctx = resolver.WithTrace(ctx, &resolver.Trace{Query: func(resolver.QueryInfo) {
			hooks.Add(1)
			if ctx.Err() != nil {
				late.Add(1)
			}
		}})
		time.AfterFunc(300*time.Millisecond, cancel)
		start := time.Now()
		_, err := r.NetResolver().LookupTXT(ctx, "text.shop.example.")
		if took := time.Since(start); took != 300*time.Millisecond || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v after %v, want context.Canceled after 300ms", err, took)
		}
		if !strings.HasSuffix(err.Error(), ": operation was canceled") {
			t.Errorf("got %v, want the words of package net alone, as NetResolver's comment says", err)
		}
		before := in.Count()
		time.Sleep(time.Minute)
		if after := in.Count(); after != before {
			t.Errorf("got %d queries after the end, want none", after-before)
		}
		if hooks.Load() == 0 || late.Load() > 0 {
			t.Errorf("got %d hooks, %d of them late, want some and none", hooks.Load(), late.Load())
		}
	})
}

// A connection obeys the deadline of its context, and its own.
func TestNetResolverDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, loopbackWorld)
		in.Fault("shop.example", resolvertest.Dead())
		question := new(dns.Msg).SetQuestion("text.shop.example.", dns.TypeTXT)
		for _, c := range []struct {
			name string
			set  func(net.Conn)
			want time.Duration
		}{
			{"of the context", func(net.Conn) {}, 2 * time.Second},
			{"its own", func(c net.Conn) { c.SetDeadline(time.Now().Add(time.Second)) }, time.Second},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			conn := dialSelf(t, ctx, in.Resolver(t, plain), "udp")
			c.set(conn)
			start := time.Now()
			writeQuery(t, conn, question)
			_, err := readReply(conn)
			var ne net.Error
			if !errors.As(err, &ne) || !ne.Timeout() || time.Since(start) != c.want {
				t.Errorf("deadline %s: got %v after %v, want a timeout after %v", c.name, err, time.Since(start), c.want)
			}
			conn.Close()
			cancel()
		}
	})
}

// Close ends connections that nobody closed, and the questions on them; no goroutine
// stays, which synctest.Test checks.
func TestNetResolverClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, loopbackWorld)
		in.Fault("shop.example", resolvertest.Dead())
		r, err := resolver.New(in.Options())
		if err != nil {
			t.Fatal(err)
		}
		idle := dialSelf(t, t.Context(), r, "tcp")
		busy := dialSelf(t, t.Context(), r, "tcp")
		writeQuery(t, busy, new(dns.Msg).SetQuestion("text.shop.example.", dns.TypeTXT))
		time.Sleep(time.Second)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		for name, c := range map[string]net.Conn{"idle": idle, "busy": busy} {
			if _, err := readReply(c); err == nil {
				t.Errorf("%s: got an answer after Close", name)
			}
		}
		if _, err := r.NetResolver().Dial(t.Context(), "udp", "192.0.2.53:53"); !errors.Is(err, resolver.ErrClosed) {
			t.Errorf("dial after Close: got %v, want ErrClosed", err)
		}
	})
}

// A thousand callers look up a few names and give up at random. Those that do not get the
// answer, whatever the others do, and nothing is left running.
func TestThousandCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, netWorld)
		in.Fault("*", resolvertest.Latency(40*time.Millisecond))
		r := in.Resolver(t, plain)
		rnd := rand.New(rand.NewPCG(1, 2))
		names := []string{"www.shop.example", "four.shop.example", "chain.shop.example", "www.old.shop.example", "missing.shop.example"}
		answers := []string{"[192.0.2.80 2001:db8::80]", "[192.0.2.4]", "[192.0.2.80 2001:db8::80]", "[192.0.2.90]", "[]"}
		var callers sync.WaitGroup
		var answered, gaveUp atomic.Int64
		for i := range 1000 {
			which := rnd.IntN(len(names))
			begins := time.Duration(rnd.IntN(400)) * time.Millisecond
			patience := time.Duration(rnd.IntN(300)) * time.Millisecond
			impatient := rnd.IntN(2) == 0
			callers.Go(func() {
				time.Sleep(begins)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if impatient {
					time.AfterFunc(patience, cancel)
				}
				addrs, err := r.LookupNetIP(ctx, "ip", names[which])
				e := new(net.DNSError)
				switch {
				case errors.Is(err, context.Canceled):
					gaveUp.Add(1)
					if !impatient {
						t.Errorf("caller %d: %s: got somebody else's cancellation: %v", i, names[which], err)
					}
				case err != nil && !(errors.As(err, &e) && e.IsNotFound), fmt.Sprint(addrs) != answers[which]:
					t.Errorf("caller %d: %s: got %v %v, want %s", i, names[which], addrs, err, answers[which])
				default:
					answered.Add(1)
				}
			})
		}
		callers.Wait()
		if answered.Load() < 500 || gaveUp.Load() == 0 {
			t.Errorf("got %d answers, %d gave up, want at least 500 and some", answered.Load(), gaveUp.Load())
		}
		// All share the walks: a query for each step, and not one for each caller.
		if got := in.Count(resolvertest.Below("shop.example.")); got > 100 {
			t.Errorf("got %d queries, want at most 100", got)
		}
	})
}

// httpServer serves on a loopback address and returns its port.
func httpServer(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		fmt.Fprintf(w, "this is %s", q.Host)
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func httpGet(client *http.Client, ctx context.Context, url string) (string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(q)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func TestHTTPClient(t *testing.T) {
	r := resolvertest.New(t, loopbackWorld).Resolver(t, plain)
	port := httpServer(t)
	dialer := &net.Dialer{Resolver: r.NetResolver()}
	for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
		"DialContext": r.DialContext,
		"NetResolver": dialer.DialContext,
	} {
		transport := &http.Transport{DialContext: dial}
		client := &http.Client{Transport: transport}
		// www has an IPv6 address too, where nobody listens.
		for _, host := range []string{"www.shop.example", "alias.shop.example"} {
			body, err := httpGet(client, t.Context(), "http://"+host+":"+port+"/")
			if want := "this is " + host + ":" + port; err != nil || body != want {
				t.Errorf("%s: got %q %v, want %q", name, body, err, want)
			}
		}
		_, err := httpGet(client, t.Context(), "http://missing.shop.example:"+port+"/")
		e, op := new(net.DNSError), new(net.OpError)
		if !errors.As(err, &e) || !e.IsNotFound || e.Name != "missing.shop.example" || !errors.As(err, &op) || op.Op != "dial" {
			t.Errorf("%s: got %v, want no such host in a *net.OpError", name, err)
		}
		transport.CloseIdleConnections()
	}
}

func TestDialContext(t *testing.T) {
	in := resolvertest.New(t, loopbackWorld)
	r := in.Resolver(t, plain)
	port := httpServer(t)
	for _, c := range []struct{ network, address, want string }{
		{"tcp", "four.shop.example:" + port, "127.0.0.1:" + port},
		{"tcp4", "www.shop.example:" + port, "127.0.0.1:" + port},
		{"tcp", "127.0.0.1:" + port, "127.0.0.1:" + port},
		{"udp", "four.shop.example:domain", "127.0.0.1:53"},
		{"tcp6", "four.shop.example:" + port, "dial tcp6: lookup four.shop.example: no such host"},
		{"tcp", "missing.shop.example:80", "dial tcp: lookup missing.shop.example: no such host"},
		{"tcp", "a b:80", "dial tcp: lookup a b: no such host"},
		{"tcp", "four.shop.example", "dial tcp: address four.shop.example: missing port in address"},
		{"tcp", "four.shop.example:no-such-service", "dial tcp: lookup tcp/no-such-service: unknown port"},
		{"udp", "missing.shop.example:80", "dial udp: lookup missing.shop.example: no such host"},
		{"carrier-pigeon", "four.shop.example:80", "dial carrier-pigeon: unknown network carrier-pigeon"},
	} {
		conn, err := r.DialContext(t.Context(), c.network, c.address)
		got := fmt.Sprint(err)
		if err == nil {
			got = conn.RemoteAddr().String()
			conn.Close()
		}
		if got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.network, c.address, got, c.want)
		}
	}
}

// A host of the hosts file is dialled without DNS, and only over the families it has.
func TestDialContextHostsFile(t *testing.T) {
	path := t.TempDir() + "/hosts"
	if err := os.WriteFile(path, []byte("127.0.0.1 here.example"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := resolvertest.New(t, loopbackWorld)
	r := in.Resolver(t, plain, func(o *resolver.Options) { o.DisableHostsFile, o.HostsFile = false, path })
	conn, err := r.DialContext(t.Context(), "tcp", "here.example:"+httpServer(t))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := r.DialContext(t.Context(), "tcp6", "here.example:80"); err == nil || !strings.Contains(err.Error(), "no suitable address") {
		t.Errorf("tcp6: got %v, want no suitable address", err)
	}
	if n := in.Count(); n != 0 {
		t.Errorf("got %d queries, want none", n)
	}
}

// All hooks of httptrace are called, in order, by DialContext and by net.Dialer beneath.
func TestDialContextTrace(t *testing.T) {
	r := resolvertest.New(t, loopbackWorld).Resolver(t, plain)
	port := httpServer(t)
	var mu sync.Mutex
	var log []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, fmt.Sprintf(format, args...))
	}
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		DNSStart:     func(i httptrace.DNSStartInfo) { note("DNS start %s", i.Host) },
		DNSDone:      func(i httptrace.DNSDoneInfo) { note("DNS done %v %v", i.Addrs, i.Err) },
		ConnectStart: func(network, address string) { note("connect start %s %s", network, address) },
		ConnectDone:  func(network, address string, err error) { note("connect done %s %s %v", network, address, err) },
	})
	conn, err := r.DialContext(ctx, "tcp", "alias.shop.example:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err = r.DialContext(ctx, "tcp", "missing.shop.example:"+port); err == nil {
		t.Fatal("got a connection to a host that is not there")
	}
	want := strings.ReplaceAll(`DNS start alias.shop.example
DNS done [{127.0.0.1 }] <nil>
connect start tcp 127.0.0.1:PORT
connect done tcp 127.0.0.1:PORT <nil>
DNS start missing.shop.example
DNS done [] lookup missing.shop.example: no such host`, "PORT", port)
	if got := strings.Join(log, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The hosts file of a caller comes before DNS, but not at the DNS level.
func TestHostsFileFirst(t *testing.T) {
	path := t.TempDir() + "/hosts"
	if err := os.WriteFile(path, []byte("203.0.113.1 www.shop.example shop\n2001:db8:ffff::1 www.shop.example\n203.0.113.2 only4.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := resolvertest.New(t, netWorld)
	r := in.Resolver(t, plain, func(o *resolver.Options) { o.DisableHostsFile, o.HostsFile = false, path })
	ctx := t.Context()
	text, err := r.LookupHost(ctx, "WWW.shop.example")
	expectNet(t, "LookupHost", "[203.0.113.1 2001:db8:ffff::1]", text, err)
	addrs, err := r.LookupNetIP(ctx, "ip4", "shop")
	expectNet(t, "LookupNetIP", "[203.0.113.1]", addrs, err)
	ips, err := r.LookupIPAddr(ctx, "www.shop.example.")
	expectNet(t, "LookupIPAddr", "[{203.0.113.1 } {2001:db8:ffff::1 }]", ips, err)
	name, err := r.LookupCNAME(ctx, "shop")
	expectNet(t, "LookupCNAME", "www.shop.example.", name, err)
	names, err := r.LookupAddr(ctx, "203.0.113.1")
	expectNet(t, "LookupAddr", "[www.shop.example. shop]", names, err)
	if _, err := r.LookupNetIP(ctx, "ip6", "only4.example"); err == nil || !strings.Contains(err.Error(), "no suitable address") {
		t.Errorf("got %v, want no suitable address", err)
	}
	if n := in.Count(); n != 0 {
		t.Errorf("got %d queries, want none", n)
	}
	result, err := r.Resolve(ctx, "www.shop.example", dns.TypeA)
	if err != nil || len(result.Answer) != 1 || result.Answer[0].(*dns.A).A.String() != "192.0.2.80" {
		t.Errorf("Resolve: got %v %v, want what DNS says", result, err)
	}
	// What a caller does to an answer changes nothing.
	ips[0].IP[0], names[0] = 0, "changed"
	again, err := r.LookupHost(ctx, "www.shop.example")
	expectNet(t, "LookupHost again", "[203.0.113.1 2001:db8:ffff::1]", again, err)
}

func expectNet(t *testing.T, what, want string, got any, err error) {
	t.Helper()
	if err != nil || fmt.Sprint(got) != want {
		t.Errorf("%s: got %v %v, want %s", what, got, err, want)
	}
}

func TestSearchList(t *testing.T) {
	in := resolvertest.New(t, netWorld)
	r := in.Resolver(t, plain, func(o *resolver.Options) { o.SearchList = []string{"broken.example", "shop.example"} })
	ctx := t.Context()
	addrs, err := r.LookupNetIP(ctx, "ip", "four")
	expectNet(t, "a name of one label", "[192.0.2.4]", addrs, err)
	name, err := r.LookupCNAME(ctx, "alias")
	expectNet(t, "its canonical name", "www.shop.example.", name, err)
	canonical, srv, err := r.LookupSRV(ctx, "sip", "tcp", "shop.example")
	expectNet(t, "SRV with dots", "_sip._tcp.shop.example. 2", fmt.Sprint(canonical, " ", len(srv)), err)
	if _, err := r.LookupNetIP(ctx, "ip", "four."); err == nil {
		t.Error("got an address for an absolute name that does not exist")
	}
	// The last try is for the name as it stands, and the error is about the name that the
	// caller passed.
	e, _ := lookupError(t, ctx, r, "missing")
	if !e.IsNotFound {
		t.Errorf("got %+v, want not found", e)
	}
}

func TestAddressesAreSorted(t *testing.T) {
	r := resolvertest.New(t, netWorld).Resolver(t, func(o *resolver.Options) {
		o.DisableHostsFile, o.AddressOrder = true, resolver.OrderIPv6First
	})
	addrs, err := r.LookupNetIP(t.Context(), "ip", "www.shop.example")
	expectNet(t, "IPv6 first", "[2001:db8::80 192.0.2.80]", addrs, err)
	if want := netip.MustParseAddr("2001:db8::80"); len(addrs) > 0 && addrs[0] != want {
		t.Errorf("got %v, want %v", addrs[0], want)
	}
}

// internal/stub has the orders by the same numbers.
func TestAddressOrderNumbers(t *testing.T) {
	for order, want := range map[resolver.AddressOrder]stub.Order{
		resolver.OrderByPolicy: stub.ByPolicy, resolver.OrderAsAnswered: stub.AsAnswered,
		resolver.OrderIPv4First: stub.IPv4First, resolver.OrderIPv6First: stub.IPv6First,
	} {
		if stub.Order(order) != want {
			t.Errorf("order %d: want %d", order, want)
		}
	}
}

func TestNetOptionsAreChecked(t *testing.T) {
	for _, o := range []resolver.Options{
		{SearchList: []string{"corp..example"}},
		{AddressOrder: resolver.OrderIPv6First + 1},
	} {
		if _, err := resolver.New(o); err == nil || !strings.HasPrefix(err.Error(), "resolver: options: ") {
			t.Errorf("%q, order %d: got %v, want an error about options", o.SearchList, o.AddressOrder, err)
		}
	}
}
