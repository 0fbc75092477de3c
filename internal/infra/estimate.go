package infra

import (
	"net/netip"
	"time"
)

const (
	// firstGuess is what a server that was never asked is expected to need, before
	// anything was measured: a server on another continent answers within it more
	// often than not.
	firstGuess = 80 * time.Millisecond
	// minWait is the least time a reply is waited for before a second server is
	// asked: a busy host can be late by that much without anything being lost.
	minWait = 20 * time.Millisecond
	// unknownTimeout is how long a first reply is waited for in all. Unbound's
	// UNKNOWN_SERVER_NICENESS is 376 ms.
	unknownTimeout = 376 * time.Millisecond
	// minTimeout and maxTimeout bound how long a reply is waited for in all.
	// maxTimeout is reached by servers that were slow or silent before only.
	minTimeout = 100 * time.Millisecond
	maxTimeout = 800 * time.Millisecond
	// slowestTimeout bounds the timeout of servers measured to be slower than
	// maxTimeout allows for.
	slowestTimeout = 3 * time.Second
	// deadAfter is how many timeouts in a row make a server dead (attacks.md 22:
	// three to four).
	deadAfter = 3
	// deadFirst is how long a server stays dead at first; each further timeout
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
	// Dead is set while the server is held to be dead: only single probes may be
	// sent, see Probe.
	Dead bool
	// Timeouts counts the queries lost since the last reply.
	Timeouts int
	// Replies counts the replies there have been, for TimedOut and Silent.
	Replies uint64
}

// Estimate says what to expect of addr.
func (t *Table) Estimate(now time.Time, addr netip.AddrPort) Estimate {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.servers.Get(addr)
	if !ok || s.rtt.smoothed == 0 || !ahead(now, s.rtt.at.Add(forgetRTT+1), forgetRTT+1) {
		e := Estimate{RTT: t.typical, Late: max(2*t.typical, minWait), Timeout: unknownTimeout}
		if ok {
			e.back(s)
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
	e.back(s)
	return e
}

// back applies what timeouts have taught.
func (e *Estimate) back(s *server) {
	e.Timeouts, e.Replies = s.timeouts, s.replies
	e.Dead = s.timeouts >= deadAfter
	if e.Dead {
		return // a probe finds out whether it answers again, not how slow it may be
	}
	for range s.timeouts {
		e.Timeout = min(2*e.Timeout, max(maxTimeout, e.Timeout))
	}
}

// Answered records that addr answered after rtt: whatever it said, it is alive.
func (t *Table) Answered(now time.Time, addr netip.AddrPort, rtt time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(addr)
	if s.rtt.smoothed == 0 {
		t.typical += (min(rtt, unknownTimeout) - t.typical) / 8
	}
	s.rtt.add(now, rtt)
	t.heard = now
	t.alive(s, addr)
}

// HeardLately reports whether any server has answered a short while ago, so that queries get
// out and replies in.
func (t *Table) HeardLately(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.heard.IsZero() && ahead(now, t.heard.Add(heardFor), heardFor)
}

// Alive records that addr answered in a way that measures nothing, such as over a
// new TCP connection.
func (t *Table) Alive(addr netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.alive(t.get(addr), addr)
}

// alive takes in that a server is alive. mu must be held.
func (t *Table) alive(s *server, addr netip.AddrPort) {
	s.replies++
	s.timeouts, s.deadTill = 0, time.Time{}
	s.endProbe()
	t.families[familyOf(addr.Addr())].answered()
}

// TimedOut records that addr did not answer a query, before which replies was
// Estimate.Replies. If it has answered another one meanwhile it is slow with this one, or
// the packet was lost, but it is not silent.
func (t *Table) TimedOut(now time.Time, addr netip.AddrPort, replies uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(addr)
	if s.replies != replies {
		return
	}
	s.timeouts++
	if s.timeouts >= deadAfter {
		dead := min(deadFirst<<min(s.timeouts-deadAfter, 6), deadMax)
		s.deadTill = now.Add(dead)
	}
	t.families[familyOf(addr.Addr())].timedOut(now)
}

// Silent records that addr was silent together with all other servers of a zone: there
// is no need to find out three times for each of them. It is not silent if it has answered
// anything since Estimate.Replies was replies.
func (t *Table) Silent(now time.Time, addr netip.AddrPort, replies uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(addr)
	if s.timeouts < deadAfter && s.replies == replies {
		s.timeouts, s.deadTill = deadAfter, now.Add(deadFirst)
	}
}

// Probe asks for leave to try a dead server: one query at a time, and, unless
// urgent, not before its time has come. Without leave end is nil. Otherwise it must be
// called once what came of the query has been recorded. Only a reply ends a probe
// earlier: queries that were under way before the server was held dead get lost one by
// one, and if each let another one go, there would be as many for ever.
func (t *Table) Probe(now time.Time, addr netip.AddrPort, urgent bool) (end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.get(addr)
	if s.probe != nil || (!urgent && ahead(now, s.deadTill, deadMax)) {
		return nil
	}
	probe := make(chan struct{})
	s.probe = probe
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if s.probe == probe {
			s.endProbe()
		}
	}
}

// Probing gives what is closed when the probe of addr that is under way ends; nil when
// there is none.
func (t *Table) Probing(addr netip.AddrPort) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s, ok := t.servers.Peek(addr); ok {
		return s.probe
	}
	return nil
}

// endProbe tells who waits that the probe, if there is one, has ended.
func (s *server) endProbe() {
	if s.probe != nil {
		close(s.probe)
		s.probe = nil
	}
}
