package upstream

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
)

// TestLadder: which way of asking follows from what went wrong; none is the end.
func TestLadder(t *testing.T) {
	full, bare, without := queryForm{"udp", ednsCookie, true}, queryForm{"udp", ednsBare, true}, queryForm{"udp", ednsNone, false}
	plain := queryForm{"udp", ednsBare, false}
	stream, streamCookie, streamWithout := queryForm{"tcp", ednsBare, true}, queryForm{"tcp", ednsCookie, true}, queryForm{"tcp", ednsNone, false}
	var none queryForm
	for _, tt := range []struct {
		name  string
		from  queryForm
		what  queryFault
		times int
		r     fallbackBounds
		want  queryForm
		why   events.Reason
	}{
		{"truncated", full, faultTruncated, 1, fallbackBounds{}, stream, events.ReasonTruncated},
		{"truncated, without EDNS", without, faultTruncated, 1, fallbackBounds{}, streamWithout, events.ReasonTruncated},
		{"truncated, plain retry", plain, faultTruncated, 1, fallbackBounds{plainRetry: true}, queryForm{"tcp", ednsBare, false}, events.ReasonTruncated},
		{"truncated, TCP was of no use", full, faultTruncated, 1, fallbackBounds{noTCP: true}, stream, events.ReasonTruncated},

		{"forged", full, faultForged, 1, fallbackBounds{}, stream, events.ReasonSpoofed},
		{"forged, TCP was of no use", full, faultForged, 1, fallbackBounds{noTCP: true}, none, events.ReasonNone},
		{"forged, plain retry", plain, faultForged, 1, fallbackBounds{plainRetry: true}, none, events.ReasonNone},

		{"case", full, faultCase, 1, fallbackBounds{}, full, events.ReasonCase},
		{"case again", full, faultCase, 2, fallbackBounds{}, stream, events.ReasonCase},
		{"case of a server known for it", full, faultCase, 1, fallbackBounds{folds: true}, queryForm{"udp", ednsCookie, false}, events.ReasonCase},
		{"case again, TCP was of no use", full, faultCase, 2, fallbackBounds{noTCP: true}, none, events.ReasonNone},

		{"cookie", full, faultCookie, 1, fallbackBounds{}, streamCookie, events.ReasonCookie},
		{"cookie, TCP was of no use", full, faultCookie, 1, fallbackBounds{noTCP: true}, none, events.ReasonNone},
		{"BADCOOKIE", full, faultBadCookie, 1, fallbackBounds{}, full, events.ReasonCookie},
		{"BADCOOKIE again", full, faultBadCookie, 2, fallbackBounds{}, stream, events.ReasonCookie},
		{"BADCOOKIE over TCP", streamCookie, faultBadCookie, 1, fallbackBounds{}, stream, events.ReasonCookie},

		{"refused", full, faultRefused, 1, fallbackBounds{}, bare, events.ReasonNoOption},
		{"refused, no option", bare, faultRefused, 2, fallbackBounds{}, without, events.ReasonNoEDNS},
		{"refused, no EDNS", without, faultRefused, 3, fallbackBounds{}, none, events.ReasonNone},
		{"refused over TCP", stream, faultRefused, 1, fallbackBounds{}, streamWithout, events.ReasonNoEDNS},
		{"refused with a cookie over TCP", streamCookie, faultRefused, 1, fallbackBounds{}, stream, events.ReasonNoOption},
		{"refused, signed", full, faultRefused, 1, fallbackBounds{signed: true}, bare, events.ReasonNoOption},
		{"refused, no option, signed", bare, faultRefused, 2, fallbackBounds{signed: true}, none, events.ReasonNone},
		{"refused by others too", full, faultRefused, 1, fallbackBounds{questionRefused: true}, none, events.ReasonNone},
		{"refused, plain retry", plain, faultRefused, 1, fallbackBounds{plainRetry: true}, none, events.ReasonNone},

		{"connection", stream, faultConnection, 1, fallbackBounds{}, stream, events.ReasonConnection},
		{"connection, plain retry", queryForm{"tcp", ednsBare, false}, faultConnection, 1, fallbackBounds{plainRetry: true}, queryForm{"tcp", ednsBare, false}, events.ReasonConnection},
	} {
		got, why, ok := tt.from.after(tt.what, tt.times, tt.r)
		if !ok {
			got = none
		}
		if got != tt.want || why != tt.why || ok != (tt.want != none) {
			t.Errorf("%s: got %+v for reason %d, %t; want %+v for %d", tt.name, got, why, ok, tt.want, tt.why)
		}
	}
}

// TestLadderEnds: whatever goes wrong, and however often, each query asks less of a server,
// and never what is forbidden.
func TestLadderEnds(t *testing.T) {
	for _, r := range []fallbackBounds{{}, {signed: true}, {folds: true}, {questionRefused: true}, {plainRetry: true}, {noTCP: true}} {
		for what := range queryFault(queryFaults) {
			for _, f := range []queryForm{{"udp", ednsCookie, true}, {"udp", ednsBare, false}, {"udp", ednsNone, true}, {"tcp", ednsCookie, true}} {
				for times := 1; times <= 3; times++ {
					next, _, ok := f.after(what, times, r)
					switch {
					case !ok:
					case next.edns < f.edns, next.case0x20 && !f.case0x20, next.network == "udp" && f.network == "tcp":
						t.Errorf("%+v after %d: got %+v, which asks for more", f, what, next)
					case r.signed && next.edns == ednsNone && f.edns != ednsNone:
						t.Errorf("%+v after %d: got %+v for a signed zone", f, what, next)
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
			t.Errorf("%s: got %t, want %t", failure.RcodeName(rcode), got, want)
		}
	}
}
