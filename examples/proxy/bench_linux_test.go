package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/ipv4"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// benchInternet has a wildcard, for names that were never asked for.
const benchInternet = `
-- zone shop.example. at 198.51.100.3 --
www  A  192.0.2.80
*.w  A  192.0.2.81
`

// newBenchHandler makes a handler over a mock Internet in memory, and a local zone.
func newBenchHandler(tb testing.TB, flags ...string) (*handler, *resolvertest.Internet) {
	tb.Helper()
	c, err := parseFlags(flags, nil)
	if err != nil {
		tb.Fatal(err)
	}
	in := resolvertest.New(tb, benchInternet)
	hosts, err := resolver.ParseHosts(strings.NewReader("192.0.2.77 printer.lan\n"))
	if err != nil {
		tb.Fatal(err)
	}
	r := in.Resolver(tb, func(o *resolver.Options) {
		o.Now = nil // the network's clock has a lock
		o.LocalZones = []resolver.LocalZone{hosts}
	})
	return newHandler(c, r, newMetrics(r), slog.New(slog.DiscardHandler)), in
}

// limitedBench has the benchmarks' client counted: none of this host has limits without flags.
var limitedBench = []string{"-client-rate", "1000000000", "-client-questions", "1000000000"}

// BenchmarkUDP asks over the loopback interface, with some queries on their way at any time. The
// client and the mock servers are in the figures. cpu-ns/op is the time of all cores, which says more
// than ns/op on a machine that does something else too.
func BenchmarkUDP(b *testing.B) {
	for _, kind := range []struct {
		name   string
		listen string
		query  string // with a verb for the number of the query, if each has a name of its own
		flags  []string
	}{
		{"hit", "127.0.0.1:0", "www.shop.example.", nil},
		{"hit at any address", "0.0.0.0:0", "www.shop.example.", nil},
		{"hit of limited client", "127.0.0.1:0", "www.shop.example.", limitedBench},
		{"local", "127.0.0.1:0", "printer.lan.", nil}, // it takes the way of a miss, but no search
		{"local of limited client", "127.0.0.1:0", "printer.lan.", limitedBench},
		{"miss", "127.0.0.1:0", "n%d.w.shop.example.", nil},
	} {
		b.Run(kind.name, func(b *testing.B) {
			h, in := newBenchHandler(b, kind.flags...)
			conns, err := listenUDP(netip.MustParseAddrPort(kind.listen), 1)
			if err != nil {
				b.Skip(err)
			}
			l := newUDPListener(conns[0], h)
			serveBench(b, l, func() {
				at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addrPort(conns[0].LocalAddr()).Port())
				benchClient(b, at, kind.query, in)
			})
		})
	}
}

// BenchmarkTCP is the same over one connection, in whose direction all queries of a batch are sent
// at once.
func BenchmarkTCP(b *testing.B) {
	for name, query := range map[string]string{"hit": "www.shop.example.", "local": "printer.lan."} {
		b.Run(name, func(b *testing.B) {
			h, _ := newBenchHandler(b)
			listening, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				b.Skip(err)
			}
			serveBench(b, newStreamListener(newLimitedListener(listening, h, 10), overTCP, h), func() {
				benchStream(b, listening.Addr().String(), query)
			})
		})
	}
}

// serveBench has a listener serve while work is done.
func serveBench(b *testing.B, l listener, work func()) {
	ended := make(chan error)
	go func() { ended <- l.serve() }()
	work()
	l.stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	if err := l.close(); err != nil {
		b.Error(err)
	}
}

// benchStream sends b.N queries in batches, over connections of as many as one carries.
func benchStream(b *testing.B, server, query string) {
	wire := packQuery(query, 1)
	frame := append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
	frames := bytes.Repeat(frame, udpBatch)
	one := func(left int) int {
		conn, err := net.Dial("tcp", server)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for sent := 0; left > 0 && sent+udpBatch <= streamQueries; sent += udpBatch {
			n := min(left, udpBatch)
			if _, err := conn.Write(frames[:n*len(frame)]); err != nil {
				b.Fatal(err)
			}
			for range n {
				var length [2]byte
				if _, err := io.ReadFull(in, length[:]); err != nil {
					b.Fatal(err)
				}
				if _, err := in.Discard(int(binary.BigEndian.Uint16(length[:]))); err != nil {
					b.Fatal(err)
				}
			}
			left -= n
		}
		return left
	}
	one(1) // into the cache
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for left := b.N; left > 0; {
		left = one(left)
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkDoH asks one query after another over HTTP/2.
func BenchmarkDoH(b *testing.B) {
	h, _ := newBenchHandler(b)
	s := httptest.NewUnstartedServer(&dohHandler{h, h.metrics.newTally(overHTTPS)})
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	wire := packQuery("www.shop.example.", 1)
	once := func() {
		reply, err := s.Client().Post(s.URL+dohPath, dohType, bytes.NewReader(wire))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, reply.Body); err != nil || reply.StatusCode != http.StatusOK {
			b.Fatal(err, reply.Status)
		}
		reply.Body.Close()
	}
	once() // into the cache
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for range b.N {
		once()
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// BenchmarkClients: what each query of a client with limits takes of the table of clients.
func BenchmarkClients(b *testing.B) {
	h, _ := newBenchHandler(b, limitedBench...)
	addrs := make([]netip.Addr, 1024)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
	}
	b.ReportAllocs()
	var strides atomic.Int32
	b.RunParallel(func(pb *testing.PB) {
		stride := 2*int(strides.Add(1)) + 1 // so that no two are in step
		for i := stride; pb.Next(); i += stride {
			addr := addrs[i%len(addrs)]
			h.clients.spend(time.Now(), addr)
			own, _ := h.clients.ask(addr)
			own.leave()
		}
	})
}

// benchClient sends b.N queries in batches, each when all of the one before are answered.
func benchClient(b *testing.B, server netip.AddrPort, query string, in *resolvertest.Internet) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	batch := ipv4.NewPacketConn(conn)
	out, replies := make([]ipv4.Message, udpBatch), make([]ipv4.Message, udpBatch)
	for i := range replies {
		replies[i].Buffers = [][]byte{make([]byte, udpSize)}
	}
	sent := 0
	next := func() []byte {
		sent++
		name := query
		if strings.Contains(query, "%") {
			name = fmt.Sprintf(query, sent)
		}
		return packQuery(name, uint16(sent))
	}
	round := func(n int) {
		for i := range n {
			out[i].Buffers = [][]byte{next()}
		}
		for rest := out[:n]; len(rest) > 0; {
			written, err := batch.WriteBatch(rest, 0)
			if err != nil {
				b.Fatal(err)
			}
			rest = rest[written:]
		}
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		for got := 0; got < n; {
			read, err := batch.ReadBatch(replies, 0)
			if err != nil {
				b.Fatalf("after %d of %d answers: %v", got, n, err)
			}
			for _, r := range replies[:read] {
				if rcode := r.Buffers[0][3] & 15; rcode != dns.RcodeSuccess {
					b.Fatalf("got %s", dns.RcodeToString[int(rcode)])
				}
			}
			got += read
		}
	}
	round(1) // into the cache
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for left := b.N; left > 0; left -= udpBatch {
		round(min(left, udpBatch))
		if sent%1024 < udpBatch {
			in.ResetLog()
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// packQuery packs a query with EDNS for the address of a name.
func packQuery(name string, id uint16) []byte {
	wire := make([]byte, 0, 64)
	for _, word := range [...]uint16{id, 1 << 8, 1, 0, 0, 1} {
		wire = binary.BigEndian.AppendUint16(wire, word)
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		wire = append(append(wire, byte(len(label))), label...)
	}
	wire = append(wire, 0, 0, byte(dns.TypeA), 0, byte(dns.ClassINET))
	return append(wire, 0, 0, byte(dns.TypeOPT), udpSize>>8, udpSize&255, 0, 0, 0, 0, 0, 0)
}
