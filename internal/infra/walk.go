package infra

import (
	"net/netip"
	"time"
)

// Server is what is known of one address, for those who look.
type Server struct {
	Addr netip.AddrPort
	Estimate
	Features
	// Measured is when its round-trip time was measured last; zero: never.
	Measured time.Time
	// DownTill is until when it is marked down, but for probes; zero when it is not.
	DownTill time.Time
}

// Walk shows every address to visit until that returns false, in no particular order. It is no
// use of them. No lock is held while visit runs; what changes meanwhile may be shown or not.
func (t *Table) Walk(now time.Time, visit func(Server) bool) {
	var some []Server
	for i := range t.shards {
		some = t.appendShard(some[:0], now, &t.shards[i])
		for _, s := range some {
			if !visit(s) {
				return
			}
		}
	}
}

// appendShard appends what a shard holds.
func (t *Table) appendShard(to []Server, now time.Time, s *shard) []Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.servers.newest; i != nil; i = i.older {
		known := Server{Addr: i.key, Estimate: t.estimate(now, &i.value), Features: i.value.features.at(now), Measured: i.value.rtt.at}
		if known.Dead {
			known.DownTill = i.value.deadTill
		}
		to = append(to, known)
	}
	return to
}
