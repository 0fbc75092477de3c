package upstream

import (
	"testing"

	"github.com/iterdns/iterdns/internal/infra"
)

// TestFirstManner: the known faults of a server decide how it is asked, and a signed zone's
// is never asked without EDNS.
func TestFirstManner(t *testing.T) {
	for _, tt := range []struct {
		name    string
		network string
		known   infra.Features
		mix     bool
		signed  bool
		want    queryForm
	}{
		{"nothing known", "udp", infra.Features{}, true, false, queryForm{"udp", ednsCookie, true}},
		{"letters are not to be mixed", "udp", infra.Features{}, false, false, queryForm{"udp", ednsCookie, false}},
		{"over TCP", "tcp", infra.Features{}, true, false, queryForm{"tcp", ednsBare, true}},
		{"no options", "udp", infra.Features{NoOption: true}, true, false, queryForm{"udp", ednsBare, true}},
		{"no EDNS", "udp", infra.Features{NoEDNS: true, NoOption: true}, true, false, queryForm{"udp", ednsNone, true}},
		{"no EDNS over TCP", "tcp", infra.Features{NoEDNS: true}, true, false, queryForm{"tcp", ednsNone, true}},
		{"no EDNS, signed", "udp", infra.Features{NoEDNS: true}, true, true, queryForm{"udp", ednsBare, true}},
		{"no case", "udp", infra.Features{NoCase: true, Folds: true}, true, false, queryForm{"udp", ednsCookie, false}},
		{"folds, but not for sure", "udp", infra.Features{Folds: true}, true, false, queryForm{"udp", ednsCookie, true}},
	} {
		if got := firstForm(tt.network, tt.known, tt.mix, tt.signed); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestPlain: the plain retry keeps EDNS, unless it is known to be of no use.
func TestPlain(t *testing.T) {
	for from, want := range map[queryForm]queryForm{
		{"udp", ednsCookie, true}: {"udp", ednsBare, false},
		{"udp", ednsBare, true}:   {"udp", ednsBare, false},
		{"udp", ednsNone, true}:   {"udp", ednsNone, false},
	} {
		if got := from.plain(); got != want {
			t.Errorf("%+v: got %+v, want %+v", from, got, want)
		}
	}
}

// TestRandomiseCase changes letters only, and each of them sometimes.
func TestRandomiseCase(t *testing.T) {
	name := "\x03a-z\x05\x00A[`{\x04beta\x00"
	both := make([]map[byte]bool, len(name))
	for i := range both {
		both[i] = make(map[byte]bool)
	}
	for range 200 {
		mixed := []byte(name)
		randomiseCase(mixed)
		if !equalFold(mixed, []byte(name)) {
			t.Fatalf("%q became %q", name, mixed)
		}
		for i, b := range mixed {
			both[i][b] = true
		}
	}
	for i, seen := range both {
		letter := 'a' <= name[i] && name[i] <= 'z'
		if letter != (len(seen) == 2) {
			t.Errorf("byte %q: seen as %v", name[i], seen)
		}
	}
}
