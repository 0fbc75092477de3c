package infra

import (
	"crypto/rand"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// maxServers is how many addresses are remembered. Some 200 bytes each; the
	// busiest resolvers see a few ten thousand.
	maxServers = 50_000
	// maxLame is how many (address, zone) pairs are remembered as lame.
	maxLame = 10_000
	// lameFor is how long a server is not asked about a zone that it did not know. A
	// lame delegation is repaired by hand; one query a minute does no harm.
	lameFor = time.Minute
	// forgetRTT is after how long without a reply a round-trip time is forgotten
	// (Unbound's infra-host-ttl is 15 minutes).
	forgetRTT = 15 * time.Minute
	// heardFor is for how long one reply shows that port 53 is open: a network that lets
	// queries through does not block them a moment later.
	heardFor = time.Minute
)

// Table is what is known about servers. It is safe for concurrent use.
type Table struct {
	mu       sync.Mutex
	servers  *simplelru.LRU[netip.AddrPort, *server] // guarded by mu
	lame     *simplelru.LRU[lameKey, time.Time]      // guarded by mu
	families [2]family                               // guarded by mu; IPv4, IPv6
	typical  time.Duration                           // guarded by mu; of first contacts
	heard    time.Time                               // guarded by mu; when a server last answered
}

type lameKey struct {
	addr netip.AddrPort
	zone dnsname.Name
}

// server is what is known about one address.
type server struct {
	rtt      estimator
	timeouts int       // since the last reply
	deadTill time.Time // not asked before, but for single probes
	// probe is closed when the probe under way ends; nil: there is none.
	probe    chan struct{}
	replies  uint64 // how many there have been, whatever they were to
	features features
}

// NewTable makes an empty table.
func NewTable() *Table {
	// NewLRU fails for sizes below one only.
	forget := func(_ netip.AddrPort, s *server) { s.endProbe() }
	servers, _ := simplelru.NewLRU(maxServers, forget)
	lame, _ := simplelru.NewLRU[lameKey, time.Time](maxLame, nil)
	return &Table{servers: servers, lame: lame, typical: firstGuess}
}

// get returns the state of addr, empty at first. mu must be held.
func (t *Table) get(addr netip.AddrPort) *server {
	if s, ok := t.servers.Get(addr); ok {
		return s
	}
	s := &server{}
	rand.Read(s.features.client[:]) // never fails: crypto/rand ends the program instead
	t.servers.Add(addr, s)
	return s
}

// Len returns how many addresses are in the table.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.servers.Len()
}

// SetLame remembers that addr does not serve zone.
func (t *Table) SetLame(now time.Time, addr netip.AddrPort, zone dnsname.Name) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lame.Add(lameKey{addr, zone}, now.Add(lameFor))
}

// Lame reports whether addr is known not to serve zone.
func (t *Table) Lame(now time.Time, addr netip.AddrPort, zone dnsname.Name) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	until, ok := t.lame.Get(lameKey{addr, zone})
	return ok && ahead(now, until, lameFor)
}

// clockSlack is by how much the times of two calls may differ whose callers read the clock in
// one order and call in another.
const clockSlack = 10 * time.Second

// ahead reports whether until, which was set at most length into the future, is still to come:
// only if both the wall clock and the monotonic clock say so. When the wall clock was set back
// it is over, rather than last longer by as much.
func ahead(now, until time.Time, length time.Duration) bool {
	left, wall := until.Sub(now), until.Round(0).Sub(now.Round(0))
	return min(left, wall) > 0 && max(left, wall) <= length+clockSlack
}
