package slist

import "time"

// ForPlainRetry returns the server for the plain retry: one that answered rather than one
// that was silent, and a fast one rather than a slow one. Any will do if none has been asked
// this question. It is nil when none was asked less often than sends. A server that this
// question found to be down is probed by its plain retry, unless so many servers were tried
// that they are down indeed.
func (l *List) ForPlainRetry(all bool, sends int) *Server {
	var best *Server
	for _, c := range l.Addrs {
		ok := all || c.PlainMayHelp && (!c.Estimate.Dead || c.EndProbe == nil && l.Tries < MaxTries)
		if !ok || c.Busy || c.Sends.udp >= sends || c.leadsBackKnown() || !c.Forwarder.IsDatagram() {
			continue
		}
		if best == nil || c.isBetterPlainRetry(best) {
			best = c
		}
	}
	return best
}

// TakeForPlainRetry takes a server for the plain retry.
func (l *List) TakeForPlainRetry(now time.Time, best *Server) *Server {
	if !best.Estimate.Dead || l.forwarders {
		return l.take(best)
	}
	return l.probe(now, []*Server{best}, true)
}

// isBetterPlainRetry reports whether c goes before other as the server for the plain retry.
func (c *Server) isBetterPlainRetry(other *Server) bool {
	if c.Estimate.Dead != other.Estimate.Dead {
		return other.Estimate.Dead
	}
	if c.AnsweredError != other.AnsweredError {
		return c.AnsweredError
	}
	return c.score < other.score
}

// IsExhausted reports whether no server can be asked any more, not even one that is being
// asked now.
func (l *List) IsExhausted() bool {
	if l.Tries >= MaxTries {
		return true
	}
	for _, c := range l.Addrs {
		if !c.Excluded && !c.leadsBackKnown() && c.Tries < l.triesOf(c) && !(c.Estimate.Dead && l.Probes >= MaxProbes && !l.forwarders) {
			return false
		}
	}
	return true
}

// IsOddProbe reports whether this is every second probe of a server that is marked down. The
// server may have been silent to the form of the queries, and gets no others than probes.
func (c *Server) IsOddProbe() bool { return c.Estimate.Dead && c.Estimate.Timeouts%2 == 1 }
