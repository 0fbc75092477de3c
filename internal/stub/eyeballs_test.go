package stub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// dialWorld is a host to be dialled: when its addresses become known, and what happens
// to connections.
type dialWorld struct {
	batches []lateBatch
	// connects says how an attempt ends: after how long, and with which error. An
	// address without an entry takes for ever.
	connects map[string]attemptEnd

	mu    sync.Mutex
	log   []string // guarded by mu: when each attempt began and how it ended
	open  int      // guarded by mu: connections that were made and not closed
	begun time.Time
}

type lateBatch struct {
	after time.Duration
	addrs string
	err   error
}

type attemptEnd struct {
	after time.Duration
	err   error
}

func (w *dialWorld) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%v ", time.Since(w.begun))+fmt.Sprintf(format, args...))
}

func (w *dialWorld) resolve(ctx context.Context, out chan<- Batch) {
	defer close(out)
	for _, b := range w.batches {
		select {
		case <-time.After(b.after - time.Since(w.begun)):
			out <- Batch{addrList(b.addrs), b.err}
		case <-ctx.Done():
			out <- Batch{Err: &net.DNSError{Err: (&EndedError{ctx.Err()}).Error(), Name: "host.example", UnwrapErr: ctx.Err()}}
			return
		}
	}
}

func (w *dialWorld) connect(ctx context.Context, network, address string) (net.Conn, error) {
	host := netip.MustParseAddrPort(address).Addr().String()
	w.note("%s", host)
	end, ok := w.connects[host]
	var after <-chan time.Time
	if ok {
		after = time.After(end.after)
	}
	select {
	case <-after:
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: network, Err: &EndedError{ctx.Err()}}
	}
	if end.err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)), Err: end.err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	return &dialledConn{host: host, closed: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.open--
	}}, nil
}

// dialledConn is a connection that can be closed, and nothing else.
type dialledConn struct {
	net.Conn
	host   string
	closed func()
}

func (c *dialledConn) Close() error { c.closed(); return nil }

// dial runs a race in this world.
func (w *dialWorld) dial(ctx context.Context, change ...func(*Dial)) (string, error) {
	w.begun = time.Now()
	d := &Dial{
		Network: "tcp", Port: "80", Connect: w.connect, Resolve: w.resolve,
		Order: func(addrs []netip.Addr) {
			slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return firstIf(!IsIPv4(a), !IsIPv4(b)) })
		},
	}
	for _, f := range change {
		f(d)
	}
	c, err := d.Race(ctx)
	if err != nil {
		return "", err
	}
	return c.(*dialledConn).host, nil
}

var errRefused = syscall.ECONNREFUSED

func TestHappyEyeballs(t *testing.T) {
	const ms = time.Millisecond
	ok := func(after time.Duration) attemptEnd { return attemptEnd{after: after} }
	refused := func(after time.Duration) attemptEnd { return attemptEnd{after, errRefused} }
	both := []lateBatch{{10 * ms, "2001:db8::1 2001:db8::2", nil}, {10 * ms, "192.0.2.1 192.0.2.2", nil}}
	for _, c := range []struct {
		name  string
		world *dialWorld
		want  string // host, then attempts
	}{
		{"IPv6 works", &dialWorld{batches: both, connects: map[string]attemptEnd{"2001:db8::1": ok(20 * ms)}},
			"2001:db8::1: 10ms 2001:db8::1"},
		{"IPv6 is silent: IPv4 begins after 250 ms", &dialWorld{batches: both, connects: map[string]attemptEnd{"192.0.2.1": ok(20 * ms)}},
			"192.0.2.1: 10ms 2001:db8::1, 260ms 192.0.2.1"},
		{"IPv6 is slow but faster than IPv4", &dialWorld{batches: both, connects: map[string]attemptEnd{"2001:db8::1": ok(260 * ms), "192.0.2.1": ok(20 * ms)}},
			"2001:db8::1: 10ms 2001:db8::1, 260ms 192.0.2.1"},
		{"refused: the next at once", &dialWorld{batches: both, connects: map[string]attemptEnd{"2001:db8::1": refused(5 * ms), "192.0.2.1": ok(5 * ms)}},
			"192.0.2.1: 10ms 2001:db8::1, 15ms 192.0.2.1"},
		{"families in turn", &dialWorld{batches: both, connects: map[string]attemptEnd{"192.0.2.2": ok(5 * ms)}},
			"192.0.2.2: 10ms 2001:db8::1, 260ms 192.0.2.1, 510ms 2001:db8::2, 760ms 192.0.2.2"},
		{"A first, AAAA within 50 ms", &dialWorld{
			batches:  []lateBatch{{10 * ms, "192.0.2.1", nil}, {59 * ms, "2001:db8::1", nil}},
			connects: map[string]attemptEnd{"2001:db8::1": ok(5 * ms)}},
			"2001:db8::1: 59ms 2001:db8::1"},
		{"A first, AAAA late", &dialWorld{
			batches:  []lateBatch{{10 * ms, "192.0.2.1 192.0.2.2", nil}, {100 * ms, "2001:db8::1", nil}},
			connects: map[string]attemptEnd{"2001:db8::1": ok(5 * ms)}},
			"2001:db8::1: 60ms 192.0.2.1, 310ms 2001:db8::1"},
		{"A first, AAAA comes when all attempts have failed", &dialWorld{
			batches:  []lateBatch{{10 * ms, "192.0.2.1", nil}, {time.Second, "2001:db8::1", nil}},
			connects: map[string]attemptEnd{"192.0.2.1": refused(5 * ms), "2001:db8::1": ok(5 * ms)}},
			"2001:db8::1: 60ms 192.0.2.1, 1s 2001:db8::1"},
		{"AAAA first: no wait for A", &dialWorld{
			batches:  []lateBatch{{10 * ms, "2001:db8::1", nil}, {5 * time.Second, "192.0.2.1", nil}},
			connects: map[string]attemptEnd{"2001:db8::1": ok(5 * ms)}},
			"2001:db8::1: 10ms 2001:db8::1"},
		{"only A, and that is all", &dialWorld{
			batches:  []lateBatch{{10 * ms, "192.0.2.1", nil}},
			connects: map[string]attemptEnd{"192.0.2.1": ok(5 * ms)}},
			"192.0.2.1: 10ms 192.0.2.1"},
		{"all refused: the first error", &dialWorld{batches: both, connects: map[string]attemptEnd{
			"2001:db8::1": refused(ms), "192.0.2.1": refused(ms), "2001:db8::2": refused(ms), "192.0.2.2": refused(ms)}},
			"dial tcp [2001:db8::1]:80: connection refused: 10ms 2001:db8::1, 11ms 192.0.2.1, 12ms 2001:db8::2, 13ms 192.0.2.2"},
		{"no such host", &dialWorld{batches: []lateBatch{{10 * ms, "", NoSuchHost("host.example")}}},
			"dial tcp: lookup host.example: no such host: "},
		{"two answer at the same time: one stays open", &dialWorld{batches: both, connects: map[string]attemptEnd{
			"2001:db8::1": ok(490 * ms), "192.0.2.1": ok(240 * ms)}},
			"either: 10ms 2001:db8::1, 260ms 192.0.2.1"},
		{"out of time", &dialWorld{batches: both},
			"dial tcp: i/o timeout: 10ms 2001:db8::1, 260ms 192.0.2.1, 510ms 2001:db8::2, 760ms 192.0.2.2"},
		{"out of time while resolving", &dialWorld{batches: []lateBatch{{time.Hour, "", nil}}},
			"dial tcp: lookup host.example: i/o timeout: "},
		{"out of time with a refusal before", &dialWorld{batches: both, connects: map[string]attemptEnd{"2001:db8::1": refused(ms)}},
			"dial tcp [2001:db8::1]:80: connection refused: 10ms 2001:db8::1, 11ms 192.0.2.1, 261ms 2001:db8::2, 511ms 192.0.2.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				w := c.world
				host, err := w.dial(ctx)
				if wantOpen := oneIf(err == nil); w.open != wantOpen {
					t.Errorf("got %d open connections, want %d", w.open, wantOpen)
				}
				result := host
				if err != nil {
					result = err.Error()
				}
				if strings.HasPrefix(c.want, "either: ") && err == nil {
					result = "either"
				}
				if got := result + ": " + strings.Join(w.log, ", "); got != c.want {
					t.Errorf("got\n\t%s\nwant\n\t%s", got, c.want)
				}
			})
		})
	}
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

// IPv4 is waited for when it is preferred.
func TestHappyEyeballsPreferIPv4(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &dialWorld{
			batches:  []lateBatch{{10 * time.Millisecond, "2001:db8::1", nil}, {40 * time.Millisecond, "192.0.2.1", nil}},
			connects: map[string]attemptEnd{"192.0.2.1": {after: time.Millisecond}},
		}
		host, err := w.dial(t.Context(), func(d *Dial) {
			d.PreferIPv4 = true
			d.Order = func(addrs []netip.Addr) {
				slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return cmp.Compare(oneIf(!IsIPv4(a)), oneIf(!IsIPv4(b))) })
			}
		})
		if want := "40ms 192.0.2.1"; err != nil || host != "192.0.2.1" || strings.Join(w.log, ", ") != want {
			t.Errorf("got %q %v %v, want %s", host, err, w.log, want)
		}
	})
}

// A dial that is canceled says so at once, whatever it is doing, and leaves nothing
// behind: synctest.Test fails when a goroutine stays.
func TestHappyEyeballsCancel(t *testing.T) {
	for _, after := range []time.Duration{5 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := &dialWorld{batches: []lateBatch{{10 * time.Millisecond, "192.0.2.1", nil}, {2 * time.Second, "2001:db8::1", nil}}}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(after, cancel)
			_, err := w.dial(ctx)
			if !errors.Is(err, context.Canceled) || time.Since(w.begun) != after {
				t.Errorf("canceled after %v: got %v after %v", after, err, time.Since(w.begun))
			}
		})
	}
}

// A zone with hundreds of addresses does not get as many connections.
func TestHappyEyeballsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &dialWorld{connects: make(map[string]attemptEnd)}
		var addrs []string
		for i := range 200 {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String()
			addrs = append(addrs, a)
			w.connects[a] = attemptEnd{time.Millisecond, errRefused}
		}
		w.batches = []lateBatch{{0, strings.Join(addrs, " "), nil}}
		if _, err := w.dial(t.Context()); !errors.Is(err, errRefused) {
			t.Errorf("got %v, want the refusal", err)
		}
		if len(w.log) != maxAttempts {
			t.Errorf("got %d attempts, want %d", len(w.log), maxAttempts)
		}
	})
}

func TestInterleave(t *testing.T) {
	for _, c := range []struct{ addrs, previous, want string }{
		{"", "", ""},
		{"192.0.2.1 192.0.2.2", "", "192.0.2.1 192.0.2.2"},
		{"2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2", "", "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2"},
		{"192.0.2.1 2001:db8::1 2001:db8::2 2001:db8::3", "", "192.0.2.1 2001:db8::1 2001:db8::2 2001:db8::3"},
		{"2001:db8::1 192.0.2.1", "2001:db8::9", "192.0.2.1 2001:db8::1"},
		{"2001:db8::1 192.0.2.1", "192.0.2.9", "2001:db8::1 192.0.2.1"},
		{"192.0.2.1 192.0.2.2", "192.0.2.9", "192.0.2.1 192.0.2.2"},
	} {
		var previous netip.Addr
		if c.previous != "" {
			previous = netip.MustParseAddr(c.previous)
		}
		if got, want := interleave(addrList(c.addrs), previous), addrList(c.want); !slices.Equal(got, want) {
			t.Errorf("%s after %v: got %v, want %v", c.addrs, previous, got, want)
		}
	}
}

// DNSDone comes before the first attempt, with what is known by then.
func TestDialTraceOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &dialWorld{
			batches:  []lateBatch{{10 * time.Millisecond, "192.0.2.1", nil}, {time.Second, "2001:db8::1", nil}},
			connects: map[string]attemptEnd{"192.0.2.1": {after: time.Millisecond}},
		}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			DNSStart: func(i httptrace.DNSStartInfo) { w.begun = time.Now(); w.note("start %s", i.Host) },
			DNSDone:  func(i httptrace.DNSDoneInfo) { w.note("done %v %v", i.Addrs, i.Err) },
		})
		trace := NewDialTrace(ctx, "host.example")
		if _, err := w.dial(ctx, func(d *Dial) { d.Trace = trace }); err != nil {
			t.Fatal(err)
		}
		want := "0s start host.example, 60ms done [{192.0.2.1 }] <nil>, 60ms 192.0.2.1"
		if got := strings.Join(w.log, ", "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// Over UDP nothing is raced, since connecting sends nothing.
func TestDialInTurn(t *testing.T) {
	w := &dialWorld{
		batches: []lateBatch{{0, "192.0.2.1", nil}, {0, "2001:db8::1", nil}},
		connects: map[string]attemptEnd{
			"2001:db8::1": {err: syscall.ENETUNREACH}, "192.0.2.1": {},
		},
	}
	synctest.Test(t, func(t *testing.T) {
		w.begun = time.Now()
		d := &Dial{
			Network: "udp", Port: "53", Connect: w.connect, Resolve: w.resolve,
			Order: func(addrs []netip.Addr) { slices.SortFunc(addrs, func(a, b netip.Addr) int { return b.Compare(a) }) },
		}
		c, err := d.InTurn(t.Context())
		if err != nil || c.(*dialledConn).host != "192.0.2.1" {
			t.Fatalf("got %v %v, want 192.0.2.1", c, err)
		}
		if want := "0s 2001:db8::1, 0s 192.0.2.1"; strings.Join(w.log, ", ") != want {
			t.Errorf("got %v, want %s", w.log, want)
		}
		w.connects["192.0.2.1"] = attemptEnd{err: errRefused}
		if _, err := d.InTurn(t.Context()); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("got %v, want the first failure", err)
		}
	})
}
