package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

var (
	server1 = netip.MustParseAddrPort("192.0.2.1:53")
	server2 = netip.MustParseAddrPort("[2001:db8::2]:53")
	server3 = netip.MustParseAddrPort("203.0.113.3:53")
)

// message makes a header with this ID and length bytes in all, marked with mark.
func message(id uint16, length int, mark byte) []byte {
	m := make([]byte, max(length, headerSize))
	binary.BigEndian.PutUint16(m, id)
	m[headerSize-1] = mark
	return m
}

func framed(m []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
}

// accept is a Watch that accepts messages with this mark.
func accept(mark byte) Watch {
	return Watch{Check: func(reply []byte) Verdict {
		if len(reply) >= headerSize && reply[headerSize-1] == mark {
			return Accept
		}
		return Ignore
	}}
}

// arrival is what a Read of a packetConn returns.
type arrival struct {
	packet []byte
	err    error
}

// packetConn is a connection in memory that keeps message boundaries.
type packetConn struct {
	net.Conn // only for the methods that nobody calls
	arrivals chan arrival
	handle   func(query []byte, arrive func(packet []byte, err error))
	onClose  func()

	once   sync.Once
	closed chan struct{}
	mu     sync.Mutex
	limit  time.Time
}

func (c *packetConn) Write(b []byte) (int, error) {
	query := append([]byte(nil), b...)
	go c.handle(query, func(packet []byte, err error) {
		select {
		case c.arrivals <- arrival{packet, err}:
		case <-c.closed:
		}
	})
	return len(b), nil
}

func (c *packetConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	limit := c.limit
	c.mu.Unlock()
	var timeout <-chan time.Time
	if !limit.IsZero() {
		timer := time.NewTimer(time.Until(limit))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case a := <-c.arrivals:
		return copy(b, a.packet), a.err
	case <-timeout:
		return 0, os.ErrDeadlineExceeded
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *packetConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = t
	return nil
}

func (c *packetConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		c.onClose()
		err = nil
	})
	return err
}

// network is a Dial function with servers in memory, and counts what is open.
type network struct {
	packets func(query []byte, arrive func(packet []byte, err error))
	streams func(conn net.Conn) // called in a goroutine for each connection; conn is closed after it
	connect func(ctx context.Context, address string) error

	serving sync.WaitGroup // servers of TCP connections
	mu      sync.Mutex
	open    int
	maxOpen int
	dialled []string
}

func (n *network) count(delta int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open += delta
	n.maxOpen = max(n.maxOpen, n.open)
}

// state returns how many connections are open, were open at once, and in all.
func (n *network) state() (open, most, all int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open, n.maxOpen, len(n.dialled)
}

func (n *network) Dial(ctx context.Context, kind, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialled = append(n.dialled, kind+" "+address)
	n.mu.Unlock()
	if n.connect != nil {
		if err := n.connect(ctx, address); err != nil {
			return nil, err
		}
	}
	n.count(1)
	if kind == "udp" {
		return &packetConn{arrivals: make(chan arrival), handle: n.packets, closed: make(chan struct{}), onClose: func() { n.count(-1) }}, nil
	}
	ours, theirs := net.Pipe()
	n.serving.Go(func() {
		defer theirs.Close()
		n.streams(theirs)
	})
	return &countedConn{Conn: ours, onClose: func() { n.count(-1) }}, nil
}

type countedConn struct {
	net.Conn
	once    sync.Once
	onClose func()
}

func (c *countedConn) Close() error {
	c.once.Do(c.onClose)
	return c.Conn.Close()
}

// readQuery reads one framed message, nil at the end.
func readQuery(c io.Reader) []byte {
	var prefix [2]byte
	if _, err := io.ReadFull(c, prefix[:]); err != nil {
		return nil
	}
	m := make([]byte, binary.BigEndian.Uint16(prefix[:]))
	if _, err := io.ReadFull(c, m); err != nil {
		return nil
	}
	return m
}

// echo answers each query on conn with itself.
func echo(conn net.Conn) {
	for q := readQuery(conn); q != nil; q = readQuery(conn) {
		conn.Write(framed(q))
	}
}

// wantError checks the type of err and what it wraps.
func wantError(t *testing.T, err, cause error, op string, timeout bool) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error: got %v (%T), want *Error", err, err)
	}
	if cause != nil && !errors.Is(err, cause) {
		t.Errorf("cause: got %v, want %v", err, cause)
	}
	if e.Op != op {
		t.Errorf("Op of %v: got %q, want %q", err, e.Op, op)
	}
	var n net.Error
	if !errors.As(err, &n) || n.Timeout() != timeout {
		t.Errorf("Timeout() of %v: got %t, want %t", err, !timeout, timeout)
	}
	return e
}

func wantOpen(t *testing.T, tr *Transport, udp, tcp int) {
	t.Helper()
	if u, s := tr.Open(); u != udp || s != tcp {
		t.Errorf("Open: got %d UDP and %d TCP, want %d and %d", u, s, udp, tcp)
	}
}

// wantGoroutines waits until no more goroutines run than before. Those of the
// runtime's timers and of test servers may take a moment.
func wantGoroutines(t *testing.T, before int) {
	t.Helper()
	for range 6000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("goroutines: got %d, want %d", runtime.NumGoroutine(), before)
}
