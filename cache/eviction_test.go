package cache

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// denials are what names that do not exist leave behind.
var denials = map[string]func(v *View, n int){
	"name errors": func(v *View, n int) {
		v.PutNegative(start, Negative{Name: made(n), Type: dns.TypeA, NameError: true, SOA: exampleSOA, Status: dnssec.Insecure}, Meta{})
	},
	"no data": func(v *View, n int) {
		v.PutNegative(start, Negative{Name: made(n), Type: dns.TypeA, SOA: exampleSOA, Status: dnssec.Insecure}, Meta{})
	},
	"failures": func(v *View, n int) {
		v.PutFailure(start, made(n), dns.TypeA, Checked, dns.ExtendedErrorCodeNoReachableAuthority, "no reachable authority")
	},
}

var exampleSOA = &dnssec.RRset{
	Owner: name("example.com."), Type: dns.TypeSOA, Class: dns.ClassINET, TTL: 3600,
	Records: dnssec.Pack("\x00\x00\x00\x00\x00\x01\x00\x00\x0e\x10\x00\x00\x0e\x10\x00\x00\x0e\x10\x00\x00\x0e\x10"),
}

func made(n int) dnsname.Name { return name(fmt.Sprintf("x%07d.example.com", n)) }

// Denials that nobody asks for again leave before answers do, also those that were asked
// for once; there is always room for the last of them, and what a flood of them has taken
// is there for answers afterwards.
func TestDenialsLeaveFirst(t *testing.T) {
	const answers, last = 2000, 200
	flood := 100_000
	if raceDetector || testing.Short() {
		flood = 20_000
	}
	for kind, deny := range denials {
		t.Run(kind, func(t *testing.T) {
			v := newView(Options{MaxBytes: 2 << 20})
			kept := func(from, to int) (n int) {
				for at := from; at < to; at++ {
					if _, ok := v.Get(start, numbered(at), dns.TypeA, Unchecked, RankAnswer); ok {
						n++
					}
				}
				return n
			}
			for n := range flood { // the cache is theirs
				deny(v, n)
			}
			for n := range answers {
				v.Put(start, addressSet(numbered(n), 86400, anyAddr), answer)
			}
			for n := range flood {
				deny(v, flood+n)
			}
			remembered := 0
			for n := 2*flood - last; n < 2*flood; n++ {
				_, denied := v.GetNegative(start, made(n), dns.TypeA, Checked)
				_, failed := v.GetFailure(start, made(n), dns.TypeA, Checked)
				if denied || failed {
					remembered++
				}
			}
			if got := kept(0, answers); got != answers || remembered != last {
				t.Errorf("after %d denials %d of %d answers are there, and %d of the last %d denials; want all", flood, got, answers, remembered, last)
			}
			for n := range flood {
				v.Put(start, addressSet(numbered(answers+n), 86400, anyAddr), answer)
			}
			// At 224 bytes each, with the map: two thirds of what there is for them.
			if got, want := kept(answers, answers+flood), v.cache.options.MaxBytes*69/100/224*2/3; int64(got) < want {
				t.Errorf("of answers that came afterwards %d are kept, want at least %d", got, want)
			}
		})
	}
}

// What validation lives on outlives any number of answers, whether they are asked for once
// or again.
func TestFloodLeavesKeys(t *testing.T) {
	const zones = 300
	flood := 100_000
	if raceDetector {
		flood = 20_000
	}
	v := newView(Options{MaxBytes: 4 << 20})
	trust := func(zone int, rrtype uint16) *dnssec.RRset {
		return &dnssec.RRset{
			Owner: name(fmt.Sprintf("zone%d.example.net", zone)), Type: rrtype, Class: dns.ClassINET, TTL: 3600,
			Records: dnssec.Pack(string(make([]byte, 68))), Signatures: dnssec.Pack(string(make([]byte, 100))),
		}
	}
	types := []uint16{dns.TypeDNSKEY, dns.TypeDS}
	for n := range zones {
		for _, rrtype := range types {
			v.Put(start, trust(n, rrtype), answer)
		}
	}
	for n := range flood {
		v.Put(start, addressSet(numbered(n), 86400, anyAddr), answer)
		v.Get(start, numbered(n-n%3), dns.TypeA, Checked, RankAnswer)
		denials["name errors"](v, n)
	}
	for n := range zones {
		for _, rrtype := range types {
			if _, ok := v.Get(start, trust(n, rrtype).Owner, rrtype, Checked, RankAnswer); !ok {
				t.Errorf("%s of zone %d is lost after %d answers", dns.Type(rrtype), n, flood)
			}
		}
	}
}
