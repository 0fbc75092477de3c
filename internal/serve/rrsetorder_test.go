package serve

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestTurnLeft(t *testing.T) {
	for by, want := range map[int]string{0: "abc", 1: "bca", 2: "cab", 3: "abc", 7: "bca", -1: "cab"} {
		var set []dns.RR
		for _, c := range "abc" {
			set = append(set, &dns.A{Hdr: dns.RR_Header{Name: string(c)}})
		}
		turnLeft(set, by)
		var got strings.Builder
		for _, rr := range set {
			got.WriteString(rr.Header().Name)
		}
		if got.String() != want {
			t.Errorf("turned by %d: got %s, want %s", by, got.String(), want)
		}
	}
}
