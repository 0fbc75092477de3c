package main

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/net/ipv4"
)

// unsendable is a socket that cannot send to some, and says so in every way that there is.
type unsendable struct {
	*testing.T
	cannot func(net.Addr) bool
	n      int   // what comes with the error
	err    error // nil: nothing but a count of 0
	calls  int
	sent   []net.Addr
}

func (u *unsendable) ReadBatch([]ipv4.Message, int) (int, error) { return 0, net.ErrClosed }

func (u *unsendable) WriteBatch(messages []ipv4.Message, _ int) (int, error) {
	if u.calls++; u.calls > udpBatch {
		u.Fatal("flush does not end")
	}
	for i, m := range messages {
		switch {
		case !u.cannot(m.Addr):
			u.sent = append(u.sent, m.Addr)
		case i == 0:
			return u.n, u.err
		default:
			return i, nil // as sendmmsg(2): the error comes with the next call
		}
	}
	return len(messages), nil
}

// One answer that cannot be sent keeps no other from being sent, nor the loop from going on.
func TestAttackUnsendable(t *testing.T) {
	to := func(last byte) net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, last), Port: 53} }
	for _, failure := range []struct {
		n   int
		err error
	}{{-1, syscall.EINVAL}, {0, syscall.EACCES}, {0, nil}, {-1, nil}} {
		for _, test := range []struct {
			what   string
			cannot []byte
			want   int
		}{
			{"all can be", nil, 4},
			{"the first", []byte{1}, 3},
			{"two in a row", []byte{2, 3}, 2},
			{"the last", []byte{4}, 3},
			{"none", []byte{1, 2, 3, 4}, 0},
		} {
			u := &unsendable{T: t, n: failure.n, err: failure.err, cannot: func(a net.Addr) bool {
				for _, last := range test.cannot {
					if a.String() == to(last).String() {
						return true
					}
				}
				return false
			}}
			l := &udpListener{batch: u}
			for last := range byte(4) {
				l.out = append(l.out, ipv4.Message{Addr: to(last + 1)})
			}
			l.flush()
			if len(u.sent) != test.want {
				t.Errorf("%s cannot be sent, %d and %v: got %v sent, want %d", test.what, failure.n, failure.err, u.sent, test.want)
			}
		}
	}
}

func TestAttackIsHost(t *testing.T) {
	for address, want := range map[string]bool{
		"192.0.2.1:1024":        true,
		"192.0.2.1:1":           true,
		"[2001:db8::1]:53":      true,
		"127.0.0.1:65535":       true,
		"192.0.2.1:0":           false,
		"[2001:db8::1]:0":       false,
		"224.0.0.251:5353":      false,
		"239.1.2.3:53":          false,
		"[ff02::fb]:5353":       false,
		"255.255.255.255:53":    false,
		"0.0.0.0:53":            false,
		"[::]:53":               false,
		"254.255.255.255:10000": true,
	} {
		if got := isHost(netip.MustParseAddrPort(address)); got != want {
			t.Errorf("%s: got %t, want %t", address, got, want)
		}
	}
}

// failing is a socket of which no read succeeds.
type failing struct{ reads int }

func (f *failing) ReadBatch([]ipv4.Message, int) (int, error) {
	if f.reads++; f.reads > udpFailures {
		return -1, net.ErrClosed
	}
	return -1, errors.New("an ICMP message about an earlier answer")
}

func (f *failing) WriteBatch([]ipv4.Message, int) (int, error) { return -1, net.ErrClosed }

// Reads that fail end the service only when the socket is gone.
func TestAttackUnreadable(t *testing.T) {
	f := new(failing)
	l := &udpListener{batch: f}
	if err := l.loop(); !errors.Is(err, net.ErrClosed) || f.reads != udpFailures+1 {
		t.Errorf("got %v after %d reads, want %v after %d", err, f.reads, net.ErrClosed, udpFailures+1)
	}
}
