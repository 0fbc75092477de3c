package failure

import (
	"errors"
	"net/netip"
	"testing"
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
