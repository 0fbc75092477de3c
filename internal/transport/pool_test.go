package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// At the total cap the connection unused for longest is closed, never one in use.
func TestPoolMaxConns(t *testing.T) {
	n := &network{streams: answerAll}
	inBubble(t, n, Options{MaxConns: 2}, func(t *testing.T, tr *Transport) {
		for i, server := range []netip.AddrPort{server1, server2, server1, server3} {
			exchange(t, t.Context(), tr, server, uint16(i))
			time.Sleep(time.Second)
		}
		wantOpen(t, tr, 0, 2)
		exchange(t, t.Context(), tr, server1, 10) // was not the longest idle, is still there
		if _, most, all := n.state(); most != 2 || all != 3 {
			t.Errorf("connections: got %d at once, %d in all, want 2 and 3", most, all)
		}
		exchange(t, t.Context(), tr, server2, 11)
		wantDialled(t, n, 4)
	})
}

// When all connections are in use, a send waits for a place, as long as its
// context lasts.
func TestPoolWaitsForPlace(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		for q := readQuery(c); q != nil; q = readQuery(c) {
			time.Sleep(time.Second)
			c.Write(reply(q))
		}
	}}
	inBubble(t, n, Options{MaxConns: 1}, func(t *testing.T, tr *Transport) {
		var sent sync.WaitGroup
		start := time.Now()
		sent.Go(func() { exchange(t, t.Context(), tr, server1, 1) })
		synctest.Wait()
		sent.Go(func() {
			exchange(t, t.Context(), tr, server2, 1)
			if got := time.Since(start); got != 2*time.Second {
				t.Errorf("second server answered after %v, want 2s", got)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := tr.Exchange(ctx, "tcp", server3, message(1, 40, 'q'))
		wantError(t, err, context.DeadlineExceeded, "wait", true)
		sent.Wait()
		if _, most, all := n.state(); most != 1 || all != 2 {
			t.Errorf("connections: got %d at once, %d in all, want 1 and 2", most, all)
		}
	})
}

// One dial serves all who ask meanwhile; who cancels fails nobody else, and when
// the last has left, the dial ends.
func TestPoolSharedDial(t *testing.T) {
	n := &network{streams: answerAll}
	cancelledDials := 0
	n.connect = func(ctx context.Context, _ string) error {
		select {
		case <-time.After(time.Second):
			return nil
		case <-ctx.Done():
			cancelledDials++
			return ctx.Err()
		}
	}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		first, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var sent sync.WaitGroup
		sent.Go(func() {
			_, err := tr.Exchange(first, "tcp", server1, message(1, 40, 'q'))
			if e := wantError(t, err, context.DeadlineExceeded, "dial", true); e.Reused {
				t.Errorf("got %#v, want not reused", e)
			}
		})
		synctest.Wait()
		sent.Go(func() { exchange(t, t.Context(), tr, server1, 2) })
		sent.Wait()
		wantDialled(t, n, 1)
		if cancelledDials != 0 {
			t.Errorf("dials cancelled: got %d, want 0", cancelledDials)
		}

		alone, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := tr.Exchange(alone, "tcp", server2, message(1, 40, 'q'))
		wantError(t, err, context.DeadlineExceeded, "dial", true)
		synctest.Wait()
		wantOpen(t, tr, 0, 1)
		if cancelledDials != 1 {
			t.Errorf("dials cancelled: got %d, want 1", cancelledDials)
		}
	})
}

// A dial that does not heed its context is closed when it comes back.
func TestPoolDialTooLate(t *testing.T) {
	n := &network{streams: answerAll, connect: func(context.Context, string) error {
		time.Sleep(time.Second)
		return nil
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, err := tr.Exchange(ctx, "tcp", server1, message(1, 40, 'q'))
		wantError(t, err, context.DeadlineExceeded, "dial", true)
		wantOpen(t, tr, 0, 1)
		time.Sleep(time.Second)
		wantOpen(t, tr, 0, 0)
	})
}

func TestPoolDialErrors(t *testing.T) {
	failure := errors.New("refused")
	n := &network{connect: func(ctx context.Context, address string) error {
		if address == server1.String() {
			time.Sleep(time.Second)
			return failure
		}
		<-ctx.Done()
		return ctx.Err()
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		var sent sync.WaitGroup
		for id := range uint16(3) {
			sent.Go(func() {
				_, err := tr.Exchange(t.Context(), "tcp", server1, message(id, 40, 'q'))
				wantError(t, err, failure, "dial", false)
			})
		}
		sent.Wait()
		wantDialled(t, n, 1)
		start := time.Now()
		_, err := tr.Exchange(t.Context(), "tcp", server2, message(1, 40, 'q'))
		wantError(t, err, context.DeadlineExceeded, "dial", true)
		if got := time.Since(start); got != defaultConnectTimeout {
			t.Errorf("connect timeout: got %v, want %v", got, defaultConnectTimeout)
		}
	})
}

// Close ends sends that dial, read and wait for a place, and idle connections.
func TestPoolClose(t *testing.T) {
	n := &network{
		streams: func(c net.Conn) { c.Write(reply(readQuery(c))); io.Copy(io.Discard, c) },
		connect: func(ctx context.Context, address string) error {
			if address == server3.String() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		},
	}
	inBubble(t, n, Options{MaxConns: 3, MaxConnsPerServer: 1, ConnectTimeout: time.Hour}, func(t *testing.T, tr *Transport) {
		exchange(t, t.Context(), tr, server1, 1)
		exchange(t, t.Context(), tr, server2, 1)
		var sent sync.WaitGroup
		for _, test := range []struct {
			server netip.AddrPort
			op     string
		}{{server1, "close"}, {server3, "close"}, {server1, "wait"}} {
			sent.Go(func() {
				_, err := tr.Exchange(t.Context(), "tcp", test.server, message(7, 40, 'q'))
				if e := wantError(t, err, net.ErrClosed, test.op, false); errors.Is(e, ErrStale) {
					t.Errorf("got %v, want not stale", err)
				}
			})
			synctest.Wait()
		}
		wantOpen(t, tr, 0, 3)
		tr.Close()
		sent.Wait()
	})
}

// Everything at once, with cancellations, ends with nothing left.
func TestPoolCloseDuringUse(t *testing.T) {
	n := &network{
		streams: answerAll,
		packets: func(q []byte, arrive func([]byte, error)) { arrive(bytes.Clone(q), nil) },
	}
	inBubble(t, n, Options{MaxConns: 3, MaxSockets: 5}, func(t *testing.T, tr *Transport) {
		var sent sync.WaitGroup
		stopped, stop := context.WithCancel(t.Context())
		for i := range 40 {
			sent.Go(func() {
				kind, server := "tcp", [...]netip.AddrPort{server1, server2, server3}[i%3]
				if i%4 == 0 {
					kind = "udp"
				}
				for id := uint16(0); ; id++ {
					over := stopped.Err() != nil
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Millisecond)
					_, err := tr.Exchange(ctx, kind, server, message(uint16(i)<<8|id, 40, 'q'))
					cancel()
					if errors.Is(err, net.ErrClosed) {
						return
					}
					if over {
						t.Errorf("after Close: got %v, want net.ErrClosed", err)
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		tr.Close()
		stop()
		sent.Wait()
		if _, most, _ := n.state(); most > 8 {
			t.Errorf("open at once: got %d, want at most 8", most)
		}
	})
}
