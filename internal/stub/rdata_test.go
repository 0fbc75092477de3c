package stub

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestHostNameOfWire(t *testing.T) {
	long := strings.Repeat("\x3f"+strings.Repeat("a", 63), 2) + "\x00"
	for wire, want := range map[string]string{
		"\x00":                           ".",
		"\x03Www\x04Shop\x07example\x00": "Www.Shop.example.",
		"\x02a b\x00":                    "", // no root label in the right place
		"\x03a b\x00":                    "a b.",
		"\x03a.b\x00":                    "", // would look like two labels
		"\x03\xff\\\x00\x00":             "\xff\\\x00.",
		long:                             strings.Repeat(strings.Repeat("a", 63)+".", 2),
		"\x40" + strings.Repeat("a", 64) + "\x00": "",
		"\x01a\x00\x01b\x00":                      "", // more than a name
		"\x01a":                                   "",
		"\x05a":                                   "",
		"":                                        "",
	} {
		if got := HostName(wire); got != want {
			t.Errorf("%q: got %q, want %q", wire, got, want)
		}
	}
}

func FuzzHostNameOfWire(f *testing.F) {
	f.Add("\x03www\x07example\x00")              // a plain name
	f.Add("\x03a.b\x00")                         // a dot in a label
	f.Add("\x00")                                // the root
	f.Add("\xc0\x0c")                            // a compression pointer
	f.Add("\x3f" + strings.Repeat("a", 62))      // a label that is cut off
	f.Add(strings.Repeat("\x01a", 200) + "\x00") // longer than a name
	f.Fuzz(func(t *testing.T, wire string) {
		host := HostName(wire)
		n, err := dnsname.FromWire([]byte(wire))
		if IsHostName(host) && err == nil {
			if back, err := dnsname.Parse(host); err != nil || back != n {
				t.Errorf("%q: %q stands for another name", wire, host)
			}
		}
		ParseSRV(wire)
		ParseMX(wire)
		ParseTXT(wire)
	})
}

func TestParseShortRDATA(t *testing.T) {
	for _, rdata := range []string{"", "\x00", "\x00\x01", "\x00\x01\x00\x02\x00\x03"} {
		if srv, ok := ParseSRV(rdata); ok {
			t.Errorf("SRV %q: got %+v", rdata, srv)
		}
	}
	for _, rdata := range []string{"", "\x00", "\x00\x01"} {
		if mx, ok := ParseMX(rdata); ok {
			t.Errorf("MX %q: got %+v", rdata, mx)
		}
	}
	if text, ok := ParseTXT("\x05abc"); ok {
		t.Errorf("TXT: got %q", text)
	}
}

// RFC 5321 §5.1: equal preferences are tried in random order.
func TestSortMX(t *testing.T) {
	draws := map[string]int{}
	rnd := rand.New(rand.NewPCG(1, 2))
	const runs = 6000
	for range runs {
		records := []*net.MX{{Host: "late", Pref: 20}, {Host: "a", Pref: 10}, {Host: "b", Pref: 10}, {Host: "c", Pref: 10}}
		SortMX(records, rnd.IntN)
		if records[3].Host != "late" {
			t.Fatalf("got %s last, want the one of lower preference", records[3].Host)
		}
		draws[records[0].Host+records[1].Host]++
	}
	for order, n := range draws {
		if got := float64(n) / runs; got < 1./6-0.02 || got > 1./6+0.02 {
			t.Errorf("%s: in %.3f of all draws, want %.3f", order, got, 1./6)
		}
	}
	if len(draws) != 6 {
		t.Errorf("got %d orders, want 6", len(draws))
	}
}

// RFC 2782: what a weight says is the chance to be drawn among what is left.
func TestSortSRV(t *testing.T) {
	draws := map[string]int{}
	rnd := rand.New(rand.NewPCG(1, 2))
	const runs = 10000
	for range runs {
		records := []*net.SRV{
			{Target: "late", Priority: 20, Weight: 100},
			{Target: "a", Priority: 10, Weight: 60}, {Target: "b", Priority: 10, Weight: 30}, {Target: "c", Priority: 10, Weight: 10},
			{Target: "zero", Priority: 10},
		}
		SortSRV(records, rnd.IntN)
		if records[4].Target != "late" {
			t.Fatalf("got %s last, want the one of lower priority", records[4].Target)
		}
		draws[records[0].Target]++
	}
	// A number from 0 to 100 is drawn, so that weight 0 has one chance in 101.
	for target, chance := range map[string]float64{"a": 60. / 101, "b": 30. / 101, "c": 10. / 101, "zero": 1. / 101} {
		if got := float64(draws[target]) / runs; got < chance-0.02 || got > chance+0.02 {
			t.Errorf("%s: first in %.3f of all draws, want %.3f", target, got, chance)
		}
	}
}

func TestSortSRVKeepsAll(t *testing.T) {
	for n := range 6 {
		var records []*net.SRV
		for i := range n {
			records = append(records, &net.SRV{Target: fmt.Sprint(i), Priority: uint16(i / 2), Weight: uint16(i % 2)})
		}
		SortSRV(records, rand.IntN)
		seen := map[string]bool{}
		for i, s := range records {
			seen[s.Target] = true
			if i > 0 && records[i-1].Priority > s.Priority {
				t.Errorf("%d records: priority %d after %d", n, s.Priority, records[i-1].Priority)
			}
		}
		if len(seen) != n {
			t.Errorf("got %d of %d records", len(seen), n)
		}
	}
}
