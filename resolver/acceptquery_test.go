package resolver_test

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// TestAttackSections: sections that no query has use for are refused by the header alone.
// AcceptQuery accepts what the DNS library accepts, and a query without a question that may
// ask for a cookie, but not opcodes that a resolver does not handle.
func TestAttackSections(t *testing.T) {
	counts := []uint16{0, 1, 2, 3, 4000, 65535}
	for _, bits := range []uint16{0, 1 << 8, 1 << 15, 1<<15 | 4<<11, 1 << 11, 4 << 11, 5 << 11, 15 << 11} {
		for _, qd := range counts {
			for _, an := range counts {
				for _, ns := range counts {
					for _, ar := range counts {
						h := dns.Header{Bits: bits, Qdcount: qd, Ancount: an, Nscount: ns, Arcount: ar}
						want := dns.DefaultMsgAcceptFunc(h)
						if bits == 4<<11 { // NOTIFY
							want = dns.MsgRejectNotImplemented
						}
						if bits <= 1<<8 && qd == 0 && an == 0 && ns == 0 && ar == 1 {
							want = dns.MsgAccept
						}
						if got := resolver.AcceptQuery(h); got != want {
							t.Errorf("%+v: got %d, want %d", h, got, want)
						}
					}
				}
			}
		}
	}
}
