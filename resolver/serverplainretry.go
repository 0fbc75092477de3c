package resolver

import "time"

// forPlainRetry returns the server for the plain retry: one that answered rather than one
// that was silent, and a fast one rather than a slow one. Any will do if none has been asked
// this question. It is nil when none was asked less often than sends. A server that this
// question found to be down is probed by its plain retry, unless so many servers were tried
// that they are down indeed.
func (l *serverList) forPlainRetry(all bool, sends int) *serverAddr {
	var best *serverAddr
	for _, c := range l.addrs {
		ok := all || c.plainMayHelp && (!c.estimate.Dead || c.endProbe == nil && l.tries < maxTries)
		if !ok || c.busy || c.sends.udp >= sends || c.leadsBackKnown() || !c.forwarder.isDatagram() {
			continue
		}
		if best == nil || c.isBetterPlainRetry(best) {
			best = c
		}
	}
	return best
}

// takeForPlainRetry takes a server for the plain retry.
func (l *serverList) takeForPlainRetry(now time.Time, best *serverAddr) *serverAddr {
	if !best.estimate.Dead || l.forwarders {
		return l.take(best)
	}
	return l.probe(now, []*serverAddr{best}, true)
}

// isBetterPlainRetry reports whether c goes before other as the server for the plain retry.
func (c *serverAddr) isBetterPlainRetry(other *serverAddr) bool {
	if c.estimate.Dead != other.estimate.Dead {
		return other.estimate.Dead
	}
	if c.answeredError != other.answeredError {
		return c.answeredError
	}
	return c.score < other.score
}

// isExhausted reports whether no server can be asked any more, not even one that is being
// asked now.
func (l *serverList) isExhausted() bool {
	if l.tries >= maxTries {
		return true
	}
	for _, c := range l.addrs {
		if !c.excluded && !c.leadsBackKnown() && c.tries < l.triesOf(c) && !(c.estimate.Dead && l.probes >= maxProbes && !l.forwarders) {
			return false
		}
	}
	return true
}

// isOddProbe reports whether this is every second probe of a server that is marked down. The
// server may have been silent to the form of the queries, and gets no others than probes.
func (c *serverAddr) isOddProbe() bool { return c.estimate.Dead && c.estimate.Timeouts%2 == 1 }
