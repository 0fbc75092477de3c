package infra

import (
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// firstGuess is the expected round-trip time of a server before anything was
	// measured: a server on another continent answers within it more often than not.
	firstGuess = 80 * time.Millisecond
	// minWait is the least time to wait for a reply before a second server is
	// asked: a busy host can be late by that much without any packet being lost.
	minWait = 20 * time.Millisecond
	// unknownTimeout is the timeout of the first query to a server. Unbound's
	// UNKNOWN_SERVER_NICENESS is 376 ms.
	unknownTimeout = 376 * time.Millisecond
	// minTimeout and maxTimeout bound the timeout of a query. maxTimeout is reached
	// only by servers that were slow or silent before.
	minTimeout = 100 * time.Millisecond
	maxTimeout = 800 * time.Millisecond
	// slowestTimeout bounds the timeout of servers measured to be slower than
	// maxTimeout allows for.
	slowestTimeout = 3 * time.Second
	// deadAfter is after how many timeouts in a row a server is marked down.
	deadAfter = 3
	// deadFirst is how long a server is marked down at first; each further timeout
	// doubles it up to deadMax (PowerDNS: 60 s).
	deadFirst = time.Second
	deadMax   = time.Minute
)

// estimator smooths round-trip times as TCP does (RFC 6298 §2).
type estimator struct {
	smoothed time.Duration // 0: never measured
	variance time.Duration
	at       time.Time // of the last sample
}

func (e *estimator) add(now time.Time, sample time.Duration) {
	sample = max(sample, time.Microsecond)
	if e.smoothed == 0 {
		*e = estimator{sample, sample / 2, now}
		return
	}
	diff := e.smoothed - sample
	if diff < 0 {
		diff = -diff
	}
	e.variance += (diff - e.variance) / 4
	e.smoothed += (sample - e.smoothed) / 8
	e.at = now
}

// Estimate is what to expect of a server.
type Estimate struct {
	Known bool          // it has answered not long ago
	RTT   time.Duration // expected round-trip time
	Late  time.Duration // when a reply is later than expected
	// Timeout is how long to wait for a reply in all.
	Timeout time.Duration
	// Dead is set while the server is marked down: only single probes may be sent,
	// see Probe.
	Dead bool
	// Timeouts counts the queries lost since the last reply.
	Timeouts int
	// Replies counts the replies there have been, for TimedOut and Silent.
	Replies uint64
}

// Estimate returns what to expect of addr.
func (t *Table) Estimate(now time.Time, addr netip.AddrPort) Estimate {
	s := t.shardOf(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.estimate(now, s.servers.get(&t.servers, addr))
}

// Candidate returns the estimate of a server, and whether it is known not to serve zone.
func (t *Table) Candidate(now time.Time, addr netip.AddrPort, zone dnsname.Name) (e Estimate, lame bool) {
	s := t.shardOf(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.estimate(now, s.servers.get(&t.servers, addr)), t.isLame(s, now, addr, zone)
}

// Contact is Estimate and Features at once, for a server that is to be asked.
func (t *Table) Contact(now time.Time, addr netip.AddrPort) (Estimate, Features) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	return t.estimate(now, known), known.features.at(now)
}

// estimate returns what to expect of a server whose shard is locked; nil: an unknown one.
func (t *Table) estimate(now time.Time, s *server) Estimate {
	if s == nil || s.rtt.smoothed == 0 || !recent(now, s.rtt.at, forgetRTT+1) {
		typical := time.Duration(t.typical.Load())
		e := Estimate{RTT: typical, Late: max(2*typical, minWait), Timeout: unknownTimeout}
		if s != nil {
			e.applyTimeouts(s)
		}
		return e
	}
	rto := s.rtt.smoothed + max(4*s.rtt.variance, minWait)
	e := Estimate{
		Known:   true,
		RTT:     s.rtt.smoothed,
		Late:    rto,
		Timeout: min(max(2*rto, minTimeout), max(maxTimeout, min(rto, slowestTimeout))),
	}
	e.applyTimeouts(s)
	return e
}

// applyTimeouts marks the server down, or lengthens its timeout, by the timeouts since its last
// reply.
func (e *Estimate) applyTimeouts(s *server) {
	e.Timeouts, e.Replies = s.timeouts, s.replies
	e.Dead = s.timeouts >= deadAfter
	if e.Dead {
		return // a probe finds out whether it answers again, not how slow it may be
	}
	for range s.timeouts {
		e.Timeout = min(2*e.Timeout, max(maxTimeout, e.Timeout))
	}
}

// Answered records that addr answered after rtt: whatever the reply says, the server is up.
func (t *Table) Answered(now time.Time, addr netip.AddrPort, rtt time.Duration) {
	s, known := t.lock(addr)
	first := known.rtt.smoothed == 0
	known.rtt.add(now, rtt)
	known.alive()
	s.heard = now
	s.mu.Unlock()
	t.familyAnswered(addr)
	if first {
		t.mu.Lock()
		defer t.mu.Unlock()
		typical := t.typical.Load()
		t.typical.Store(typical + (int64(min(rtt, unknownTimeout))-typical)/8)
	}
}

// HeardLately reports whether any server has answered within heardFor, which shows that queries
// get out and replies in.
func (t *Table) HeardLately(now time.Time) bool {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		heard := s.heard
		s.mu.Unlock()
		if !heard.IsZero() && recent(now, heard, heardFor) {
			return true
		}
	}
	return false
}

// Alive records that addr answered in a way that measures nothing, such as over a
// new TCP connection.
func (t *Table) Alive(addr netip.AddrPort) {
	s, known := t.lock(addr)
	known.alive()
	s.mu.Unlock()
	t.familyAnswered(addr)
}

// alive ends the timeouts of a server that has answered.
func (s *server) alive() {
	s.replies++
	s.timeouts, s.deadTill = 0, time.Time{}
	s.endProbe()
}

// TimedOut records that addr did not answer a query; replies is Estimate.Replies as it was
// when the query was sent. If it has answered another one meanwhile it is slow with this
// one, or the packet was lost, but it is not silent.
func (t *Table) TimedOut(now time.Time, addr netip.AddrPort, replies uint64) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	if known.replies != replies {
		return
	}
	known.timeouts++
	if known.timeouts >= deadAfter {
		dead := min(deadFirst<<min(known.timeouts-deadAfter, 6), deadMax)
		known.deadTill = now.Add(dead)
	}
	t.familyTimedOut(now, addr)
}

// Silent marks addr down because it was silent together with all other servers of a zone:
// that need not be found out by three timeouts of each. It does nothing if the server has
// answered any query since Estimate.Replies was replies.
func (t *Table) Silent(now time.Time, addr netip.AddrPort, replies uint64) {
	s, known := t.lock(addr)
	defer s.mu.Unlock()
	if known.timeouts < deadAfter && known.replies == replies {
		known.timeouts, known.deadTill = deadAfter, now.Add(deadFirst)
	}
}
