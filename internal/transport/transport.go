package transport

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// defaultMaxSockets keeps below the 1,024 descriptors that many systems allow
	// a process. At 30 ms a reply, 1,000 sockets carry 33,000 queries a second.
	defaultMaxSockets = 1000

	// defaultMaxConns is enough for a resolver whose replies are mostly UDP, and
	// bounds what hostile servers that answer everything with TC can hold open.
	defaultMaxConns = 200

	// defaultMaxConnsPerServer: RFC 7766 §6.2.2 wants one connection to a server.
	// More are opened only when an ID is taken, or a connection full or given up.
	defaultMaxConnsPerServer = 4

	// defaultIdleTimeout is the lower end of the 10 to 30 s that servers commonly
	// keep an idle connection; RFC 7766 §6.2.3 wants clients to close first.
	defaultIdleTimeout = 10 * time.Second

	// defaultConnectTimeout is two round trips of the slowest paths, a satellite's
	// included, or one lost SYN, which is sent again after 1 s (RFC 6298 §2).
	defaultConnectTimeout = 2 * time.Second

	// headerSize is that of RFC 1035 §4.1.1: anything shorter is no DNS message.
	headerSize = 12

	// maxMessage is the largest value of the two-byte length of RFC 1035 §4.2.2.
	maxMessage = 65535
)

// Transport sends queries. It is used by many goroutines at once. Make one with New.
type Transport struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	sockets chan struct{} // one token for each UDP socket; its capacity is the limit
	streams *pool
	poller  *poller // nil: sockets are those of package net

	ctx    context.Context // ends with Close, bounds dials and the wait for sockets
	cancel context.CancelFunc
	calls  sync.WaitGroup // sends under way and goroutines of connections

	mu      sync.Mutex
	closed  bool                  // guarded by mu
	pending map[*Pending]struct{} // guarded by mu: queries over UDP under way, for Close
}

// Options configures a Transport. The zero value is the production default, and
// a field that is zero or out of range means its default.
type Options struct {
	// Dial opens connections; nil: the host's sockets. network is "udp" or "tcp",
	// address an IP address and port. A connection for "udp" keeps message
	// boundaries, one for "tcp" carries two-byte lengths; closing it ends a Read
	// or Write under way. Dial is called concurrently and returns when ctx ends,
	// which for "tcp" is not the context of the caller: a connection is shared.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// DialPeer, if not nil, opens the connections for sends with a Watch.Peer in the place of
	// Dial, on the same terms.
	DialPeer func(ctx context.Context, peer any, network, address string) (net.Conn, error)

	// MaxSockets is how many UDP sockets may be open at once; 0: 1,000. A send
	// beyond waits for one to be closed, as long as its context lasts.
	MaxSockets int

	// MaxConns and MaxConnsPerServer are how many TCP connections may be open at
	// once; 0: 200 and 4. A send beyond closes the idle connection that has
	// been unused for longest, or waits as long as its context lasts.
	MaxConns, MaxConnsPerServer int

	// IdleTimeout is how long an unused TCP connection is kept; 0: 10 s. Values
	// between 10 and 30 s suit servers; negative: not at all.
	IdleTimeout time.Duration

	// ConnectTimeout is how long opening a TCP connection may take; 0: 2 s.
	ConnectTimeout time.Duration
}

// New returns a Transport that opens nothing before the first Send.
func New(o Options) *Transport {
	o = o.withDefaults()
	t := &Transport{
		dial:    o.Dial,
		sockets: make(chan struct{}, o.MaxSockets),
		pending: make(map[*Pending]struct{}),
	}
	if t.dial == nil {
		t.poller = newPoller()
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.streams = newPool(t.ctx, &t.calls, o)
	return t
}

func (o Options) withDefaults() Options {
	if o.MaxSockets <= 0 {
		o.MaxSockets = defaultMaxSockets
	}
	if o.MaxConns <= 0 {
		o.MaxConns = defaultMaxConns
	}
	if o.MaxConnsPerServer <= 0 {
		o.MaxConnsPerServer = defaultMaxConnsPerServer
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = defaultConnectTimeout
	}
	return o
}

// Send sends query once, over "udp" or "tcp", to server and returns the first
// message that w accepts, in a slice of its own. It waits until ctx ends; the
// deadline of ctx is the only one, apart from the limit on opening a TCP
// connection. When it returns, its UDP socket is closed.
//
// Errors are *Error. With ErrAbandoned the message in question is returned as
// well; in all other cases of error the reply is nil. After Close the error
// wraps net.ErrClosed. Send does not change query and does not keep it.
func (t *Transport) Send(ctx context.Context, network string, server netip.AddrPort, query []byte, w Watch) ([]byte, error) {
	if network == "udp" {
		return t.sendDatagram(ctx, server, query, w)
	}
	// ::ffff:192.0.2.1 is 192.0.2.1: one server, one set of connections.
	server = netip.AddrPortFrom(server.Addr().Unmap(), server.Port())
	if err := checkSend(network, server, query); err != nil {
		return nil, &Error{Op: opDial, Network: network, Server: server, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, &Error{Op: opWait, Network: network, Server: server, Err: err}
	}
	if !t.enter(nil) {
		return nil, &Error{Op: opDial, Network: network, Server: server, Err: net.ErrClosed}
	}
	defer t.exit(nil)
	return t.streams.send(ctx, place{server, w.Peer}, query, w)
}

// Exchange is Send with a zero Watch: the first message is the reply.
func (t *Transport) Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	return t.Send(ctx, network, server, query, Watch{})
}

// checkSend returns an error for arguments of Send that are invalid.
func checkSend(network string, server netip.AddrPort, query []byte) error {
	if network != "udp" && network != "tcp" {
		return net.UnknownNetworkError(network)
	}
	if !server.IsValid() || server.Port() == 0 {
		return &net.AddrError{Err: "no address and port of a server", Addr: server.String()}
	}
	if len(query) < headerSize || len(query) > maxMessage {
		return fmt.Errorf("%w: %d bytes", ErrQuery, len(query))
	}
	return nil
}

// enter counts a send, unless the transport is closed; p is nil for TCP. The lock orders it
// before or after Close, so that Close waits for all it has let in.
func (t *Transport) enter(p *Pending) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.calls.Add(1)
	if p != nil {
		t.pending[p] = struct{}{}
	}
	return true
}

// exit ends what enter began.
func (t *Transport) exit(p *Pending) {
	if p != nil {
		t.mu.Lock()
		delete(t.pending, p)
		t.mu.Unlock()
	}
	t.calls.Done()
}

// Close ends all sends and waits under way with an error that wraps net.ErrClosed, closes
// all connections and all that Begin has returned, and returns when every send and wait has
// returned and no goroutine is left. It returns nil, also when called again.
func (t *Transport) Close() error {
	t.mu.Lock()
	t.closed = true
	pending := slices.Collect(maps.Keys(t.pending))
	t.mu.Unlock()

	t.streams.close() // before the context ends, so that dials do not fail for that
	t.cancel()
	for _, p := range pending {
		p.Close()
	}
	t.calls.Wait()
	if t.poller != nil {
		t.poller.close()
	}
	return nil
}

// Open returns how many UDP sockets and TCP connections are open now, those that
// are being opened included.
func (t *Transport) Open() (udp, tcp int) {
	return len(t.sockets), t.streams.count()
}

// Verdict is the result of the caller's check of one message that arrived.
type Verdict int

const (
	// Ignore: not an answer to this query. The wait goes on to the same deadline.
	Ignore Verdict = iota
	// Accept: Send returns this message.
	Accept
	// Abandon: somebody is guessing, and each further message is another guess
	// (RFC 5452 §9.3). Send stops waiting and returns the message with ErrAbandoned.
	Abandon
)

// Watch has the functions by which the caller watches a send under way. The zero
// Watch accepts the first message.
type Watch struct {
	// Check judges each message that arrived; nil accepts the first one. It is
	// called in the goroutine that called Send and never after Send has returned.
	// It may change reply in place, which only the Checks of other sends over the same
	// connection read besides, and may keep it only if it returns Accept or Abandon; it is
	// then the very slice that Send returns. It must not call Close.
	//
	// Over UDP it sees every datagram of the server's address and port, of any
	// length, zero included. Over TCP it sees every message with the ID of this
	// query, and those with an ID that was never used on the connection: for the
	// latter an Accept counts as Ignore.
	Check func(reply []byte) Verdict

	// Sent, if not nil, is called once, as Check is and before it, when the host has accepted
	// the query for sending. It is not called for a query that never left.
	Sent func()

	// Unreachable, if not nil, is called at most once, as Check is, when the host
	// reports that the server's UDP port is unreachable. The wait goes on, since
	// the ICMP message behind it can be forged: it is a reason to ask another
	// server as well, not to give up.
	Unreachable func()

	// Peer, if not nil, is what the connection has to be made for beside the address, as the
	// host name that is verified. Sends over TCP share a connection only if their Peers are
	// equal, which therefore are of a type that can be compared.
	Peer any

	// Waits, if not nil, is called as Check is when all connections (Options.MaxConns)
	// are in use; over is called when one has become free or the wait has ended.
	Waits func() (over func())
}

// sent calls Sent: the query has left.
func (w Watch) sent() {
	if w.Sent != nil {
		w.Sent()
	}
}

// unreachable calls Unreachable: the port is reported as unreachable.
func (w Watch) unreachable() {
	if w.Unreachable != nil {
		w.Unreachable()
	}
}

// verdictOf calls check; nil accepts.
func verdictOf(check func(reply []byte) Verdict, reply []byte) Verdict {
	if check == nil {
		return Accept
	}
	return check(reply)
}
