package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// exchange sends a query of 40 bytes over TCP and wants it back, marked 'r'.
func exchange(t *testing.T, ctx context.Context, tr *Transport, server netip.AddrPort, id uint16) {
	t.Helper()
	reply, err := tr.Send(ctx, "tcp", server, message(id, 40, 'q'), accept('r'))
	if want := message(id, 40, 'r'); err != nil || !bytes.Equal(reply, want) {
		t.Errorf("query %d: got %x, %v, want %x", id, reply, err, want)
	}
}

// reply is the answer that exchange wants.
func reply(q []byte) []byte {
	m := bytes.Clone(q)
	m[headerSize-1] = 'r'
	return framed(m)
}

// answerAll answers each query properly.
func answerAll(c net.Conn) {
	for q := readQuery(c); q != nil; q = readQuery(c) {
		c.Write(reply(q))
	}
}

// inBubble runs test with a transport over the network n in a synctest bubble,
// and closes it.
func inBubble(t *testing.T, n *network, o Options, test func(t *testing.T, tr *Transport)) {
	synctest.Test(t, func(t *testing.T) {
		o.Dial = n.Dial
		tr := New(o)
		test(t, tr)
		tr.Close()
		n.serving.Wait()
		wantOpen(t, tr, 0, 0)
		if open, _, _ := n.state(); open != 0 {
			t.Errorf("connections open after Close: got %d, want 0", open)
		}
	})
}

func wantDialled(t *testing.T, n *network, want int) {
	t.Helper()
	if _, _, all := n.state(); all != want {
		t.Errorf("connections in all: got %d, want %d", all, want)
	}
}

// RFC 7766 §6.2.1: one connection for query after query, one Write each.
func TestStreamReuse(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		buffer := make([]byte, 1000)
		for {
			k, err := c.Read(buffer) // over a pipe, one Read is one Write
			if err != nil {
				return
			}
			if k != 42 || !bytes.Equal(buffer[:2], []byte{0, 40}) {
				t.Errorf("one Write: got %x, want length and message", buffer[:k])
			}
			c.Write(reply(buffer[2:k]))
		}
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		for id := range uint16(20) {
			exchange(t, t.Context(), tr, server1, id)
			time.Sleep(9 * time.Second) // less than the idle timeout
		}
		wantOpen(t, tr, 0, 1)
		wantDialled(t, n, 1)
		exchange(t, t.Context(), tr, server2, 1)
		wantDialled(t, n, 2)
	})
}

// Queries are under way at once and answered in reverse order.
func TestStreamPipeliningOutOfOrder(t *testing.T) {
	const count = 50
	n := &network{streams: func(c net.Conn) {
		var queries [][]byte
		for len(queries) < count {
			queries = append(queries, readQuery(c))
		}
		for i := range queries {
			c.Write(reply(queries[count-1-i]))
		}
		io.Copy(io.Discard, c)
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		var sent sync.WaitGroup
		for id := range uint16(count) {
			sent.Go(func() { exchange(t, t.Context(), tr, server1, id) })
		}
		sent.Wait()
		wantDialled(t, n, 1)
	})
}

// A connection carries no more than maxPipelined at once, and maxQueries in all.
func TestStreamLimits(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		for q := readQuery(c); q != nil; q = readQuery(c) {
			go func() {
				time.Sleep(time.Second)
				c.Write(reply(q))
			}()
		}
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		var sent sync.WaitGroup
		for id := range uint16(2*maxPipelined + 1) {
			sent.Go(func() { exchange(t, t.Context(), tr, server1, id) })
		}
		sent.Wait()
		wantDialled(t, n, 3)
	})
	n = &network{streams: answerAll}
	inBubble(t, n, Options{MaxConnsPerServer: 1}, func(t *testing.T, tr *Transport) {
		for id := range uint16(maxQueries + 1) {
			exchange(t, t.Context(), tr, server1, id)
		}
		wantDialled(t, n, 2)
	})
}

// Two queries with one ID share no connection, neither at once nor one after the
// other; with one connection allowed, the second waits.
func TestStreamEqualID(t *testing.T) {
	slow := func(c net.Conn) {
		q := readQuery(c)
		time.Sleep(time.Second)
		c.Write(reply(q))
		if again := readQuery(c); again != nil {
			t.Errorf("second query on one connection: got %x, want none", again)
		}
	}
	for _, test := range []struct {
		perServer, open int
		took            time.Duration
	}{{2, 2, time.Second}, {1, 1, 2 * time.Second}} {
		n := &network{streams: slow}
		inBubble(t, n, Options{MaxConnsPerServer: test.perServer}, func(t *testing.T, tr *Transport) {
			start := time.Now()
			var sent sync.WaitGroup
			for range 2 {
				sent.Go(func() { exchange(t, t.Context(), tr, server1, 7) })
			}
			sent.Wait()
			if _, most, all := n.state(); most != test.open || all != 2 || time.Since(start) != test.took {
				t.Errorf("got %d connections at once, %d in all, %v, want %d, 2, %v", most, all, time.Since(start), test.open, test.took)
			}
			exchange(t, t.Context(), tr, server1, 7) // spent on both
			wantDialled(t, n, 3)
		})
	}
}

// Bytes may come one by one, with pauses; only the context ends that.
func TestStreamByteByByte(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		for q := readQuery(c); q != nil; q = readQuery(c) {
			for _, b := range reply(q) {
				time.Sleep(time.Second)
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
			}
		}
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		exchange(t, t.Context(), tr, server1, 1) // 42 s
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := tr.Send(ctx, "tcp", server1, message(2, 40, 'q'), accept('r'))
		if e := wantError(t, err, context.DeadlineExceeded, "read", true); !e.Reused || errors.Is(err, ErrStale) {
			t.Errorf("got %#v, want reused and not stale", e)
		}
		if got := time.Since(start); got != 10*time.Second {
			t.Errorf("slow drip: ended after %v, want 10s", got)
		}
		synctest.Wait()
		wantOpen(t, tr, 0, 0) // and keeps no connection
	})
}

// A query that expires gives up its connection, but not for those who still wait.
func TestStreamExpiredRetires(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		readQuery(c)
		q := readQuery(c)
		time.Sleep(5 * time.Second)
		c.Write(reply(q))
		io.Copy(io.Discard, c)
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var sent sync.WaitGroup
		sent.Go(func() {
			_, err := tr.Exchange(ctx, "tcp", server1, message(1, 40, 'q'))
			wantError(t, err, context.DeadlineExceeded, "read", true)
		})
		synctest.Wait()
		sent.Go(func() { exchange(t, t.Context(), tr, server1, 2) })
		sent.Wait()
		synctest.Wait()
		wantOpen(t, tr, 0, 0)
		wantDialled(t, n, 1)
	})
}

// Who cancels leaves the connection usable; the late reply is dropped, not taken
// for one that somebody forged.
func TestStreamCancelled(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		late := readQuery(c)
		q := readQuery(c)
		c.Write(reply(late))
		c.Write(reply(q))
		answerAll(c)
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := tr.Exchange(ctx, "tcp", server1, message(1, 40, 'q'))
		wantError(t, err, context.Canceled, "read", false)
		wantOpen(t, tr, 0, 1)
		seen := 0
		_, err = tr.Send(t.Context(), "tcp", server1, message(2, 40, 'q'), Watch{Check: func([]byte) Verdict { seen++; return Accept }})
		if err != nil || seen != 1 {
			t.Errorf("next query: got %v after %d messages, want 1", err, seen)
		}
		exchange(t, t.Context(), tr, server1, 3)
		wantDialled(t, n, 1)
	})
}

// A connection on which nothing is ever answered takes only so many queries that
// are cancelled.
func TestStreamOwed(t *testing.T) {
	n := &network{streams: func(c net.Conn) { io.Copy(io.Discard, c) }}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		for id := range uint16(maxOwed + 1) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			_, err := tr.Exchange(ctx, "tcp", server1, message(id, 40, 'q'))
			wantError(t, err, context.Canceled, "read", false)
		}
		wantDialled(t, n, 2)
	})
}

// A second answer to one ID and a reply to none are no answer to anybody.
func TestStreamTwoAnswersForOneID(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		first, second := readQuery(c), readQuery(c)
		c.Write(reply(first))
		time.Sleep(time.Second)
		c.Write(reply(first))
		c.Write(reply(second))
		io.Copy(io.Discard, c)
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		var sent sync.WaitGroup
		sent.Go(func() { exchange(t, t.Context(), tr, server1, 1) })
		synctest.Wait()
		sent.Go(func() {
			var seen [][]byte
			got, err := tr.Send(t.Context(), "tcp", server1, message(2, 40, 'q'), Watch{Check: func(m []byte) Verdict {
				seen = append(seen, m)
				return Accept
			}})
			if want := message(2, 40, 'r'); err != nil || !bytes.Equal(got, want) || len(seen) != 1 {
				t.Errorf("got %x, %v after %x, want only %x", got, err, seen, want)
			}
		})
		sent.Wait()
	})
}

// A message with an ID that was never used is offered to all who wait, who may
// abandon, but not accept it.
func TestStreamStray(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		readQuery(c)
		q := readQuery(c)
		readQuery(c)
		c.Write(framed(message(99, 40, 'r')))
		c.Write(reply(q))
		io.Copy(io.Discard, c)
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var sent sync.WaitGroup
		seen := 0
		sent.Go(func() {
			got, err := tr.Send(ctx, "tcp", server1, message(1, 40, 'q'), Watch{Check: func([]byte) Verdict { return Abandon }})
			if want := message(99, 40, 'r'); !bytes.Equal(got, want) {
				t.Errorf("abandoned: got %x, want %x", got, want)
			}
			wantError(t, err, ErrAbandoned, "read", false)
		})
		synctest.Wait()
		sent.Go(func() {
			got, err := tr.Send(ctx, "tcp", server1, message(2, 40, 'q'), Watch{Check: func([]byte) Verdict { seen++; return Accept }})
			if want := message(2, 40, 'r'); err != nil || !bytes.Equal(got, want) || seen != 2 {
				t.Errorf("got %x, %v after %d messages, want %x after 2", got, err, seen, want)
			}
		})
		synctest.Wait()
		sent.Go(func() { // accepts all, has no check
			_, err := tr.Exchange(ctx, "tcp", server1, message(3, 40, 'q'))
			wantError(t, err, context.DeadlineExceeded, "read", true)
		})
		sent.Wait()
		synctest.Wait()
		wantOpen(t, tr, 0, 0)
	})
}

// A server that speaks when nobody asked loses its connection; one that owed a
// reply does not.
func TestStreamUnsolicited(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		c.Write(reply(readQuery(c)))
		time.Sleep(time.Second)
		c.Write(framed(message(2, 40, 'r')))
		io.Copy(io.Discard, c)
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		exchange(t, t.Context(), tr, server1, 1)
		wantOpen(t, tr, 0, 1)
		time.Sleep(2 * time.Second)
		wantOpen(t, tr, 0, 0)
	})
}

// How connections end before the reply, and what the error says of it.
func TestStreamEndsBeforeReply(t *testing.T) {
	for _, test := range []struct {
		name           string
		end            func(c net.Conn, q []byte) // then the connection is closed
		cause          error
		partial, stale bool // stale if the connection was reused
	}{
		{"FIN", func(net.Conn, []byte) {}, io.EOF, false, true},
		{"FIN in the length", func(c net.Conn, q []byte) { c.Write([]byte{0}) }, io.ErrUnexpectedEOF, true, false},
		{"FIN in the reply", func(c net.Conn, q []byte) { c.Write(reply(q)[:20]) }, io.ErrUnexpectedEOF, true, false},
		{"FIN in another reply", func(c net.Conn, q []byte) { c.Write(framed(message(99, 40, 'r'))[:20]) }, io.ErrUnexpectedEOF, false, true},
		{"length 0", func(c net.Conn, q []byte) { c.Write([]byte{0, 0}) }, ErrFraming, true, false},
		{"length 11", func(c net.Conn, q []byte) { c.Write([]byte{0, 11}) }, ErrFraming, true, false},
	} {
		for _, reused := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s reused=%t", test.name, reused), func(t *testing.T) {
				n := &network{streams: func(c net.Conn) {
					if reused {
						c.Write(reply(readQuery(c)))
					}
					test.end(c, readQuery(c))
				}}
				inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
					if reused {
						exchange(t, t.Context(), tr, server1, 1)
					}
					_, err := tr.Exchange(t.Context(), "tcp", server1, message(2, 40, 'q'))
					e := wantError(t, err, test.cause, "read", false)
					if stale := test.stale && reused; e.Reused != reused || e.Partial != test.partial || errors.Is(err, ErrStale) != stale || e.Temporary() != stale {
						t.Errorf("got %#v, want Reused %t, Partial %t, stale %t", e, reused, test.partial, stale)
					}
					synctest.Wait()
					wantOpen(t, tr, 0, 0)
				})
			})
		}
	}
}

// A server that stops reading fails the query that is not sent; the one before it
// gets its answer all the same.
func TestStreamWriteTimeout(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		q := readQuery(c)
		time.Sleep(5 * time.Second)
		c.Write(reply(q))
		io.Copy(io.Discard, c)
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		var sent sync.WaitGroup
		sent.Go(func() { exchange(t, t.Context(), tr, server1, 1) })
		synctest.Wait()
		start := time.Now()
		for id := uint16(2); id < 4; id++ {
			sent.Go(func() {
				_, err := tr.Exchange(t.Context(), "tcp", server1, message(id, 40, 'q'))
				if e := wantError(t, err, os.ErrDeadlineExceeded, "write", true); !e.Reused || errors.Is(err, ErrStale) {
					t.Errorf("got %#v, want reused and not stale", e)
				}
				if got := time.Since(start); got != writeTimeout {
					t.Errorf("ended after %v, want %v", got, writeTimeout)
				}
			})
		}
		sent.Wait()
		synctest.Wait()
		wantOpen(t, tr, 0, 0)
	})
}

// A query whose sender left before it was written is not written, and its ID not
// spent.
func TestStreamLeftBeforeWritten(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		readQuery(c)
		time.Sleep(time.Second)
		for _, id := range []uint16{3, 5, 4} {
			if q := readQuery(c); !bytes.Equal(q, message(id, 40, 'q')) {
				t.Errorf("got %x, want the query of ID %d", q, id)
			}
		}
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		var sent sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		ask := func(id uint16) {
			sent.Go(func() { tr.Exchange(t.Context(), "tcp", server1, message(id, 40, 'q')) })
			synctest.Wait()
		}
		ask(1)
		ask(3)           // being written
		sent.Go(func() { // waits behind it
			_, err := tr.Exchange(ctx, "tcp", server1, message(4, 40, 'q'))
			wantError(t, err, context.Canceled, "write", false)
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		ask(5)
		ask(4)
		sent.Wait()
		wantDialled(t, n, 1)
	})
}

// A reply to a query that has not been sent is a guess, though its ID is right.
func TestStreamReplyBeforeQuery(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		first := readQuery(c)
		time.Sleep(time.Second) // the second query is being written, the third waits behind it
		c.Write(framed(message(3, 50, 'r')))
		c.Write(reply(first))
		answerAll(c)
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		var sent sync.WaitGroup
		sent.Go(func() {
			seen := 0
			_, err := tr.Send(t.Context(), "tcp", server1, message(1, 40, 'q'), Watch{Check: func([]byte) Verdict { seen++; return Accept }})
			if err != nil || seen != 2 {
				t.Errorf("first query: got %v after %d messages, want 2, the guess being offered", err, seen)
			}
		})
		synctest.Wait()
		sent.Go(func() { exchange(t, t.Context(), tr, server1, 2) })
		synctest.Wait()
		sent.Go(func() {
			seen := 0
			got, err := tr.Send(t.Context(), "tcp", server1, message(3, 40, 'q'), Watch{Check: func([]byte) Verdict { seen++; return Accept }})
			if want := message(3, 40, 'r'); err != nil || !bytes.Equal(got, want) || seen != 1 {
				t.Errorf("third query: got %x, %v after %d messages, want only %x", got, err, seen, want)
			}
		})
		sent.Wait()
		wantDialled(t, n, 1)
	})
}

// A late reply that comes while nobody waits does no harm.
func TestStreamLateReplyWhileIdle(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		for range maxOwed + 2 {
			q := readQuery(c)
			time.Sleep(2 * time.Second)
			c.Write(reply(q))
		}
		answerAll(c)
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		for id := range uint16(maxOwed + 2) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			_, err := tr.Exchange(ctx, "tcp", server1, message(id, 40, 'q'))
			wantError(t, err, context.Canceled, "read", false)
			time.Sleep(3 * time.Second)
			wantOpen(t, tr, 0, 1)
		}
		exchange(t, t.Context(), tr, server1, 1000)
		wantDialled(t, n, 1)
	})
}

// After an Abandon the connection carries no later query.
func TestStreamAbandon(t *testing.T) {
	n := &network{streams: answerAll}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		_, err := tr.Send(t.Context(), "tcp", server1, message(1, 40, 'q'), Watch{Check: func([]byte) Verdict { return Abandon }})
		wantError(t, err, ErrAbandoned, "read", false)
		synctest.Wait()
		wantOpen(t, tr, 0, 0)
		exchange(t, t.Context(), tr, server1, 2)
		wantDialled(t, n, 2)
	})
}

func TestStreamIdleClose(t *testing.T) {
	n := &network{streams: answerAll}
	inBubble(t, n, Options{IdleTimeout: 20 * time.Second}, func(t *testing.T, tr *Transport) {
		exchange(t, t.Context(), tr, server1, 1)
		time.Sleep(19 * time.Second)
		exchange(t, t.Context(), tr, server1, 2)
		time.Sleep(20*time.Second - time.Millisecond)
		wantOpen(t, tr, 0, 1)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		wantOpen(t, tr, 0, 0)
		exchange(t, t.Context(), tr, server1, 3)
		wantDialled(t, n, 2)
	})
	n = &network{streams: answerAll}
	inBubble(t, n, Options{IdleTimeout: -1}, func(t *testing.T, tr *Transport) {
		exchange(t, t.Context(), tr, server1, 1)
		synctest.Wait()
		wantOpen(t, tr, 0, 0)
	})
}

// Bytes that nobody waits for do not keep an idle connection open.
func TestStreamIdleDrip(t *testing.T) {
	n := &network{streams: func(c net.Conn) {
		c.Write(reply(readQuery(c)))
		for _, b := range framed(message(9, 400, 'r')) {
			time.Sleep(time.Second)
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
		}
	}}
	inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
		exchange(t, t.Context(), tr, server1, 1)
		time.Sleep(defaultIdleTimeout)
		synctest.Wait()
		wantOpen(t, tr, 0, 0)
	})
}

// Replies with an ID that has been answered are dropped a few times; a server that goes on sending
// them while somebody waits for another loses the connection, and has not been read for long.
func TestStreamRepeatedReplies(t *testing.T) {
	for _, repeats := range []int{maxRepeated, 1000} {
		written := 0
		n := &network{streams: func(c net.Conn) {
			first := reply(readQuery(c))
			c.Write(first)
			second := readQuery(c)
			for range repeats {
				if _, err := c.Write(first); err != nil {
					return
				}
				written++
			}
			c.Write(reply(second))
		}}
		inBubble(t, n, Options{}, func(t *testing.T, tr *Transport) {
			exchange(t, t.Context(), tr, server1, 1)
			_, err := tr.Send(t.Context(), "tcp", server1, message(2, 40, 'q'), accept('r'))
			if few := repeats <= maxRepeated; few != (err == nil) || err != nil && !errors.Is(err, errUnsolicited) {
				t.Errorf("after %d repeated replies: got %v", repeats, err)
			}
		})
		if written > 2*maxRepeated+2 {
			t.Errorf("%d of %d repeated replies were read", written, repeats)
		}
	}
}
