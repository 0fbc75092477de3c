package resolver_test

import (
	"context"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// BenchmarkAnswerHit compares the ways to an answer that the cache has, on all cores, with
// the least that a resolver which keeps messages would have to do: unpacking the reply with
// miekg/dns.
func BenchmarkAnswerHit(b *testing.B) {
	in, _ := benchWorld(b, "signed")
	r := in.Resolver(b, func(o *resolver.Options) { o.Now = nil }) // the test network's clock has a lock
	ctx := context.Background()
	query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
	query.SetEdns0(1232, true)
	reply, err := r.Exchange(ctx, query)
	if err != nil {
		b.Fatal(err)
	}
	asked, answered := packed(b, query), packed(b, reply)
	for _, way := range []struct {
		name string
		once func(buf []byte) bool
	}{
		{"AppendHit", func(buf []byte) bool { _, ok := r.AppendHit(buf, asked, 1232); return ok }},
		{"Resolve", func([]byte) bool { _, err := r.Resolve(ctx, "www.shop.example.", dns.TypeA); return err == nil }},
		{"LookupNetIP", func([]byte) bool { _, err := r.LookupNetIP(ctx, "ip4", "www.shop.example."); return err == nil }},
		{"Exchange", func([]byte) bool { _, err := r.Exchange(ctx, query); return err == nil }},
		{"Unpack", func([]byte) bool { return new(dns.Msg).Unpack(answered) == nil }},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				buf := make([]byte, 0, 4096)
				for pb.Next() {
					if !way.once(buf) {
						b.Error("no answer")
						return
					}
				}
			})
		})
	}
}

// BenchmarkStats takes a snapshot of what a resolver has done.
func BenchmarkStats(b *testing.B) {
	_, r := benchWorld(b, "")
	b.ReportAllocs()
	for b.Loop() {
		r.Stats()
	}
}
