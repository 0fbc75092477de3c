package cache

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// benchNames are what benchmarks ask for: enough that no single shard or cache line
// decides.
func benchNames(n int) []dnsname.Name {
	names := make([]dnsname.Name, n)
	for i := range names {
		names[i] = numbered(i)
	}
	return names
}

// each runs f from all cores, with another number each time.
func each(b *testing.B, f func(n uint64)) {
	b.ReportAllocs()
	var workers atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		n := workers.Add(1) * 0x9E3779B9
		for pb.Next() {
			f(n)
			n++
		}
	})
}

func BenchmarkHit(b *testing.B) {
	v, names, now := newView(Options{}), benchNames(4096), time.Now()
	for _, n := range names {
		v.Put(now, addressSet(n, 86400, anyAddr), answer)
		v.Get(now, n, dns.TypeA, Checked, RankAnswer)
	}
	b.ResetTimer()
	each(b, func(n uint64) {
		if _, ok := v.Get(now, names[n%4096], dns.TypeA, Checked, RankAnswer); !ok {
			b.Error("lost")
		}
	})
}

// Everybody asks for the same name.
func BenchmarkHitOneName(b *testing.B) {
	v, name, now := newView(Options{}), numbered(1), time.Now()
	v.Put(now, addressSet(name, 86400, anyAddr), answer)
	each(b, func(uint64) {
		if _, ok := v.Get(now, name, dns.TypeA, Checked, RankAnswer); !ok {
			b.Error("lost")
		}
	})
}

func BenchmarkReply(b *testing.B) {
	v, names, now := newView(Options{}), benchNames(4096), time.Now()
	for _, n := range names {
		v.Put(now, addressSet(n, 86400, anyAddr), answer)
		v.Get(now, n, dns.TypeA, Checked, RankAnswer)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf, n := make([]byte, 0, 1232), rand.IntN(4096)
		for pb.Next() {
			if _, _, ok := v.AppendReply(buf, now, ReplyTo{Name: names[n%4096], Type: dns.TypeA, EDNS: true, DO: true, UDPSize: 1232}); !ok {
				b.Error("lost")
			}
			n++
		}
	})
}

func BenchmarkMiss(b *testing.B) {
	v, names, now := newView(Options{}), benchNames(8192), time.Now()
	for _, n := range names[:4096] {
		v.Put(now, addressSet(n, 86400, anyAddr), answer)
	}
	b.ResetTimer()
	each(b, func(n uint64) {
		if _, ok := v.Get(now, names[4096+n%4096], dns.TypeA, Checked, RankAnswer); ok {
			b.Error("found")
		}
	})
}

// A question that the cache knows the zone of and nothing else, asked as a resolver asks it.
func BenchmarkQuestionMissed(b *testing.B) {
	v, names, now := newView(Options{}), benchNames(8192), time.Now()
	for _, n := range names[:4096] {
		v.Put(now, addressSet(n, 86400, anyAddr), answer)
	}
	for _, zone := range []string{"com", "example.com"} {
		v.PutCut(now, delegation(zone, 86400, "ns", "192.0.2.1"), referral)
	}
	for about, find := range map[string]func(Question) (Found, bool){
		"OneByOne": func(q Question) (Found, bool) { return asked(v, now, q) },
		"Find":     func(q Question) (Found, bool) { return v.Find(now, q) },
	} {
		b.Run(about, func(b *testing.B) {
			each(b, func(n uint64) {
				if f, ok := find(Question{Name: names[4096+n%4096], Type: dns.TypeA, Onward: true}); ok || f.Cut.Delegation == nil {
					b.Error("found")
				}
			})
		})
	}
}

func BenchmarkInsertAtCapacity(b *testing.B) {
	const limit = 8 << 20
	v, names, now := newView(Options{MaxBytes: limit}), benchNames(1<<17), time.Now()
	for _, n := range names {
		v.Put(now, addressSet(n, 86400, anyAddr), answer)
	}
	s := addressSet(names[0], 86400, anyAddr)
	b.ResetTimer()
	each(b, func(n uint64) {
		one := *s
		one.Owner = names[n%(1<<17)]
		v.Put(now, &one, answer)
	})
	if got := v.cache.Bytes(); got > limit {
		b.Errorf("%d bytes, want at most %d", got, limit)
	}
}

func BenchmarkNegativeHit(b *testing.B) {
	v, names, now := newView(Options{}), benchNames(4096), time.Now()
	start := soa(b, "example.com", 3600, 3600)
	for _, n := range names {
		v.PutNegative(now, Negative{Name: n, Type: dns.TypeA, NameError: true, SOA: start}, Meta{})
	}
	b.ResetTimer()
	each(b, func(n uint64) {
		if _, ok := v.GetNegative(now, names[n%4096], dns.TypeA, Checked); !ok {
			b.Error("lost")
		}
	})
}

func BenchmarkCut(b *testing.B) {
	v, names, now := newView(Options{}), benchNames(4096), time.Now()
	v.PutCut(now, delegation("com", 86400, "a", "192.0.2.1"), referral)
	v.PutCut(now, delegation("example.com", 86400, "ns", "192.0.2.1"), referral)
	b.ResetTimer()
	each(b, func(n uint64) {
		if cut, ok := v.GetCut(now, names[n%4096]); !ok || cut.Zone != "\x07example\x03com\x00" {
			b.Error("lost")
		}
	})
}

func BenchmarkAggressiveHit(b *testing.B) {
	for _, z := range []*signedZone{{}, {nsec3: &nsec3Params{used: true}}} {
		b.Run(map[bool]string{false: "NSEC", true: "NSEC3"}[z.nsec3 != nil], func(b *testing.B) {
			z.apex = name("example.com")
			z.names = map[dnsname.Name][]uint16{z.apex: {dns.TypeSOA, dns.TypeNS}}
			for n := range 1000 {
				z.names[numbered(n*7919)] = []uint16{dns.TypeA}
			}
			v := newView(Options{})
			learnAll(b, v, "example.com", z.ranges(b))
			var names []dnsname.Name
			for n := range 4096 {
				names = append(names, numbered(7919*1000+n))
			}
			b.ResetTimer()
			each(b, func(n uint64) {
				if s, ok := v.Synthesise(start, names[n%4096], dns.TypeA); !ok || !s.Denied {
					b.Error("nothing synthesised")
				}
			})
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	c := New(at(start))
	v := c.View([32]byte{})
	for _, n := range benchNames(50_000) {
		v.Put(start, addressSet(n, 86400, anyAddr), answer)
	}
	data := snapshot(b, c)
	b.Run("Write", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			snapshot(b, c)
		}
	})
	b.Run("Read", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := New(at(start)).ReadFrom(bytes.NewReader(data)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What a cached address takes of the live heap, with and without a P-256 signature.
func BenchmarkBytesPerEntry(b *testing.B) {
	for _, signed := range []bool{false, true} {
		for _, entries := range []int{120_000, 200_000} {
			b.Run(fmt.Sprintf("signed=%v/%d", signed, entries), func(b *testing.B) {
				names := benchNames(entries)
				for b.Loop() {
					b.ReportMetric(bytesPerEntry(b, names, signed), "B/entry")
				}
			})
		}
	}
}
