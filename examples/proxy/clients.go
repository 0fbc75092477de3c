package main

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/miekg/dns"
)

// clients decides who may ask, and how much. It is safe for concurrent use.
type clients struct {
	allowed []netip.Prefix
	// Bounds for one client; 0: none.
	rate, questions, connections, bytes clientLimit

	mu    sync.Mutex
	known *simplelru.LRU[netip.Prefix, *client] // guarded by mu, as are its values
}

// client is what one client does now.
type client struct {
	tokens      float64 // queries it may send at once
	since       time.Time
	questions   int
	connections int
	bytes       int // of its long queries
}

// clientLimit is a bound for clients of other hosts and for this one.
type clientLimit struct{ other, self int }

// maxClients is how many clients are remembered, the latest first, in some 20 MiB. One
// that is forgotten begins anew, which matters little: limits for each address do not
// stop an attacker with that many addresses.
const maxClients = 100_000

// Defaults for one client that is not this host. A busy mail server sends some hundred
// queries a second; Unbound's ip-ratelimit and BIND's fetches work with numbers of this
// size. Programs of this host have other ways to harm it.
const (
	defaultClientRate        = 1000
	defaultClientQuestions   = 200
	defaultClientConnections = 50
)

func newClients(c *config) *clients {
	questions := limitOf(c.clientQuestions, defaultClientQuestions)
	known, _ := simplelru.NewLRU[netip.Prefix, *client](maxClients, nil) // fails for sizes below 1 only
	return &clients{
		allowed:     c.allowClients,
		rate:        limitOf(c.clientRate, defaultClientRate),
		questions:   questions,
		connections: limitOf(c.clientConnections, defaultClientConnections),
		bytes:       clientLimit{bytesFor(questions.other), bytesFor(questions.self)},
		known:       known,
	}
}

// bytesFor returns how many bytes the long queries of a client may have together that may have
// so many questions: as many as if each were as long as over UDP, but one at least. 0: any.
func bytesFor(questions int) int {
	if questions == 0 {
		return 0
	}
	return max(questions*udpSize, dns.MaxMsgSize)
}

// limitOf returns the bound for a flag: 0 is the default, which is not for this host, and
// a negative number none.
func limitOf(flag, standard int) clientLimit {
	switch {
	case flag == 0:
		return clientLimit{other: standard}
	case flag < 0:
		return clientLimit{}
	}
	return clientLimit{flag, flag}
}

func (l clientLimit) of(addr netip.Addr) int {
	if addr.IsLoopback() {
		return l.self
	}
	return l.other
}

// mayAsk reports whether addr is a client at all.
func (c *clients) mayAsk(addr netip.Addr) bool { return contains(c.allowed, addr) }

// spend takes one query of those that the client may send at this time, and reports
// whether there was one. A client that was quiet may send those of one second at once.
func (c *clients) spend(addr netip.Addr) bool {
	limit := c.rate.of(addr)
	if limit == 0 {
		return true
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.find(addr)
	one.tokens = min(one.tokens+now.Sub(one.since).Seconds()*float64(limit), float64(limit))
	one.since = now
	if one.tokens < 1 {
		return false
	}
	one.tokens--
	return true
}

// ask takes a place for one more question of the client that is worked on. leave, which
// is nil if there is no place, releases it.
func (c *clients) ask(addr netip.Addr) (leave func()) {
	return c.take(addr, 1, c.questions.of(addr), func(one *client) *int { return &one.questions })
}

// connect is ask for a connection.
func (c *clients) connect(addr netip.Addr) (leave func()) {
	return c.take(addr, 1, c.connections.of(addr), func(one *client) *int { return &one.connections })
}

// hold is ask for the bytes of a long query.
func (c *clients) hold(addr netip.Addr, bytes int) (leave func()) {
	return c.take(addr, bytes, c.bytes.of(addr), func(one *client) *int { return &one.bytes })
}

// take takes n places of those that one client may have.
func (c *clients) take(addr netip.Addr, n, limit int, count func(*client) *int) (leave func()) {
	if limit == 0 {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.find(addr)
	if *count(one)+n > limit {
		return nil
	}
	*count(one) += n
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		*count(one) -= n // also if it was forgotten meanwhile: then nobody looks
	}
}

// find returns the client at addr. c.mu is held.
func (c *clients) find(addr netip.Addr) *client {
	key := subscriber(addr)
	one, ok := c.known.Get(key)
	if !ok {
		one = new(client) // since is long ago, so that it may begin
		c.known.Add(key, one)
	}
	return one
}

// subscriber is what counts as one client: an IPv4 address, and the block of IPv6
// addresses that one subscriber has (RFC 6177 §2).
func subscriber(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 56
	}
	prefix, _ := addr.WithZone("").Prefix(bits) // fails for numbers of bits that are too large
	return prefix
}
