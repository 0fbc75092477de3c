package resolver

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/infra"
)

// TestFirstManner: what is known of a server decides how it is asked, and a signed zone's is
// never asked without EDNS.
func TestFirstManner(t *testing.T) {
	for _, tt := range []struct {
		name    string
		network string
		known   infra.Features
		mix     bool
		signed  bool
		want    manner
	}{
		{"nothing known", "udp", infra.Features{}, true, false, manner{"udp", ednsCookie, true}},
		{"letters are not to be mixed", "udp", infra.Features{}, false, false, manner{"udp", ednsCookie, false}},
		{"over TCP", "tcp", infra.Features{}, true, false, manner{"tcp", ednsBare, true}},
		{"no options", "udp", infra.Features{NoOption: true}, true, false, manner{"udp", ednsBare, true}},
		{"no EDNS", "udp", infra.Features{NoEDNS: true, NoOption: true}, true, false, manner{"udp", ednsNone, true}},
		{"no EDNS over TCP", "tcp", infra.Features{NoEDNS: true}, true, false, manner{"tcp", ednsNone, true}},
		{"no EDNS, signed", "udp", infra.Features{NoEDNS: true}, true, true, manner{"udp", ednsBare, true}},
		{"no case", "udp", infra.Features{NoCase: true, Folds: true}, true, false, manner{"udp", ednsCookie, false}},
		{"folds, but not for sure", "udp", infra.Features{Folds: true}, true, false, manner{"udp", ednsCookie, true}},
	} {
		if got := firstManner(tt.network, tt.known, tt.mix, tt.signed); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestPlain: the last resort keeps EDNS, unless it is known to be of no use.
func TestPlain(t *testing.T) {
	for from, want := range map[manner]manner{
		{"udp", ednsCookie, true}: {"udp", ednsBare, false},
		{"udp", ednsBare, true}:   {"udp", ednsBare, false},
		{"udp", ednsNone, true}:   {"udp", ednsNone, false},
	} {
		if got := from.plain(); got != want {
			t.Errorf("%+v: got %+v, want %+v", from, got, want)
		}
	}
}

// TestLadder: which way of asking follows from what went wrong; none is the end.
func TestLadder(t *testing.T) {
	full, bare, without := manner{"udp", ednsCookie, true}, manner{"udp", ednsBare, true}, manner{"udp", ednsNone, false}
	plain := manner{"udp", ednsBare, false}
	stream, streamCookie, streamWithout := manner{"tcp", ednsBare, true}, manner{"tcp", ednsCookie, true}, manner{"tcp", ednsNone, false}
	var none manner
	for _, tt := range []struct {
		name  string
		from  manner
		what  trouble
		times int
		r     restraint
		want  manner
		why   QueryReason
	}{
		{"truncated", full, troubleTruncated, 1, restraint{}, stream, ReasonTruncated},
		{"truncated, without EDNS", without, troubleTruncated, 1, restraint{}, streamWithout, ReasonTruncated},
		{"truncated, last resort", plain, troubleTruncated, 1, restraint{last: true}, manner{"tcp", ednsBare, false}, ReasonTruncated},
		{"truncated, TCP was of no use", full, troubleTruncated, 1, restraint{noTCP: true}, stream, ReasonTruncated},

		{"forged", full, troubleForged, 1, restraint{}, stream, ReasonSpoofed},
		{"forged, TCP was of no use", full, troubleForged, 1, restraint{noTCP: true}, none, ""},
		{"forged, last resort", plain, troubleForged, 1, restraint{last: true}, none, ""},

		{"case", full, troubleCase, 1, restraint{}, full, ReasonCase},
		{"case again", full, troubleCase, 2, restraint{}, stream, ReasonCase},
		{"case of who is known for it", full, troubleCase, 1, restraint{folds: true}, manner{"udp", ednsCookie, false}, ReasonCase},
		{"case again, TCP was of no use", full, troubleCase, 2, restraint{noTCP: true}, none, ""},

		{"cookie", full, troubleCookie, 1, restraint{}, streamCookie, ReasonCookie},
		{"cookie, TCP was of no use", full, troubleCookie, 1, restraint{noTCP: true}, none, ""},
		{"BADCOOKIE", full, troubleBadCookie, 1, restraint{}, full, ReasonCookie},
		{"BADCOOKIE again", full, troubleBadCookie, 2, restraint{}, stream, ReasonCookie},
		{"BADCOOKIE over TCP", streamCookie, troubleBadCookie, 1, restraint{}, stream, ReasonCookie},

		{"refused", full, troubleRefused, 1, restraint{}, bare, ReasonNoOption},
		{"refused, no option", bare, troubleRefused, 2, restraint{}, without, ReasonNoEDNS},
		{"refused, no EDNS", without, troubleRefused, 3, restraint{}, none, ""},
		{"refused over TCP", stream, troubleRefused, 1, restraint{}, streamWithout, ReasonNoEDNS},
		{"refused with a cookie over TCP", streamCookie, troubleRefused, 1, restraint{}, stream, ReasonNoOption},
		{"refused, signed", full, troubleRefused, 1, restraint{signed: true}, bare, ReasonNoOption},
		{"refused, no option, signed", bare, troubleRefused, 2, restraint{signed: true}, none, ""},
		{"refused by others too", full, troubleRefused, 1, restraint{settled: true}, none, ""},
		{"refused, last resort", plain, troubleRefused, 1, restraint{last: true}, none, ""},

		{"connection", stream, troubleConnection, 1, restraint{}, stream, ReasonConnection},
		{"connection, last resort", manner{"tcp", ednsBare, false}, troubleConnection, 1, restraint{last: true}, manner{"tcp", ednsBare, false}, ReasonConnection},
	} {
		got, why, ok := tt.from.after(tt.what, tt.times, tt.r)
		if !ok {
			got = none
		}
		if got != tt.want || why != tt.why || ok != (tt.want != none) {
			t.Errorf("%s: got %+v for %q, %t; want %+v for %q", tt.name, got, why, ok, tt.want, tt.why)
		}
	}
}

// TestLadderEnds: whatever goes wrong, and however often, less and less is asked of a server,
// and never that which is forbidden.
func TestLadderEnds(t *testing.T) {
	for _, r := range []restraint{{}, {signed: true}, {folds: true}, {settled: true}, {last: true}, {noTCP: true}} {
		for what := range trouble(troubles) {
			for _, m := range []manner{{"udp", ednsCookie, true}, {"udp", ednsBare, false}, {"udp", ednsNone, true}, {"tcp", ednsCookie, true}} {
				for times := 1; times <= 3; times++ {
					next, _, ok := m.after(what, times, r)
					switch {
					case !ok:
					case next.edns < m.edns, next.case0x20 && !m.case0x20, next.network == "udp" && m.network == "tcp":
						t.Errorf("%+v after %d: got %+v, which asks for more", m, what, next)
					case r.signed && next.edns == ednsNone && m.edns != ednsNone:
						t.Errorf("%+v after %d: got %+v for a signed zone", m, what, next)
					}
				}
			}
		}
	}
}

// TestRefusesEDNS: errors that may be about EDNS are not those that say something of the
// name, or of the server.
func TestRefusesEDNS(t *testing.T) {
	for rcode := range 24 {
		want := rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeBadVers
		if got := refusesEDNS(rcode); got != want {
			t.Errorf("%s: got %t, want %t", rcodeName(rcode), got, want)
		}
	}
}
