package resolver_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/resolver"
)

// BenchmarkMissOverSockets asks for names that the cache does not have, of a server on this host
// that is authoritative for all of them: one query over a socket each. The server's work counts too.
func BenchmarkMissOverSockets(b *testing.B) {
	r := overSockets(b)
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
	r := overSockets(b)
	query := packed(b, new(dns.Msg).SetQuestion("n00000000.example.", dns.TypeA))
	const label = 13 // where its digits begin
	n, answers := 0, 0
	count := func(reply []byte) { answers += int(reply[7]) }
	b.ReportAllocs()
	for b.Loop() {
		n++
		for i, left := label+7, n; i >= label+1; i-- {
			query[i], left = byte('0'+left%10), left/10
		}
		r.ServeWire(query, resolver.WireClient{MaxSize: 1232}, count)
	}
	if answers != n {
		b.Fatalf("%d of %d were answered", answers, n)
	}
}

// overSockets returns a resolver that asks a server on this host, until the end of the benchmark.
func overSockets(b *testing.B) *resolver.Resolver {
	b.Helper()
	at := serveEverything(b)
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

// serveEverything answers queries over UDP with one address, until the end of the benchmark.
func serveEverything(b *testing.B) netip.AddrPort {
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
			conn.WriteToUDPAddrPort(reply, from)
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}
