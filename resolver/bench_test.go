package resolver_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// benchWorld has a name that exists, a wildcard for names never asked before, and an
// alias across zones; signed on demand.
func benchWorld(b *testing.B, signed string) (*resolvertest.Internet, *resolver.Resolver) {
	in := resolvertest.New(b, fmt.Sprintf(`
-- zone shop.example. at 198.51.100.3 198.51.100.4 %[1]s --
www   A 192.0.2.80
www   A 192.0.2.81
alias CNAME www.host.test.
*.w   A 192.0.2.82
-- zone host.test. at 198.51.100.5 %[1]s --
www   A 192.0.2.83
`, signed))
	return in, in.Resolver(b)
}

// BenchmarkHit asks for a name in the cache.
func BenchmarkHit(b *testing.B) {
	for _, world := range []string{"", "signed"} {
		b.Run("zone="+orUnsigned(world), func(b *testing.B) {
			_, r := benchWorld(b, world)
			ctx := context.Background()
			if _, err := r.Resolve(ctx, "www.shop.example", dns.TypeA); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Resolve(ctx, "www.shop.example", dns.TypeA); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkMiss asks for names that take one upstream query each; the figure includes the
// mock server's work.
func BenchmarkMiss(b *testing.B) {
	in, r := benchWorld(b, "")
	ctx := context.Background()
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		if _, err := r.Resolve(ctx, fmt.Sprintf("n%d.w.shop.example", n), dns.TypeA); err != nil {
			b.Fatal(err)
		}
		if n%1000 == 0 {
			b.StopTimer()
			in.ResetLog()
			b.StartTimer()
		}
	}
}

// BenchmarkCold asks a resolver that knows nothing, through three zones.
func BenchmarkCold(b *testing.B) {
	for _, world := range []string{"", "signed"} {
		b.Run("zone="+orUnsigned(world), func(b *testing.B) {
			in, _ := benchWorld(b, world)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				r, err := resolver.New(in.Options())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Resolve(ctx, "www.shop.example", dns.TypeA); err != nil {
					b.Fatal(err)
				}
				r.Close()
				in.ResetLog()
			}
		})
	}
}

func orUnsigned(world string) string {
	if world == "" {
		return "unsigned"
	}
	return world
}
