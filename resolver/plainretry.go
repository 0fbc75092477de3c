package resolver

import (
	"context"
	"time"
)

// lastResort asks one server once more when every server of the zone has failed, in the way
// that least servers stumble over: some answer an EDNS option or mixed letters with an error
// or with silence, some stop to show a cookie and have no TCP. It is one send for all of
// these together, since what is tried at each server multiplies.
func (a *asking) plainRetry(ctx context.Context) bool {
	if !a.mayRetryPlain(ctx) {
		return false
	}
	to := a.list.forPlainRetry(a.st.onlyPlainRetry, a.r.config.limits.SendsPerServer)
	if to == nil || !a.enterPlainRetry(ctx) {
		return false
	}
	if to = a.list.takeForPlainRetry(a.r.config.Now(), to); to == nil {
		a.leavePlainRetry(plainRetryUnknown)
		return false
	}
	to.extraSend = true
	to.onlyChoice, to.waitLonger = false, false
	a.makePlain(to)
	a.exchange(ctx, to, reasonLastResort)
	return true
}

// enterPlainRetry waits for the last resort of another question to the same zone, if one is under
// way, and reports whether this one may have its own.
func (a *asking) enterPlainRetry(ctx context.Context) bool {
	key := a.plainRetryKey()
	for {
		ended, ok := a.r.plainRetries.enter(a.r.config.Now(), key)
		if ended == nil {
			a.plainRetrying = ok
			return ok
		}
		heard := a.r.flights.stagger.pause()
		select {
		case <-ended:
			heard()
		case <-ctx.Done():
			return false
		}
	}
}

func (a *asking) plainRetryKey() plainRetryKey {
	return plainRetryKey{a.cut.source.id, a.cut.Zone}
}

// leavePlainRetry tells what came of the last resort that was entered, if one was.
func (a *asking) leavePlainRetry(how plainRetryResult) {
	if a.plainRetrying {
		a.plainRetrying = false
		a.r.plainRetries.leave(a.r.config.Now(), a.plainRetryKey(), how)
	}
}

// mayRetryPlain reports whether this question may have its last resort.
func (a *asking) mayRetryPlain(ctx context.Context) bool {
	return !a.plainRetried && a.fallback == nil && !a.ownFailure && !a.st.minimised && a.st.mayRetryPlain() && ctx.Err() == nil
}

// mayRetryPlain: look-ups beside the question have none, as there are many of them, nor have those
// that renew what is known. Nor has who wants nothing revealed, at the price of names that fail.
func (st *step) mayRetryPlain() bool {
	return !st.isSide() && !st.renewing && st.r.config.Minimise != MinimiseStrict && time.Until(st.budget.deadline) > loneTimeout
}

// isLast reports whether nobody is left to be asked after to, which has been taken, so that
// it may as well be the last resort: if it was silent before, or all others were.
func (a *asking) isLast(to *serverAddr) bool {
	allSilent := !a.responded && a.list.tries > 1
	return (to.plainMayHelp || allSilent || to.isOddProbe()) && to.forwarder.isDatagram() &&
		a.lookups == 0 && len(a.list.missing) == 0 && !a.list.mayLearnMore() && a.list.isExhausted()
}

// isOddProbe reports whether this is every other one of the probes of a server that is marked
// down: it may have been silent to how it was asked, and a probe is all that is sent to it.
func (c *serverAddr) isOddProbe() bool { return c.estimate.Dead && c.estimate.Timeouts%2 == 1 }

// putBackPlainRetry puts back the last resort if it was for to, which was not asked after all.
func (a *asking) putBackPlainRetry(to *serverAddr) {
	if to.plain {
		a.plainRetried, to.plain, to.extraSend = false, false, false
		a.leavePlainRetry(plainRetryUnknown)
	}
}

// makePlain makes the exchange that is about to begin the last resort.
func (a *asking) makePlain(to *serverAddr) { a.plainRetried, to.plain = true, true }

// forPlainRetry returns the server that the last resort is for: one that answered before one that
// was silent, and a quick one before a slow one. All will do if none has been asked this
// question. It is nil when there is none that was asked less often than sends. Of one that was
// found dead by this question a probe is the last resort, unless so many were asked already that
// it is the servers that are dead.
func (l *serverList) forPlainRetry(all bool, sends int) *serverAddr {
	var best *serverAddr
	for _, c := range l.candidates {
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

// takeForPlainRetry takes a server for the last resort.
func (l *serverList) takeForPlainRetry(now time.Time, best *serverAddr) *serverAddr {
	if !best.estimate.Dead || l.forwarders {
		return l.take(best)
	}
	return l.probe(now, []*serverAddr{best}, true)
}

func (c *serverAddr) isBetterPlainRetry(other *serverAddr) bool {
	if c.estimate.Dead != other.estimate.Dead {
		return other.estimate.Dead
	}
	if c.answeredError != other.answeredError {
		return c.answeredError
	}
	return c.score < other.score
}

// isExhausted reports whether nobody can be asked any more, those included that are being
// asked now and could be asked again.
func (l *serverList) isExhausted() bool {
	if l.tries >= maxTries {
		return true
	}
	for _, c := range l.candidates {
		if !c.excluded && !c.leadsBackKnown() && c.tries < l.triesOf(c) && !(c.estimate.Dead && l.probes >= maxProbes && !l.forwarders) {
			return false
		}
	}
	return true
}

// isDatagram reports whether a server is asked over UDP; h is nil for those of a zone.
func (f *forwarder) isDatagram() bool { return f == nil || !f.stream }
