package failure

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// TestJoinedText: each cause is told once, and no more of them than fit on a line.
func TestJoinedText(t *testing.T) {
	e := func(texts ...string) (errs []error) {
		for _, text := range texts {
			errs = append(errs, errors.New(text))
		}
		return errs
	}
	for _, test := range []struct {
		errs []error
		want string
	}{
		{e("a"), "a"},
		{e("a", "b"), "a; b"},
		{e("a", "a"), "a"},
		{e("a", "b", "a", "c", "b"), "a; b; c"},
		{e("a", "b", "c", "d", "a"), "a; b; c; d"},
		{e("a", "b", "c", "d", "e", "a", "f"), "a; b; c; d; and 2 more"},
	} {
		if got := Join(test.errs).Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if Join(nil) != nil {
		t.Error("no errors are an error")
	}
}

// TestServerErrorNamesOnce: the text of a server's error names the server once.
func TestServerErrorNamesOnce(t *testing.T) {
	for _, test := range []struct{ server, err, want string }{
		{"198.51.100.4:53", "read udp 198.51.100.4:53: timed out", "198.51.100.4: read udp: timed out"},
		{"[2001:db8::1]:53", "dial tcp [2001:db8::1]:53: refused", "2001:db8::1: dial tcp: refused"},
		{"127.0.0.1:5353", "read udp 127.0.0.1:5353: timed out", "127.0.0.1:5353: read udp: timed out"},
		{"127.0.0.1:5353", "answered SERVFAIL", "127.0.0.1: answered SERVFAIL"},
		{"198.51.100.4:53", "read udp 198.51.100.40:53: timed out", "198.51.100.4: read udp 198.51.100.40:53: timed out"},
	} {
		cause := errors.New(test.err)
		e := &ServerError{Server: netip.MustParseAddrPort(test.server), Err: cause}
		if got := e.Error(); got != test.want || !errors.Is(e, cause) {
			t.Errorf("%s: got %q, want %q", test.server, got, test.want)
		}
	}
}

// TestPendingText: what is still waited for is told with how many servers have been asked, and what
// the others said; it is the cause that counts.
func TestPendingText(t *testing.T) {
	one, two := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[2001:db8::2]:53")
	end := errors.New("end")
	for _, test := range []struct {
		e    PendingError
		want string
	}{
		{PendingError{Servers: []netip.AddrPort{one}, Asked: 1, Known: 1}, "no reply yet from 192.0.2.1:53 (1 of 1 server asked): end"},
		{PendingError{Servers: []netip.AddrPort{one, two}, Asked: 2, Known: 3}, "no reply yet from 192.0.2.1:53 and [2001:db8::2]:53 (2 of 3 servers asked): end"},
		{PendingError{Servers: []netip.AddrPort{two}, Asked: 2, Known: 2, Others: &ServerError{one, ErrLame}},
			"no reply yet from [2001:db8::2]:53 (2 of 2 servers asked; 192.0.2.1: does not serve the zone): end"},
		{PendingError{Servers: []netip.AddrPort{one}, Asked: 1, Known: 1, For: dns.Question{Name: "ns.example.", Qtype: dns.TypeAAAA}},
			"no reply yet from 192.0.2.1:53 for ns.example. AAAA (1 of 1 server asked): end"},
		{PendingError{LookUps: true}, "the addresses of its servers are not found yet: end"},
		{PendingError{LookUps: true, Others: ErrCircular}, "the addresses of its servers are not found yet (circular dependency between name servers): end"},
		{PendingError{Asked: 1, Known: 2}, "no usable reply yet (1 of 2 servers asked): end"},
	} {
		test.e.Err = end
		if got := test.e.Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
		if !errors.Is(&test.e, end) || errors.Is(&test.e, ErrLame) || errors.Is(&test.e, ErrCircular) {
			t.Errorf("%v: its cause is the end alone", &test.e)
		}
	}
}
