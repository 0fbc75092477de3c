package dnssec

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// BenchmarkValidate is a response of a zone whose keys are known: one signature, or a
// proof of two or three.
func BenchmarkValidate(b *testing.B) {
	for label, o := range map[string]zoneOptions{
		"P-256":        {algorithm: dns.ECDSAP256SHA256},
		"P-256, NSEC3": {algorithm: dns.ECDSAP256SHA256, nsec3: true},
		"RSA":          {algorithm: dns.RSASHA256},
		"Ed25519":      {},
	} {
		w := family(b, o)
		w.expect("www.child.example.", dns.TypeA, Secure, 0)
		keys := w.last.KeySet(name("child.example."))
		for _, qname := range []string{"www.child.example.", "nope.child.example."} {
			r := w.zones["child.example."].answer(qname, dns.TypeA)
			b.Run(label+"/"+r.Kind.String(), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					e := w.v.Evidence(testTime, testTime, NewWork(Limits{}))
					e.AddKeySet(keys)
					if v, _, err := e.Validate(r); err != nil || v.Status != Secure {
						b.Fatal(v, err)
					}
				}
			})
		}
	}
}

// BenchmarkRemembered is a response whose signatures were good before.
func BenchmarkRemembered(b *testing.B) {
	w := family(b, zoneOptions{algorithm: dns.ECDSAP256SHA256, nsec3: true})
	w.memory = newMemory()
	for _, qname := range []string{"www.child.example.", "nope.child.example."} {
		w.expect(qname, dns.TypeA, Secure, 0)
		keys, r := w.last.KeySet(name("child.example.")), w.final
		b.Run(r.Kind.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e := w.v.Evidence(testTime, testTime, NewWork(Limits{}))
				e.Remember(w.memory)
				e.AddKeySet(keys)
				if v, _, err := e.Validate(r); err != nil || v.Status != Secure || e.work.Spent().SignatureChecks != 0 {
					b.Fatal(v, err, e.work.Spent())
				}
			}
		})
	}
}

// BenchmarkCold is everything from the root's keys down to an answer three zones
// below.
func BenchmarkCold(b *testing.B) {
	w := family(b, zoneOptions{algorithm: dns.ECDSAP256SHA256})
	w.cache = func(*Evidence) {} // no second look at the chain
	b.ReportAllocs()
	for b.Loop() {
		w.expect("www.grand.child.example.", dns.TypeA, Secure, 0)
	}
}

// BenchmarkTrap is what a hostile zone can cost one question at most: all cost units
// in failing signatures, and all NSEC3 hashes.
func BenchmarkTrap(b *testing.B) {
	b.Run("signatures", func(b *testing.B) {
		w := newKeyedWorld(b, zoneOptions{algorithm: dns.ECDSAP384SHA384})
		set := *w.zone.set("www.example.", dns.TypeA)
		r := &Response{Name: set.Owner, Type: dns.TypeANY}
		for i := range 20 {
			c := set
			c.Type = uint16(1000 + i)
			r.Answer = append(r.Answer, oddSigned(&c, w.zone.ksk.dnskey, strings.Repeat("s", 96)))
		}
		e := w.evidence()
		if _, err := w.validate(e, w.zone.answer("www.example.", dns.TypeA)); err != nil {
			b.Fatal(err)
		}
		keys := e.KeySet(name("example."))
		for b.Loop() {
			e := w.v.Evidence(testTime, testTime, NewWork(Limits{}))
			e.AddKeySet(keys)
			if _, _, err := e.Validate(r); err == nil {
				b.Fatal("not stopped")
			}
		}
	})
	b.Run("hashes", func(b *testing.B) {
		deep := name(strings.Repeat("a.", 120) + "example.")
		for b.Loop() {
			w := NewWork(Limits{})
			for i := range DefaultNSEC3Hashes {
				in := hashInput{name: deep.Ancestor(i % 121), salt: string(rune('a' + i/121)), iterations: DefaultNSEC3Iterations}
				if _, err := w.hash(in); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
