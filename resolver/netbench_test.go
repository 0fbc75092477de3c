package resolver_test

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// BenchmarkNetHit compares answers out of the cache with the least that any resolver
// that keeps messages would have to do: unpacking the same reply with miekg/dns.
func BenchmarkNetHit(b *testing.B) {
	in := resolvertest.New(b, netWorld)
	ctx := b.Context()
	for _, order := range []struct {
		name  string
		order resolver.AddressOrder
	}{{"unsorted", resolver.OrderAsAnswered}, {"sorted", resolver.OrderByPolicy}} {
		// With the system's hosts file, as by default.
		r := in.Resolver(b, func(o *resolver.Options) {
			o.AddressOrder = order.order
			o.Now = nil // the test network's clock has a lock
		})
		for _, c := range []struct{ name, network, host string }{
			{"ip4", "ip4", "www.shop.example"},
			{"ip", "ip", "www.shop.example"},
			{"ip, no AAAA", "ip", "four.shop.example"},
			{"ip, alias", "ip", "alias.shop.example"},
		} {
			b.Run("LookupNetIP/"+order.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := r.LookupNetIP(ctx, c.network, c.host); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	r := in.Resolver(b, plain)
	b.Run("LookupMX", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.LookupMX(ctx, "shop.example"); err != nil {
				b.Fatal(err)
			}
		}
	})
	theirs := r.NetResolver()
	b.Run("NetResolver", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := theirs.LookupNetIP(ctx, "ip4", "www.shop.example"); err != nil {
				b.Fatal(err)
			}
		}
	})
	benchmarkUnpack(b, r)
}

// benchmarkUnpack unpacks the replies that the look-ups of A and of both families would
// be made of.
func benchmarkUnpack(b *testing.B, r *resolver.Resolver) {
	var replies [][]byte
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		reply, err := r.Exchange(b.Context(), new(dns.Msg).SetQuestion("www.shop.example.", qtype))
		if err != nil {
			b.Fatal(err)
		}
		wire, err := reply.Pack()
		if err != nil {
			b.Fatal(err)
		}
		replies = append(replies, wire)
	}
	for name, some := range map[string][][]byte{"A": replies[:1], "A and AAAA": replies} {
		b.Run("Unpack/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, wire := range some {
					if err := new(dns.Msg).Unpack(wire); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkNetMiss is a look-up with an empty cache over the in-memory network.
func BenchmarkNetMiss(b *testing.B) {
	in := resolvertest.New(b, netWorld)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		o := in.Options()
		plain(&o)
		r, err := resolver.New(o)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := r.LookupNetIP(b.Context(), "ip", "www.shop.example"); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		r.Close()
		b.StartTimer()
	}
}
