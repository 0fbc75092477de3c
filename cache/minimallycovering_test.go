package cache

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// A minimal NSEC record, whose types may be wrong, denies none but the one it came for; one
// between real neighbours, however close their names, denies all that it lacks.
func TestMinimalNSEC(t *testing.T) {
	zone := name("example.com")
	for _, tt := range []struct {
		about, owner, next string
		types              []uint16
		want               bool // another type is denied
	}{
		{"neighbours", "www.example.com", "xxx.example.com", []uint16{dns.TypeTXT}, true},
		{"the last one", "www.example.com", "example.com", []uint16{dns.TypeTXT}, true},
		{"a wildcard below", "www.example.com", "*.www.example.com", []uint16{dns.TypeTXT}, true},
		{"a service below", "www.example.com", "_tcp.www.example.com", []uint16{dns.TypeTXT}, true},
		{"a name deep below", "www.example.com", `\000.a.www.example.com`, []uint16{dns.TypeTXT}, true},
		{"a longer name beside", "www.example.com", "www-1.example.com", []uint16{dns.TypeTXT}, true},
		{"a number beside", "www.example.com", "www0.example.com", []uint16{dns.TypeTXT}, true},
		{"an apex", "example.com", "a.example.com", []uint16{dns.TypeSOA, dns.TypeNS}, true},
		{"a name alone", "example.com", "example.com", []uint16{dns.TypeSOA, dns.TypeNS}, true},
		{"RFC 9824", "www.example.com", `\000.www.example.com`, []uint16{dns.TypeTXT}, false},
		{"RFC 9824, an apex", "example.com", `\000.example.com`, []uint16{dns.TypeSOA, dns.TypeNS}, false},
		{"RFC 9824, an empty non-terminal", "www.example.com", `\000.www.example.com`, nil, false},
		{"RFC 4471, two labels", "www.example.com", `\000.\000.www.example.com`, []uint16{dns.TypeTXT}, false},
		{"RFC 4471, a byte more", "www.example.com", `www\000.example.com`, []uint16{dns.TypeTXT}, false},
		{"RFC 4471, host names", "www.example.com", "www-.example.com", []uint16{dns.TypeTXT}, false},
		{"RFC 4470, no types", "www.example.com", "xxx.example.com", nil, false},
	} {
		t.Run(tt.about, func(t *testing.T) {
			v := newView(Options{})
			v.PutNegative(start, Negative{
				Name: name(tt.owner), Type: dns.TypeAAAA, SOA: soa(t, "example.com", 300, 300), Status: dnssec.Secure,
				Proof: []*dnssec.RRset{nsecSet(t, zone, name(tt.owner), name(tt.next), append([]uint16{dns.TypeNSEC, dns.TypeRRSIG}, tt.types...)...)},
			}, Meta{})
			if _, ok := v.GetNegative(start, name(tt.owner), dns.TypeAAAA, Checked); !ok {
				t.Error("the type asked for is not denied")
			}
			if s, ok := v.Synthesise(start, name(tt.owner), dns.TypeA); ok != tt.want {
				t.Errorf("another type: Synthesise = %+v, %v, want %v", s, ok, tt.want)
			}
		})
	}
}

// Neither does a wildcard's minimal record, nor one that would make a name an empty
// non-terminal.
func TestMinimalNSECBeside(t *testing.T) {
	zone := name("example.com")
	for about, tt := range map[string]struct {
		next string
		want bool
	}{"neighbours": {"a.example.com", true}, "minimal": {`\000.*.example.com`, false}} {
		v := newView(Options{})
		learnAll(t, v, "example.com", []*dnssec.RRset{
			nsecSet(t, zone, name("*.example.com"), name(tt.next), dns.TypeTXT, dns.TypeNSEC, dns.TypeRRSIG),
			nsecSet(t, zone, name("b.example.com"), name("d.example.com"), dns.TypeTXT, dns.TypeNSEC, dns.TypeRRSIG),
		})
		if s, ok := v.Synthesise(start, name("c.example.com"), dns.TypeA); ok != tt.want {
			t.Errorf("a wildcard, %s: Synthesise = %+v, %v, want %v", about, s, ok, tt.want)
		}
	}
	for next, want := range map[string]bool{"x.c.example.com": true, `\000.c.example.com`: false} {
		v := newView(Options{})
		learnAll(t, v, "example.com", []*dnssec.RRset{nsecSet(t, zone, name("b.example.com"), name(next), dns.TypeTXT, dns.TypeNSEC, dns.TypeRRSIG)})
		if s, ok := v.Synthesise(start, name("c.example.com"), dns.TypeA); ok != want {
			t.Errorf("before %s: Synthesise = %+v, %v, want %v", next, s, ok, want)
		}
	}
}

// The same for NSEC3: nobody has so many names that two hashes come as close.
func TestMinimalNSEC3(t *testing.T) {
	zone, owner := name("example.com"), name("www.example.com")
	p := nsec3Params{used: true}
	hash := p.hash(owner)
	add := func(at int, n byte) string { // to the byte at, with carry
		b := []byte(hash)
		for carry := int(n); carry > 0 && at >= 0; at-- {
			carry += int(b[at])
			b[at], carry = byte(carry), carry>>8
		}
		return string(b)
	}
	for _, tt := range []struct {
		about, next string
		want        bool
	}{
		{"far away", add(0, 3), true},
		{"in a zone of some million names", add(2, 200), true},
		{"in a zone of 2^56 names", add(7, 1), true},
		{"the only name", hash, true},
		{"one more", add(19, 1), false},
		{"somewhat more", add(12, 255), false},
		{"with carry", add(19, 255), false},
	} {
		v := newView(Options{})
		learnAll(t, v, "example.com", []*dnssec.RRset{nsec3Set(t, zone, p, 0, hash, tt.next, dns.TypeTXT, dns.TypeRRSIG)})
		if s, ok := v.Synthesise(start, owner, dns.TypeA); ok != tt.want {
			t.Errorf("%s: Synthesise = %+v, %v, want %v", tt.about, s, ok, tt.want)
		}
	}
	top := string([]byte{19: 0xff})
	for _, tt := range []struct {
		lo, hi string
		want   bool
	}{
		{string(make([]byte, 20)), string([]byte{19: 1}), true},
		{top, string([]byte{18: 1, 19: 0}), true},
		{string([]byte{7: 1, 19: 255}), string([]byte{7: 2, 19: 0}), true},
		{string([]byte{7: 1, 19: 0}), string([]byte{7: 2, 19: 0}), false},
		{string([]byte{7: 1, 8: 255, 19: 255}), string([]byte{7: 2, 19: 0}), true},
		{top, string(make([]byte, 20)), false},
	} {
		if got := hashesTouch(tt.lo, tt.hi); got != tt.want {
			t.Errorf("hashesTouch(%x, %x) = %v, want %v", tt.lo, tt.hi, got, tt.want)
		}
	}
	allOnes := make([]byte, 20)
	for i := range allOnes {
		allOnes[i] = 0xff
	}
	if !hashesTouch(string(allOnes), string(make([]byte, 20))) {
		t.Error("the last hash and the first one do not touch")
	}
}

func TestOnlyDenial(t *testing.T) {
	for _, tt := range []struct {
		types []uint16
		want  bool
	}{
		{[]uint16{dns.TypeRRSIG, dns.TypeNSEC}, true},
		{[]uint16{dns.TypeRRSIG, dns.TypeNSEC, dns.TypeA}, false},
		{[]uint16{dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDNSKEY}, false},
		{[]uint16{dns.TypeRRSIG, dns.TypeNSEC, 303}, false}, // the place of NSEC, in the next window
	} {
		set := nsecSet(t, dnsname.Root, name("a"), name("b"), tt.types...)
		v := newView(Options{})
		r := zoneRange{e: v.rangeEntry(v.cache.at(start), set, time.Minute)}
		if types, _ := r.types(); onlyDenial(types) != tt.want {
			t.Errorf("onlyDenial of %v = %v, want %v", tt.types, !tt.want, tt.want)
		}
	}
}
