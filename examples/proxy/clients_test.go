package main

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func clientsFor(t *testing.T, flags ...string) *clients {
	t.Helper()
	c, err := parseFlags(flags, nil)
	if err != nil {
		t.Fatal(err)
	}
	return newClients(c)
}

func TestMayAsk(t *testing.T) {
	tests := []struct {
		flags []string
		addr  string
		want  bool
	}{
		{nil, "127.0.0.1", true},
		{nil, "127.255.0.1", true},
		{nil, "::1", true},
		{nil, "192.0.2.1", false},
		{nil, "2001:db8::1", false},
		{[]string{"-allow-client", "192.0.2.0/24,2001:db8::/32"}, "192.0.2.1", true},
		{[]string{"-allow-client", "192.0.2.0/24,2001:db8::/32"}, "2001:db8::1", true},
		{[]string{"-allow-client", "192.0.2.0/24,2001:db8::/32"}, "127.0.0.1", false},
		{[]string{"-allow-client", "192.0.2.7", "-allow-client", "::1"}, "192.0.2.7", true},
		{[]string{"-allow-client", "192.0.2.7", "-allow-client", "::1"}, "::1", true},
		{[]string{"-allow-client", "192.0.2.7", "-allow-client", "::1"}, "192.0.2.8", false},
	}
	for _, test := range tests {
		if got := clientsFor(t, test.flags...).mayAsk(netip.MustParseAddr(test.addr)); got != test.want {
			t.Errorf("%s with %v: got %t, want %t", test.addr, test.flags, got, test.want)
		}
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientsFor(t, "-client-rate", "10")
		spend := func(addr string, tries int) (spent int) {
			for range tries {
				if c.spend(time.Now(), netip.MustParseAddr(addr)) {
					spent++
				}
			}
			return spent
		}
		for _, step := range []struct {
			pause time.Duration
			addr  string
			want  int
		}{
			{0, "192.0.2.1", 10},
			{0, "192.0.2.1", 0},
			{0, "192.0.2.2", 10}, // another client
			{500 * time.Millisecond, "192.0.2.1", 5},
			{time.Hour, "192.0.2.1", 10},             // no more than one second's
			{0, "2001:db8:0:100::1", 10},             //
			{0, "2001:db8:0:1ff::2", 0},              // the same subscriber
			{0, "2001:db8:0:200::1", 10},             // the next one
			{0, "127.0.0.1", 10},                     // a number is for this host, too
			{100 * time.Millisecond, "127.0.0.1", 1}, //
		} {
			time.Sleep(step.pause)
			if got := spend(step.addr, 20); got != step.want {
				t.Errorf("%s after %v: got %d queries through, want %d", step.addr, step.pause, got, step.want)
			}
		}
	})
}

// The limits that no flag sets are not for this host; a negative number is none.
func TestDefaultLimits(t *testing.T) {
	tests := []struct {
		flags []string
		addr  string
		want  int // places of 2000 asked for
	}{
		{nil, "127.0.0.1", 2000},
		{nil, "::1", 2000},
		{nil, "192.0.2.1", defaultClientQuestions},
		{[]string{"-client-questions", "-1"}, "192.0.2.1", 2000},
		{[]string{"-client-questions", "7"}, "192.0.2.1", 7},
		{[]string{"-client-questions", "7"}, "127.0.0.1", 7},
	}
	for _, test := range tests {
		c, got := clientsFor(t, test.flags...), 0
		var last place
		for range 2000 {
			if p, ok := c.ask(netip.MustParseAddr(test.addr)); ok {
				last = p
				got++
			}
		}
		if got != test.want {
			t.Errorf("%s with %v: got %d questions, want %d", test.addr, test.flags, got, test.want)
		}
		last.leave()
		if _, ok := c.ask(netip.MustParseAddr(test.addr)); !ok {
			t.Errorf("%s with %v: no place after one was given back", test.addr, test.flags)
		}
	}
}

// However many addresses ask, no more than maxClients are remembered.
func TestClientsBounded(t *testing.T) {
	c := clientsFor(t)
	first := netip.MustParseAddr("192.0.2.1")
	held, _ := c.connect(first)
	for i := range maxClients + 10 {
		c.spend(time.Now(), netip.MustParseAddr(fmt.Sprintf("198.%d.%d.%d", 18+i>>16, i>>8&255, i&255)))
	}
	got := 0
	for i := range c.shards {
		got += c.shards[i].known.Len()
	}
	if got > maxClients || got < maxClients*9/10 {
		t.Errorf("got %d clients, want %d or few less", got, maxClients)
	}
	held.leave() // of a client that may be forgotten
	if _, ok := c.connect(first); !ok {
		t.Error("a client that may be forgotten has no place")
	}
}
