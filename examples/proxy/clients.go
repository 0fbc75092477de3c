package main

import (
	"hash/maphash"
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

	seed   maphash.Seed
	shards [clientShards]clientShard
}

// clientShards: a client with limits is looked up for each of its queries, also for those that the
// cache answers within a microsecond. With one lock for all clients the cores of a large machine
// would wait for each other.
const clientShards = 32

// clientShard is a part of the clients.
type clientShard struct {
	mu    sync.Mutex
	known *simplelru.LRU[netip.Prefix, *client] // guarded by mu, as are its values

	_ [64]byte // keeps the locks of neighbours off one cache line
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

// maxClients is how many clients are remembered, in some 20 MiB: those that came last of each shard.
// One that is forgotten begins anew, which matters little: limits for each address do not
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
	all := &clients{
		allowed:     c.allowClients,
		rate:        limitOf(c.clientRate, defaultClientRate),
		questions:   questions,
		connections: limitOf(c.clientConnections, defaultClientConnections),
		bytes:       clientLimit{bytesFor(questions.other), bytesFor(questions.self)},
		seed:        maphash.MakeSeed(),
	}
	for i := range all.shards { // NewLRU fails for sizes below 1 only
		all.shards[i].known, _ = simplelru.NewLRU[netip.Prefix, *client](maxClients/clientShards, nil)
	}
	return all
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
func (c *clients) spend(now time.Time, addr netip.Addr) bool {
	limit := c.rate.of(addr)
	if limit == 0 {
		return true
	}
	s, one := c.lock(addr)
	defer s.mu.Unlock()
	if passed := now.Sub(one.since); passed > 0 { // not always, as another thread may have a later time
		one.tokens = min(one.tokens+passed.Seconds()*float64(limit), float64(limit))
		one.since = now
	}
	if one.tokens < 1 {
		return false
	}
	one.tokens--
	return true
}

// place is what a client holds of what it may have at once.
type place struct {
	shard *clientShard // nil: there is no limit
	count *int
	n     int
}

// leave releases it.
func (p place) leave() {
	if p.shard == nil {
		return
	}
	p.shard.mu.Lock()
	defer p.shard.mu.Unlock()
	*p.count -= p.n // also if the client was forgotten meanwhile: then nobody looks
}

// ask takes a place for one more question of the client that is worked on, if there is one.
func (c *clients) ask(addr netip.Addr) (place, bool) {
	return c.take(addr, 1, c.questions.of(addr), func(one *client) *int { return &one.questions })
}

// connect is ask for a connection.
func (c *clients) connect(addr netip.Addr) (place, bool) {
	return c.take(addr, 1, c.connections.of(addr), func(one *client) *int { return &one.connections })
}

// hold is ask for the bytes of a long query.
func (c *clients) hold(addr netip.Addr, bytes int) (place, bool) {
	return c.take(addr, bytes, c.bytes.of(addr), func(one *client) *int { return &one.bytes })
}

// take takes n of what one client may have at once.
func (c *clients) take(addr netip.Addr, n, limit int, count func(*client) *int) (place, bool) {
	if limit == 0 {
		return place{}, true
	}
	s, one := c.lock(addr)
	defer s.mu.Unlock()
	p := place{s, count(one), n}
	if *p.count+n > limit {
		return place{}, false
	}
	*p.count += n
	return p, true
}

// lock returns the client at addr, and its shard, which is locked.
func (c *clients) lock(addr netip.Addr) (*clientShard, *client) {
	key := subscriber(addr)
	s := &c.shards[maphash.Comparable(c.seed, key)%clientShards]
	s.mu.Lock()
	one, ok := s.known.Get(key)
	if !ok {
		one = new(client) // since is long ago, so that it may begin
		s.known.Add(key, one)
	}
	return s, one
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
