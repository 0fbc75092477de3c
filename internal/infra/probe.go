package infra

import (
	"net/netip"
	"time"
)

// Probe decides whether a query may probe a server that is marked down: one at a time,
// and, unless urgent, not before the time has passed for which it is marked down. If not,
// end is nil; otherwise end must be called after the outcome of the query has been
// recorded. Only a reply ends a probe earlier: the timeouts of queries that were under way
// when the server was marked down do not, or each of them would let another query out, and
// their number would never fall.
func (t *Table) Probe(now time.Time, addr netip.AddrPort, urgent bool) (end func()) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	if known.probe != nil || (!urgent && ahead(now, known.deadTill, deadMax)) {
		return nil
	}
	probe := make(chan struct{})
	known.probe = probe
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if known.probe == probe {
			known.endProbe()
		}
	}
}

// MarkedDown reports whether addr is marked down, after how many queries without a reply, and how
// long ago its last reply came; 0: it never sent one.
func (t *Table) MarkedDown(now time.Time, addr netip.AddrPort) (lost int, silent time.Duration, down bool) {
	s := t.shardOf(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.servers.items[addr] // which is no use of it
	if known == nil || known.value.timeouts < deadAfter {
		return 0, 0, false
	}
	if at := known.value.rtt.at; !at.IsZero() {
		silent = max(now.Sub(at), 1)
	}
	return known.value.timeouts, silent, true
}

// Probing returns a channel that is closed when the probe of addr that is under way ends;
// nil when there is none.
func (t *Table) Probing(addr netip.AddrPort) <-chan struct{} {
	s := t.shardOf(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.servers.items[addr]; known != nil { // which is no use of it
		return known.value.probe
	}
	return nil
}

// endProbe wakes those that wait for the end of the probe, if there is one.
func (s *server) endProbe() {
	if s.probe != nil {
		close(s.probe)
		s.probe = nil
	}
}
