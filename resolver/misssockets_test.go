package resolver_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/resolver"
)

// BenchmarkMissOverSockets asks for names that the cache does not have, of a server on this host
// that is authoritative for all of them: one query over a socket each. The server's work counts too.
func BenchmarkMissOverSockets(b *testing.B) {
	r := overSockets(b, 0)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		query := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.example.", n), dns.TypeA)
		if reply, err := r.Exchange(context.Background(), query); err != nil || len(reply.Answer) != 1 {
			b.Fatal(reply, err)
		}
	}
}

// BenchmarkServedMiss is the same for clients in wire format, without the making of their queries.
func BenchmarkServedMiss(b *testing.B) {
	r := overSockets(b, 0)
	query := numberedQuery(b)
	n, answers := 0, 0
	count := func(reply []byte) { answers += int(reply[7]) }
	b.ReportAllocs()
	for b.Loop() {
		n++
		setNumber(query, n)
		r.ServeWire(query, resolver.WireClient{MaxSize: 1232}, count)
	}
	if answers != n {
		b.Fatalf("%d of %d were answered", answers, n)
	}
}

// BenchmarkServedMissParallel is the same for many clients at once, which with -cpu 1,2 shows what a
// second thread adds. All of them ask one server, whose entry they share.
func BenchmarkServedMissParallel(b *testing.B) {
	r := overSockets(b, 0)
	var next, answers atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		query := numberedQuery(b)
		count := func(reply []byte) { answers.Add(int64(reply[7])) }
		for pb.Next() {
			setNumber(query, int(next.Add(1)))
			r.ServeWire(query, resolver.WireClient{MaxSize: 1232}, count)
		}
	})
	if answers.Load() != next.Load() {
		b.Fatalf("%d of %d were answered", answers.Load(), next.Load())
	}
}

// BenchmarkWaitingMiss says how many goroutines, and bytes of stack and heap, a client's question
// takes that waits for a server in time. Its query, of the client and in the server, counts too.
func BenchmarkWaitingMiss(b *testing.B) {
	const rtt, questions = 200 * time.Millisecond, 100
	r := overSockets(b, rtt)
	var last atomic.Int64
	ask := func() {
		query := numberedQuery(b)
		setNumber(query, int(last.Add(1)))
		r.ServeWire(query, resolver.WireClient{MaxSize: 1232}, func([]byte) {})
	}
	for range 3 {
		ask() // so that the server's round-trip time is known
	}
	var goroutines, stack, heap float64
	n := 0
	for b.Loop() {
		n++
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		were := runtime.NumGoroutine()
		var all sync.WaitGroup
		for range questions {
			all.Go(ask)
		}
		time.Sleep(rtt / 4)
		goroutines += float64(runtime.NumGoroutine() - were)
		runtime.GC()
		runtime.ReadMemStats(&after)
		stack += float64(after.StackInuse) - float64(before.StackInuse)
		heap += float64(after.HeapAlloc) - float64(before.HeapAlloc)
		all.Wait()
	}
	per := float64(n * questions)
	b.ReportMetric(goroutines/per, "goroutines/question")
	b.ReportMetric(stack/per, "stack-B/question")
	b.ReportMetric(heap/per, "heap-B/question")
}

// numberedQuery returns a query that setNumber changes.
func numberedQuery(b *testing.B) []byte {
	return packed(b, new(dns.Msg).SetQuestion("n00000000.example.", dns.TypeA))
}

// setNumber changes the name that is asked for.
func setNumber(query []byte, n int) {
	const first, digits = 14, 8
	for i := first + digits - 1; i >= first; i-- {
		query[i], n = byte('0'+n%10), n/10
	}
}

// overSockets returns a resolver that asks a server on this host, until the end of the benchmark.
func overSockets(b *testing.B, delay time.Duration) *resolver.Resolver {
	b.Helper()
	at := serveEverything(b, delay)
	r, err := resolver.New(resolver.Options{
		RootHints:   &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{{Name: dnsname.MustParse("ns.example."), Addrs: []netip.Addr{at.Addr()}}}},
		Port:        at.Port(),
		Validation:  resolver.ValidateOff,
		Minimise:    resolver.MinimiseOff,
		AllowServer: func(netip.Addr) bool { return true },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	return r
}

// serveEverything answers queries over UDP with one address, after a while, until the end of the
// benchmark.
func serveEverything(b *testing.B, delay time.Duration) netip.AddrPort {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			const header, answerCount, aa = 12, 7, 0x84
			end := header
			for buf[end] != 0 {
				end += int(buf[end]) + 1
			}
			end += 5
			_ = n
			reply := append(buf[:end:end], 0xC0, header, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1)
			reply[2], reply[3], reply[answerCount] = aa, 0, 1
			copy(reply[8:12], []byte{0, 0, 0, 0})
			if delay == 0 {
				conn.WriteToUDPAddrPort(reply, from)
				continue
			}
			later := slices.Clone(reply)
			time.AfterFunc(delay, func() { conn.WriteToUDPAddrPort(later, from) })
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}
