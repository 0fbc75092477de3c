package resolver

import (
	"context"
	"time"
)

// lastResort asks one server once more when every server of the zone has failed, in the way
// that least servers stumble over: some answer an EDNS option or mixed letters with an error
// or with silence, some stop to show a cookie and have no TCP. It is one send for all of
// these together, since what is tried at each server multiplies.
func (a *asking) lastResort(ctx context.Context) bool {
	if !a.mayResort(ctx) {
		return false
	}
	to := a.list.forResort(a.st.resort, a.r.config.limits.SendsPerServer)
	if to == nil || !a.enterResort(ctx) {
		return false
	}
	if to = a.list.takeResort(a.r.config.Now(), to); to == nil {
		a.leaveResort(resortUnknown)
		return false
	}
	to.resort = true
	to.only, to.alone = false, false
	a.makePlain(to)
	a.exchange(ctx, to, ReasonLastResort)
	return true
}

// enterResort waits for the last resort of another question to the same zone, if one is under
// way, and reports whether this one may have its own.
func (a *asking) enterResort(ctx context.Context) bool {
	key := a.resortKey()
	for {
		ended, ok := a.r.resorts.enter(a.r.config.Now(), key)
		if ended == nil {
			a.resorting = ok
			return ok
		}
		heard := a.r.flights.jitter.pause()
		select {
		case <-ended:
			heard()
		case <-ctx.Done():
			return false
		}
	}
}

func (a *asking) resortKey() lastResortKey {
	return lastResortKey{a.cut.from.id, a.cut.Zone}
}

// leaveResort tells what came of the last resort that was entered, if one was.
func (a *asking) leaveResort(how lastResortEnd) {
	if a.resorting {
		a.resorting = false
		a.r.resorts.leave(a.r.config.Now(), a.resortKey(), how)
	}
}

// mayResort reports whether this question may have its last resort.
func (a *asking) mayResort(ctx context.Context) bool {
	return !a.resorted && a.fallback == nil && !a.spent && !a.st.minimised && a.st.mayResort() && ctx.Err() == nil
}

// mayResort: look-ups beside the question have none, as there are many of them, nor have those
// that renew what is known. Nor has who wants nothing revealed, at the price of names that fail.
func (st *step) mayResort() bool {
	return !st.isSide() && !st.renewing && st.r.config.Minimise != MinimiseStrict && time.Until(st.budget.deadline) > loneTimeout
}

// isLast reports whether nobody is left to be asked after to, which has been taken, so that
// it may as well be the last resort: if it was silent before, or all others were.
func (a *asking) isLast(to *candidate) bool {
	allSilent := !a.responded && a.list.tries > 1
	return (to.mendable || allSilent || to.isOddProbe()) && to.forwarder.isDatagram() &&
		a.lookups == 0 && len(a.list.missing) == 0 && !a.list.mayBeTold() && a.list.isExhausted()
}

// isOddProbe reports whether this is every other one of the probes of a server that is marked
// down: it may have been silent to how it was asked, and a probe is all that is sent to it.
func (c *candidate) isOddProbe() bool { return c.estimate.Dead && c.estimate.Timeouts%2 == 1 }

// untakeResort puts back the last resort if it was for to, which was not asked after all.
func (a *asking) untakeResort(to *candidate) {
	if to.plain {
		a.resorted, to.plain, to.resort = false, false, false
		a.leaveResort(resortUnknown)
	}
}

// makePlain makes the exchange that is about to begin the last resort.
func (a *asking) makePlain(to *candidate) { a.resorted, to.plain = true, true }

// forResort returns the server that the last resort is for: one that answered before one that
// was silent, and a quick one before a slow one. All will do if none has been asked this
// question. It is nil when there is none that was asked less often than sends. Of one that was
// found dead by this question a probe is the last resort, unless so many were asked already that
// it is the servers that are dead.
func (l *serverList) forResort(all bool, sends int) *candidate {
	var best *candidate
	for _, c := range l.candidates {
		ok := all || c.mendable && (!c.estimate.Dead || c.endProbe == nil && l.tries < maxTries)
		if !ok || c.busy || c.sends.udp >= sends || c.leadsBackKnown() || !c.forwarder.isDatagram() {
			continue
		}
		if best == nil || c.isBetterResort(best) {
			best = c
		}
	}
	return best
}

// takeResort takes a server for the last resort.
func (l *serverList) takeResort(now time.Time, best *candidate) *candidate {
	if !best.estimate.Dead || l.forwarders {
		return l.take(best)
	}
	return l.probe(now, []*candidate{best}, true)
}

func (c *candidate) isBetterResort(other *candidate) bool {
	if c.estimate.Dead != other.estimate.Dead {
		return other.estimate.Dead
	}
	if c.refused != other.refused {
		return c.refused
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
		if !c.out && !c.leadsBackKnown() && c.tries < l.triesOf(c) && !(c.estimate.Dead && l.probes >= maxProbes && !l.forwarders) {
			return false
		}
	}
	return true
}

// isDatagram reports whether a server is asked over UDP; h is nil for those of a zone.
func (h *forwarder) isDatagram() bool { return h == nil || !h.stream }
