package cache

import (
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

func TestTypesOfOneName(t *testing.T) {
	v, n := newView(Options{}), name("many.example.com")
	put := func(now time.Time, rrtype uint16, ttl uint32) bool {
		return v.Put(now, &dnssec.RRset{Owner: n, Type: rrtype, Class: dns.ClassINET, TTL: ttl, Records: dnssec.Pack("x")}, answer) == nil
	}
	const private, maxRareTypes = 65280, DefaultMaxTypes - commonTypes
	for at := range uint16(maxRareTypes) {
		if ttl := uint32(100 + at); !put(start, private+at, ttl) {
			t.Fatalf("rare type %d of %d refused", at+1, maxRareTypes)
		}
	}
	later := start.Add(100 * time.Second)
	for _, tt := range []struct {
		about  string
		now    time.Time
		rrtype uint16
		want   bool
	}{
		{"one too many", start, private + maxRareTypes, false},
		{"one that is there", start, private + 1, true},
		{"a common type", start, dns.TypeA, true},
		{"one more once the first has expired", later, private + maxRareTypes, true},
		{"and not another", later, private + maxRareTypes + 1, false},
	} {
		if got := put(tt.now, tt.rrtype, 300); got != tt.want {
			t.Errorf("%s: Put = %v, want %v", tt.about, got, tt.want)
		}
	}
	var limit *LimitError
	err := v.Put(later, &dnssec.RRset{Owner: n, Type: private + maxRareTypes + 2, Class: dns.ClassINET, TTL: 60, Records: dnssec.Pack("x")}, answer)
	if !errors.As(err, &limit) || limit.Option != "MaxTypes" || limit.Limit != DefaultMaxTypes {
		t.Errorf("Store of one too many: %v, want a *LimitError of MaxTypes", err)
	}
	if s := v.cache.Stats(); s.RefusedTypes != 3 || s.Refused != 3 {
		t.Errorf("Stats count %d refused, %d of them for their types; want 3, 3", s.Refused, s.RefusedTypes)
	}
	n = name("other.example.com")
	if !put(start, private+maxRareTypes, 300) {
		t.Error("another name is refused the type too")
	}
	common := 0
	for rrtype := range 1 << 16 {
		if isCommon(uint16(rrtype)) {
			common++
		}
	}
	if common != commonTypes {
		t.Errorf("isCommon knows %d types, the constant says %d", common, commonTypes)
	}
}
