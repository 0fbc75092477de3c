package transport

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
)

var (
	// ErrLate is what Await returns when its time is over. The query still waits.
	ErrLate = errors.New("no reply yet")

	// ErrUnreachable is what Await returns when the host reports that the server's port is
	// unreachable. The query still waits.
	ErrUnreachable = errors.New("port is reported as unreachable")

	// ErrAbandoned is wrapped by the error of a send whose Check returned Abandon.
	ErrAbandoned = errors.New("abandoned after a forged reply")

	// ErrStale is matched by the error of a send over a TCP connection that had
	// been used before and ended before a byte of the reply came. That is how
	// servers close idle connections, and does not show that they are down (RFC
	// 7766 §6.2.4): the same query may be sent again, and will take another
	// connection.
	ErrStale = errors.New("reused connection was closed by the server")

	// ErrFraming is wrapped by the error of a send whose TCP connection carried a
	// length too small for a DNS message. Where the next message starts is not
	// known any more, so that the connection was closed.
	ErrFraming = errors.New("broken framing")

	// ErrConns is wrapped by the error of a send that found Options.MaxConns connections
	// in use until its context ended, ErrServerConns by that of one that found
	// Options.MaxConnsPerServer of its server in use. Nothing was sent.
	ErrConns       = errors.New("all connections are in use")
	ErrServerConns = errors.New("all connections to the server are in use")

	// ErrQuery is wrapped by the error of a send whose query has no header or is
	// longer than 65,535 bytes. Nothing was sent.
	ErrQuery = errors.New("query is too short or too long for a DNS message")

	// errTwoWaits is that of an Await during another one.
	errTwoWaits = errors.New("another goroutine waits for the reply")

	// errUnsolicited ends a connection on which the server sends a message though
	// no query waits and no reply is owed. No caller sees it.
	errUnsolicited = errors.New("message without a query")
)

// The operations of Error.Op.
const (
	opWait  = "wait"  // for a socket or connection to be free, or for the processor
	opDial  = "dial"  // open it
	opWrite = "write" // send the query
	opRead  = "read"  // wait for the reply
	opClose = "close" // by Close, over TCP
)

// Error is the error of Send, Begin and Await. It implements net.Error.
//
// If the context ended, Err wraps its error: context.Canceled or
// context.DeadlineExceeded. A timeout that the connection reports before the
// context's deadline is passed on as it is and does not match
// context.DeadlineExceeded: a lost packet, which is no measure of a round trip. The
// exception is Op "dial" over TCP, where a Dial function may report with it that
// Options.ConnectTimeout has passed.
type Error struct {
	// Op is what failed or was under way: "wait" for a free socket or connection,
	// "dial", "write" or "read"; over TCP also "close", if Close ended it.
	Op string
	// Network is "udp" or "tcp", as given to Send.
	Network string
	// Server is the address asked.
	Server netip.AddrPort
	// Reused says that the TCP connection existed before this send.
	Reused bool
	// Partial says that the TCP connection ended within a message that is or may be
	// the reply: its ID is that of the query, or had not come.
	Partial bool
	// Err is the cause.
	Err error

	stale bool
}

// Error names operation, server and cause.
func (e *Error) Error() string {
	text := e.Op + " " + e.Network + " " + e.Server.String() + ": "
	cause := strings.TrimPrefix(e.Err.Error(), text) // a *net.OpError says the same
	if e.stale {
		text += ErrStale.Error() + ": "
	}
	return text + cause
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is ErrStale and this is such an error.
func (e *Error) Is(target error) bool { return target == ErrStale && e.stale }

// Timeout reports whether the cause is a timeout: of the context, of the
// connect or write limit over TCP, or one reported by the connection.
func (e *Error) Timeout() bool { return isTimeout(e.Err) }

// Unsent reports whether the send ended before anything was sent or opened: this host had no
// time for it, or no socket.
func (e *Error) Unsent() bool { return e.Op == opWait }

// NoRoute reports whether a query over UDP was refused by this host: it has no route to the
// server, or its own filter forbids the packet.
func (e *Error) NoRoute() bool {
	return e.Network == "udp" && (e.Op == opDial || e.Op == opWrite) && !e.Timeout() && !errors.Is(e.Err, syscall.ECONNREFUSED)
}

// Temporary reports whether sending the same query to the same server at once
// may succeed: only if the error is ErrStale.
func (e *Error) Temporary() bool { return e.stale }

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
