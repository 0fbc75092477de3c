package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// pool holds the TCP connections. One lock guards it and the state of all queries
// on them; nothing is read, written, opened or closed under it.
type pool struct {
	dial           func(ctx context.Context, network, address string) (net.Conn, error)
	dialPeer       func(ctx context.Context, peer any, network, address string) (net.Conn, error)
	ctx            context.Context // ends with Close
	goroutines     *sync.WaitGroup
	maxOpen        int
	maxPerServer   int
	idleTimeout    time.Duration
	connectTimeout time.Duration

	mu      sync.Mutex
	closed  bool
	servers map[place][]*stream // those that have not ended
	open    int                 // connections whose descriptor may exist
	changed chan struct{}       // closed, and replaced, when a waiting send may find a place
	waiting int                 // how many sends wait for that
}

func newPool(ctx context.Context, goroutines *sync.WaitGroup, o Options) *pool {
	p := &pool{
		dial:           o.Dial,
		dialPeer:       o.DialPeer,
		ctx:            ctx,
		goroutines:     goroutines,
		maxOpen:        o.MaxConns,
		maxPerServer:   o.MaxConnsPerServer,
		idleTimeout:    o.IdleTimeout,
		connectTimeout: o.ConnectTimeout,
		servers:        make(map[place][]*stream),
		changed:        make(chan struct{}),
	}
	if p.dial == nil {
		// Keep-alive probes would come later than the idle timeout.
		p.dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	return p
}

// place is where connections lead to: those to one place can stand for each other.
type place struct {
	addr netip.AddrPort
	peer any // Watch.Peer
}

// dialTo opens a connection to a place.
func (p *pool) dialTo(ctx context.Context, to place) (net.Conn, error) {
	if to.peer != nil && p.dialPeer != nil {
		return p.dialPeer(ctx, to.peer, "tcp", to.addr.String())
	}
	return p.dial(ctx, "tcp", to.addr.String())
}

// send is Send for "tcp".
func (p *pool) send(ctx context.Context, server place, query []byte, watch Watch) ([]byte, error) {
	w := newWaiter(query)
	c, err := p.join(ctx, server, w, watch)
	if err != nil {
		return nil, &Error{Op: opWait, Network: "tcp", Server: server.addr, Err: err}
	}
	return c.await(ctx, w, watch)
}

// join puts w on a connection to server: an open one, one that is being opened,
// or a new one. It waits while all places are taken.
func (p *pool) join(ctx context.Context, server place, w *waiter, watch Watch) (*stream, error) {
	over := func() {}
	defer func() { over() }()
	told := watch.Waits == nil
	for {
		c, changed, err := p.tryJoin(server, w)
		if changed == nil {
			return c, err
		}
		if !told && errors.Is(err, ErrConns) {
			over, told = watch.Waits(), true
		}
		select {
		case <-changed:
			p.mu.Lock()
			p.waiting--
			p.mu.Unlock()
		case <-ctx.Done():
			p.mu.Lock()
			p.waiting--
			p.mu.Unlock()
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
}

// tryJoin is one try of join. If there is no place, it counts the caller as waiting and
// returns the channel that says when to try again, with an error that says what is full.
func (p *pool) tryJoin(server place, w *waiter) (*stream, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, net.ErrClosed
	}
	for _, c := range p.servers[server] {
		if c.takes(w.id) {
			c.add(w)
			return c, nil, nil
		}
	}
	var victim *stream
	full := ErrServerConns
	if len(p.servers[server]) >= p.maxPerServer {
		victim = longestIdle(nil, p.servers[server])
	} else if p.open >= p.maxOpen {
		full = ErrConns
		for _, streams := range p.servers {
			victim = longestIdle(victim, streams)
		}
	} else {
		p.open++
		return p.start(server, w, nil), nil, nil
	}
	if victim != nil {
		victim.detach() // its place passes on to the new connection, which closes the old one first
		return p.start(server, w, victim.conn), nil, nil
	}
	p.waiting++
	return nil, p.changed, full
}

// longestIdle returns which of best and streams has been unused for longest, nil
// if all are in use.
func longestIdle(best *stream, streams []*stream) *stream {
	for _, c := range streams {
		if c.idle() && (best == nil || c.idleSince.Before(best.idleSince)) {
			best = c
		}
	}
	return best
}

// start opens a connection with its first query. Opening does not end with the
// context of that query, since others join: it ends when no query waits any more.
func (p *pool) start(server place, w *waiter, replaced net.Conn) *stream {
	ctx, cancel := context.WithTimeout(p.ctx, p.connectTimeout)
	c := newStream(p, server, cancel)
	p.servers[server] = append(p.servers[server], c)
	c.add(w)
	p.goroutines.Add(1) // some Send is under way, so that Close cannot have stopped waiting
	go c.run(ctx, replaced)
	return c
}

// remove takes c out of the list of connections.
func (p *pool) remove(c *stream) {
	list := p.servers[c.place]
	for i := range list {
		if list[i] == c {
			// A new list: copying within would keep pointers behind its end.
			list = append(append([]*stream(nil), list[:i]...), list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(p.servers, c.place)
	} else {
		p.servers[c.place] = list
	}
}

// wakeAll lets all sends that wait for a place try again. They wait for different
// things (this server, any server, this ID), so that waking one could wake the wrong one.
func (p *pool) wakeAll() {
	if p.waiting > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// release frees the place of a descriptor that has been closed.
func (p *pool) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
	p.wakeAll()
}

// close ends all connections.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	var all []*stream
	for _, streams := range p.servers {
		all = append(all, streams...)
	}
	p.wakeAll()
	p.mu.Unlock()
	for _, c := range all {
		c.end(opClose, fragment{}, net.ErrClosed)
	}
}

func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}
