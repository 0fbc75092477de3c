package realserver

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Router is a network in which every address is a server on this host: those that
// a route names lead there, all others to the fallback. It logs the queries sent.
// It is safe for concurrent use.
type Router struct {
	fallback netip.AddrPort

	mu      sync.Mutex
	routes  map[netip.Addr]netip.AddrPort // guarded by mu
	queries []Query                       // guarded by mu
}

// Query is one query as it was sent.
type Query struct {
	Server  netip.Addr // the address that was asked, not where the route led
	Network string     // "udp" or "tcp"
	Name    string     // of the question, absolute, in lower case
	Type    uint16
}

// String returns the query in the order of the command line of dig.
func (q Query) String() string {
	return fmt.Sprintf("@%v %s %s (%s)", q.Server, q.Name, dns.Type(q.Type), q.Network)
}

// NewRouter returns a network in which every address leads to fallback.
func NewRouter(fallback netip.AddrPort) *Router {
	return &Router{fallback: fallback, routes: make(map[netip.Addr]netip.AddrPort)}
}

// Route makes addrs lead to a server, from the next connection on.
func (r *Router) Route(to netip.AddrPort, addrs ...netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, addr := range addrs {
		r.routes[addr] = to
	}
}

// Dial has the signature of resolver.Options.Dial. The address must be an IP address
// with a port, which is not looked at.
func (r *Router) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	asked, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	to, ok := r.routes[asked.Addr()]
	r.mu.Unlock()
	if !ok {
		to = r.fallback
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, to.String())
	if err != nil {
		return nil, err
	}
	return &loggedConn{Conn: conn, router: r, server: asked.Addr(), network: network}, nil
}

// Queries returns the queries sent so far, oldest first, from the given index on.
func (r *Router) Queries(from int) []Query {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Query(nil), r.queries[min(from, len(r.queries)):]...)
}

func (r *Router) log(q Query) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries = append(r.queries, q)
}

// loggedConn logs the queries that are written to it. It is written to by one
// goroutine at a time, as any connection of which the parts of a message must not
// be mixed.
type loggedConn struct {
	net.Conn
	router  *Router
	server  netip.Addr
	network string
	stream  []byte // TCP: what has been written of a message that is not complete
}

// Write logs a query before it is sent, so that it is in the log when its reply
// arrives.
func (c *loggedConn) Write(b []byte) (int, error) {
	if strings.HasPrefix(c.network, "udp") {
		c.logMessage(b)
	} else {
		c.logStream(b)
	}
	return c.Conn.Write(b)
}

// logStream logs the messages that b completes: over TCP each stands behind its
// length in two bytes (RFC 1035 §4.2.2), and may come in any pieces.
func (c *loggedConn) logStream(b []byte) {
	c.stream = append(c.stream, b...)
	for len(c.stream) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(c.stream))
		if len(c.stream) < end {
			return
		}
		c.logMessage(c.stream[2:end])
		c.stream = c.stream[end:]
	}
}

// logMessage logs a message by its question. One that does not parse is logged
// without a name: it was sent all the same.
func (c *loggedConn) logMessage(message []byte) {
	q := Query{Server: c.server, Network: c.network}
	var m dns.Msg
	if err := m.Unpack(message); err == nil && len(m.Question) == 1 {
		q.Name, q.Type = strings.ToLower(m.Question[0].Name), m.Question[0].Qtype
	}
	c.router.log(q)
}
