package drawing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

func TestOutcome(t *testing.T) {
	message := make([]byte, 40)
	rtt := 12345 * time.Microsecond
	tests := []struct {
		in   resolver.ResponseInfo
		want string
	}{
		{resolver.ResponseInfo{Err: context.Canceled}, "overtaken by another server"},
		{resolver.ResponseInfo{RTT: rtt, Err: os.ErrDeadlineExceeded}, "no reply within 12 ms"},
		{resolver.ResponseInfo{RTT: rtt, Network: "tcp", Err: context.DeadlineExceeded}, "no reply over TCP within 12 ms"},
		{resolver.ResponseInfo{Err: errors.New("no route\nat all")}, "failed: no route; at all"},
		{resolver.ResponseInfo{Kind: "lame", Rcode: dns.RcodeRefused, Message: message, RTT: rtt}, "lame, REFUSED, 40 bytes in 12 ms"},
		{resolver.ResponseInfo{Kind: "unusable", Rcode: 4000, Message: message}, "unusable, RCODE4000, 40 bytes in 0 ms"},
		{resolver.ResponseInfo{Message: message, Err: errors.New("wrong ID")}, "not accepted (wrong ID), 40 bytes in 0 ms"},
	}
	for _, test := range tests {
		if got := Outcome(test.in); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	if got, want := OneLine("a\n\nb"), "a; b"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := OneLine(strings.Repeat("ä", maxLine)); len(got) > maxLine+5 || !strings.HasSuffix(got, "ä …") {
		t.Errorf("got %d bytes, ending in %q, want at most %d of whole characters", len(got), got[len(got)-8:], maxLine)
	}
}

func TestBrief(t *testing.T) {
	tests := []struct {
		in   error
		want string
	}{
		{fmt.Errorf("zone a: %w", errors.Join(resolver.ErrNoServerAddress, resolver.ErrCircular)), resolver.ErrCircular.Error()},
		{errors.Join(resolver.ErrNoReachableServer, &resolver.LimitError{Limit: "Sends", Value: 3}), "limit Sends (3) reached"},
		{errors.New("a\nb"), "a; b"},
	}
	for _, test := range tests {
		if got := Brief(test.in); got != test.want {
			t.Errorf("%v: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 query": Count(1, "query"), "0 queries": Count(0, "query"), "2 servers": Count(2, "server"), "1 server": Count(1, "server"),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestPrintable: what a terminal would obey is written out.
func TestPrintable(t *testing.T) {
	if got := dotText("a\x1b[2J\n"); got != `"a\\027[2J\\010\l"` {
		t.Errorf("dot: got %s", got)
	}
	if got := OneLine("a\x1b[2J\nb"); got != `a\027[2J; b` {
		t.Errorf("a line: got %s", got)
	}
}
