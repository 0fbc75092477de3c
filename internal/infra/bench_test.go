package infra

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// benchServers are as many servers as a busy resolver asks within a minute or so.
func benchServers() []netip.AddrPort {
	servers := make([]netip.AddrPort, 1024)
	for i := range servers {
		addr := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		if i%2 == 1 {
			addr = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 14: byte(i >> 8), 15: byte(i)})
		}
		servers[i] = netip.AddrPortFrom(addr, 53)
	}
	return servers
}

// BenchmarkTable: each call on servers that are known, by one goroutine and by one for each core.
func BenchmarkTable(b *testing.B) {
	zone := dnsname.MustParse("shop.example.")
	servers := benchServers()
	for _, call := range []struct {
		name string
		once func(*Table, netip.AddrPort)
	}{
		{"Estimate", func(t *Table, addr netip.AddrPort) { t.Estimate(start, addr) }},
		{"Features", func(t *Table, addr netip.AddrPort) { t.Features(start, addr) }},
		{"Answered", func(t *Table, addr netip.AddrPort) { t.Answered(start, addr, 20*time.Millisecond) }},
		{"TimedOut", func(t *Table, addr netip.AddrPort) { t.TimedOut(start, addr, 1) }},
		// Miss: what one query of a miss calls when the zone has four servers.
		{"Miss", func(t *Table, addr netip.AddrPort) {
			for range 4 {
				t.Lame(start, addr, zone)
				t.Estimate(start, addr)
			}
			for range 6 {
				t.FamilyDown(start, addr)
			}
			t.Features(start, addr)
			t.Estimate(start, addr)
			t.Answered(start, addr, 20*time.Millisecond)
			t.Estimate(start, addr)
		}},
		// AtOnce: the same, with the calls that are several in one.
		{"AtOnce", func(t *Table, addr netip.AddrPort) {
			for range 4 {
				t.Candidate(start, addr, zone)
			}
			for range 6 {
				t.FamilyDown(start, addr)
			}
			t.Contact(start, addr)
			t.Answered(start, addr, 20*time.Millisecond)
			t.Estimate(start, addr)
		}},
	} {
		table := NewTable()
		for _, addr := range servers {
			table.Answered(start, addr, 20*time.Millisecond)
			table.SetCookie(start, addr, []byte("serverpart"))
		}
		b.Run(call.name+"/single", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				call.once(table, servers[i%len(servers)])
			}
		})
		b.Run(call.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			var strides atomic.Int32
			b.RunParallel(func(pb *testing.PB) {
				stride := 2*int(strides.Add(1)) + 1 // so that no two are in step
				for i := stride; pb.Next(); i += stride {
					call.once(table, servers[i%len(servers)])
				}
			})
		})
	}
}
