package resolver

import (
	"context"
	"time"
)

// plainRetry asks one server once more when every server of the zone has failed, in the
// plain form: some servers answer an EDNS option or mixed letter case with an error or with
// silence, some stop sending their cookie and have no TCP. It is one send for all these
// faults together, since whatever is tried at each server multiplies.
func (z *zoneQuery) plainRetry(ctx context.Context) bool {
	if !z.mayRetryPlain(ctx) {
		return false
	}
	to := z.servers.forPlainRetry(z.st.onlyPlainRetry, z.r.settings.Limits.SendsPerServer)
	if to == nil || !z.enterPlainRetry(ctx) {
		return false
	}
	if to = z.servers.takeForPlainRetry(z.r.settings.Now(), to); to == nil {
		z.leavePlainRetry(plainRetryUnknown)
		return false
	}
	to.extraSend = true
	to.onlyChoice, to.waitLonger = false, false
	z.makePlain(to)
	z.exchange(ctx, to, reasonLastResort)
	return true
}

// enterPlainRetry waits for the plain retry of another question to the same zone, if one is
// under way, and reports whether this question may have one.
func (z *zoneQuery) enterPlainRetry(ctx context.Context) bool {
	key := z.plainRetryKey()
	for {
		ended, ok := z.r.plainRetries.enter(z.r.settings.Now(), key)
		if ended == nil {
			z.plainRetrying = ok
			return ok
		}
		resume := z.r.flights.stagger.pause()
		select {
		case <-ended:
			resume()
		case <-ctx.Done():
			return false
		}
	}
}

func (z *zoneQuery) plainRetryKey() plainRetryKey {
	return plainRetryKey{z.cut.source.id, z.cut.Zone}
}

// leavePlainRetry records what came of the plain retry, if one was begun.
func (z *zoneQuery) leavePlainRetry(how plainRetryResult) {
	if z.plainRetrying {
		z.plainRetrying = false
		z.r.plainRetries.leave(z.r.settings.Now(), z.plainRetryKey(), how)
	}
}

// mayRetryPlain reports whether this question may have its plain retry.
func (z *zoneQuery) mayRetryPlain(ctx context.Context) bool {
	return !z.plainRetried && z.fallback == nil && !z.ownFailure && !z.st.minimised && z.st.mayRetryPlain() && ctx.Err() == nil
}

// mayRetryPlain reports whether such work has plain retries. Server look-ups have none, as
// there are many of them, nor have prefetches. MinimiseStrict has none either: nothing may
// be revealed, even if names fail for that.
func (st *queryState) mayRetryPlain() bool {
	return !st.isSideLookup() && !st.prefetching && st.r.settings.Minimise != minimiseStrict && time.Until(st.budget.deadline) > loneTimeout
}

// isLast reports whether no other server is left to be asked after to, which has been taken,
// so that its query may as well be the plain retry: if it was silent before, or all others
// were.
func (z *zoneQuery) isLast(to *serverAddr) bool {
	allSilent := !z.responded && z.servers.tries > 1
	return (to.plainMayHelp || allSilent || to.isOddProbe()) && to.forwarder.isDatagram() &&
		z.lookups == 0 && len(z.servers.missing) == 0 && !z.servers.mayLearnMore() && z.servers.isExhausted()
}

// putBackPlainRetry undoes the plain retry if it was to be a query to to, which was not
// sent.
func (z *zoneQuery) putBackPlainRetry(to *serverAddr) {
	if to.plain {
		z.plainRetried, to.plain, to.extraSend = false, false, false
		z.leavePlainRetry(plainRetryUnknown)
	}
}

// makePlain makes the exchange that is about to begin the plain retry.
func (z *zoneQuery) makePlain(to *serverAddr) { z.plainRetried, to.plain = true, true }

// deadProbe is the wait for another question's probe of a server that is marked down.
type deadProbe struct {
	server *serverAddr
	ended  <-chan struct{} // closed when the probe has ended; nil: there is no wait
	resume func()          // staggers the questions that wait for the same probe in tests
	leave  func()          // releases this question's slot among those that wait
}

// endedProbe is the channel of a probe that has ended.
func endedProbe() <-chan struct{} {
	ended := make(chan struct{})
	close(ended)
	return ended
}

// awaitProbe reports whether this question waits for a server that another question is
// probing. Servers that are marked down are tried by one query at a time, and a question
// that comes meanwhile has no more reason to fail than the one that probes: they may be the
// question for a zone's keys and the one whose answer these validate. But the number that
// may wait is limited: otherwise random names of a zone with silent servers would take the
// slots of all other questions (attacks.md 24).
func (z *zoneQuery) awaitProbe() bool {
	if z.deadProbe.ended != nil {
		return true // it waits already
	}
	if z.fallback != nil {
		return false
	}
	p := z.probing()
	if p.ended == nil {
		return false
	}
	leave, ok := z.r.probeWaitSlots.tryEnter(p.server.addr)
	if !ok {
		z.errs = append(z.errs, z.st.budget.refuse(limitQuestions))
		return false
	}
	p.leave = leave
	z.deadProbe = p
	return true
}

// forgetDeadProbe ends the wait for a server.
func (z *zoneQuery) forgetDeadProbe() {
	if z.deadProbe.leave != nil {
		z.deadProbe.leave()
	}
	z.deadProbe = deadProbe{}
}

// probing finds a server that is being probed, or was just found to answer again.
func (z *zoneQuery) probing() deadProbe {
	if z.servers.tries >= maxTries || z.servers.probes >= maxProbes {
		return deadProbe{}
	}
	for _, c := range z.servers.askable(func(c *serverAddr) bool { return c.estimate.Dead }) {
		if ended := z.servers.infra.Probing(c.addr); ended != nil {
			return deadProbe{server: c, ended: ended, resume: z.r.flights.stagger.pause()}
		}
		if !z.servers.infra.Estimate(z.r.settings.Now(), c.addr).Dead {
			return deadProbe{server: c, ended: endedProbe(), resume: z.r.flights.stagger.pause()}
		}
	}
	return deadProbe{}
}

// takeDeadProbe takes in what the probe found. If the server is still down, that counts as
// if this question had probed it.
func (z *zoneQuery) takeDeadProbe() {
	c := z.deadProbe.server
	z.deadProbe.resume()
	z.forgetDeadProbe()
	if c.busy {
		return
	}
	c.estimate = z.servers.infra.Estimate(z.r.settings.Now(), c.addr)
	if c.estimate.Dead {
		c.excluded = true
		z.servers.probes++
	}
}
