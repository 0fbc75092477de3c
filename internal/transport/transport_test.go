package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func TestSendRefusesArguments(t *testing.T) {
	n := &network{}
	tr := New(Options{Dial: n.Dial})
	defer tr.Close()
	var unknown net.UnknownNetworkError
	var address *net.AddrError
	for _, test := range []struct {
		network string
		server  netip.AddrPort
		length  int
		is      func(error) bool
	}{
		{"sctp", server1, 40, func(err error) bool { return errors.As(err, &unknown) }},
		{"udp", netip.AddrPort{}, 40, func(err error) bool { return errors.As(err, &address) }},
		{"tcp", netip.AddrPortFrom(server1.Addr(), 0), 40, func(err error) bool { return errors.As(err, &address) }},
		{"udp", server1, headerSize - 1, func(err error) bool { return errors.Is(err, ErrQuery) }},
		{"tcp", server1, maxMessage + 1, func(err error) bool { return errors.Is(err, ErrQuery) }},
	} {
		reply, err := tr.Exchange(t.Context(), test.network, test.server, make([]byte, test.length))
		if e := wantError(t, err, nil, "dial", false); reply != nil || !test.is(e) {
			t.Errorf("%s to %v, %d bytes: got %x, %v", test.network, test.server, test.length, reply, err)
		}
	}
	wantDialled(t, n, 0)
}

func TestSendContextOver(t *testing.T) {
	n := &network{}
	tr := New(Options{Dial: n.Dial})
	defer tr.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, kind := range []string{"udp", "tcp"} {
		_, err := tr.Exchange(ctx, kind, server1, message(1, 40, 'q'))
		if e := wantError(t, err, context.Canceled, "wait", false); !e.Unsent() {
			t.Errorf("%s: a query that was never sent is not known as that", kind)
		}
	}
	late, cancelLate := context.WithDeadline(t.Context(), time.Now())
	defer cancelLate()
	for _, kind := range []string{"udp", "tcp"} {
		_, err := tr.Exchange(late, kind, server1, message(1, 40, 'q'))
		if e := wantError(t, err, context.DeadlineExceeded, "wait", true); !e.Unsent() {
			t.Errorf("%s: a query that was never sent is not known as that", kind)
		}
	}
	wantDialled(t, n, 0)
}

// What Dial is asked for.
func TestDialArguments(t *testing.T) {
	n := &network{connect: func(context.Context, string) error { return errors.New("none") }}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		tr.Exchange(t.Context(), "udp", server2, message(1, 40, 'q'))
		tr.Exchange(t.Context(), "tcp", server1, message(1, 40, 'q'))
		synctest.Wait()
		if want := []string{"udp [2001:db8::2]:53", "tcp 192.0.2.1:53"}; !reflect.DeepEqual(n.dialled, want) {
			t.Errorf("Dial: got %q, want %q", n.dialled, want)
		}
	})
}

// Every field but the functions has a default, so that none is forgotten.
func TestOptionsDefaults(t *testing.T) {
	o := reflect.ValueOf(Options{}.withDefaults())
	for i := range o.NumField() {
		name := o.Type().Field(i).Name
		if o.Field(i).IsZero() != (name == "Dial" || name == "DialPeer") {
			t.Errorf("%s: got %v, want a default", name, o.Field(i))
		}
	}
	set := Options{MaxSockets: 1, MaxConns: 2, MaxConnsPerServer: 3, IdleTimeout: -4, ConnectTimeout: 5}
	if got := set.withDefaults(); !reflect.DeepEqual(got, set) {
		t.Errorf("withDefaults: got %+v, want %+v", got, set)
	}
}

func TestErrorText(t *testing.T) {
	for _, test := range []struct {
		err  *Error
		want string
	}{
		{&Error{Op: "read", Network: "udp", Server: server1, Err: ErrAbandoned}, "read udp 192.0.2.1:53: abandoned after a forged reply"},
		{&Error{Op: "read", Network: "tcp", Server: server2, Reused: true, Err: net.ErrClosed, stale: true},
			"read tcp [2001:db8::2]:53: reused connection was closed by the server: use of closed network connection"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("Error: got %q, want %q", got, test.want)
		}
	}
}

// Sent is called once for each query that has left, before its reply is looked at, and for no
// other.
func TestSentIsTold(t *testing.T) {
	silent := func(conn net.Conn) {
		for readQuery(conn) != nil {
		}
	}
	for name, test := range map[string]struct {
		kind string
		n    *network
		want int
	}{
		"a datagram answered":        {"udp", &network{packets: func(q []byte, arrive func([]byte, error)) { arrive(q, nil) }}, 1},
		"a datagram lost":            {"udp", &network{packets: func([]byte, func([]byte, error)) {}}, 1},
		"no socket":                  {"udp", &network{connect: func(context.Context, string) error { return errors.New("none") }}, 0},
		"a reply over TCP":           {"tcp", &network{streams: echo}, 1},
		"no reply over TCP":          {"tcp", &network{streams: silent}, 1},
		"closed instead of answered": {"tcp", &network{streams: func(conn net.Conn) { readQuery(conn) }}, 1},
		"refused":                    {"tcp", &network{connect: func(context.Context, string) error { return errors.New("none") }}, 0},
		"no handshake": {"tcp", &network{connect: func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.n, Options{}, func(t *testing.T, tr *Transport) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				sent := 0
				_, err := tr.Send(ctx, test.kind, server1, message(1, 40, 'q'), Watch{
					Sent: func() { sent++ },
					Check: func([]byte) Verdict {
						if sent != 1 {
							t.Errorf("a reply to a query that was sent %d times", sent)
						}
						return Accept
					},
				})
				if sent != test.want {
					t.Errorf("told %d times, want %d (error %v)", sent, test.want, err)
				}
			})
		})
	}
}
