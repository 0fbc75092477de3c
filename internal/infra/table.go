package infra

import (
	"crypto/rand"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// maxServers is how many addresses are remembered. Some 450 bytes each; the
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

// Table is what is known about servers. It is safe for concurrent use. A Table with nothing in it
// takes some 5 KiB.
type Table struct {
	shards  [shards]shard
	seed    maphash.Seed
	servers bound
	lame    bound

	typical  atomic.Int64 // time.Duration; of first contacts. Written under mu
	mu       sync.Mutex   // guards what is about all servers
	families [2]family    // IPv4, IPv6
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
func NewTable() *Table { return newTable(maxServers, maxLame) }

func newTable(servers, lame int64) *Table {
	t := &Table{seed: maphash.MakeSeed(), servers: bound{most: servers}, lame: bound{most: lame}}
	t.typical.Store(int64(firstGuess))
	return t
}

// lock returns the state of addr, empty at first, and its shard, which is locked.
func (t *Table) lock(addr netip.AddrPort) (*shard, *server) {
	s := t.shardOf(addr)
	s.mu.Lock()
	if known := s.servers.get(&t.servers, addr); known != nil {
		return s, known
	}
	s.mu.Unlock()
	return t.lockNew(s, addr)
}

// lockNew is lock for an address that is not known. It is a function so that lock, which comes last
// in the deepest calls of a query, needs little of the stack.
func (t *Table) lockNew(s *shard, addr netip.AddrPort) (*shard, *server) {
	var fresh server
	rand.Read(fresh.features.client[:]) // never fails: crypto/rand ends the program instead
	t.reserve(&t.servers, serverUnusedSince, t.evictServer)
	s.mu.Lock()
	return s, s.servers.place(&t.servers, addr, fresh)
}

// Len returns how many addresses are in the table.
func (t *Table) Len() int { return int(t.servers.entries.Load()) }

// SetLame remembers that addr does not serve zone.
func (t *Table) SetLame(now time.Time, addr netip.AddrPort, zone dnsname.Name) {
	s, key := t.shardOf(addr), lameKey{addr, zone}
	s.mu.Lock()
	until := s.lame.get(&t.lame, key)
	if until == nil {
		s.mu.Unlock()
		t.reserve(&t.lame, lameUnusedSince, t.evictLame)
		s.mu.Lock()
		until = s.lame.place(&t.lame, key, time.Time{})
	}
	*until = now.Add(lameFor)
	s.mu.Unlock()
}

// isLame reports whether addr, an address of s, is known not to serve zone. s must be locked.
func (t *Table) isLame(s *shard, now time.Time, addr netip.AddrPort, zone dnsname.Name) bool {
	until := s.lame.get(&t.lame, lameKey{addr, zone})
	return until != nil && ahead(now, *until, lameFor)
}

func serverUnusedSince(s *shard) uint64 { return s.servers.unusedSince() }
func lameUnusedSince(s *shard) uint64   { return s.lame.unusedSince() }

// evictServer forgets a server of t. Nobody waits for the probe of a server that is no longer
// remembered.
func (t *Table) evictServer(s *shard) {
	if known := s.servers.evict(&t.servers); known != nil {
		known.endProbe()
	}
}

func (t *Table) evictLame(s *shard) { s.lame.evict(&t.lame) }

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

// recent is ahead for what ends length after a time that is over: whether at was less than length
// ago.
func recent(now, at time.Time, length time.Duration) bool {
	age, wall := now.Sub(at), now.Round(0).Sub(at.Round(0))
	return max(age, wall) < length && min(age, wall) >= -clockSlack
}
