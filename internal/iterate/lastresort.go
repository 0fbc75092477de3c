package iterate

import (
	"context"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/upstream"
)

// plainRetry asks one server once more when every server of the zone has failed, in the
// plain form: some servers answer an EDNS option or mixed letter case with an error or with
// silence, some stop sending their cookie and have no TCP. It is one send for all these
// faults together, since whatever is tried at each server multiplies.
func (z *zoneQuery) plainRetry(ctx context.Context) bool {
	if !z.mayRetryPlain(ctx) {
		return false
	}
	to := z.servers.ForPlainRetry(z.onlyPlainRetry, z.r.Settings.Limits.SendsPerServer)
	if to == nil || !z.enterPlainRetry(ctx) {
		return false
	}
	if to = z.servers.TakeForPlainRetry(z.r.Settings.Now(), to); to == nil {
		z.leavePlainRetry(slist.PlainRetryUnknown)
		return false
	}
	to.ExtraSend = true
	to.OnlyChoice, to.WaitLonger = false, false
	z.makePlain(to)
	z.exchange(ctx, to, events.ReasonLastResort)
	return true
}

// enterPlainRetry waits for the plain retry of another question to the same zone, if one is
// under way, and reports whether this question may have one.
func (z *zoneQuery) enterPlainRetry(ctx context.Context) bool {
	key := z.plainRetryKey()
	for {
		ended, ok := z.r.plainRetries.Enter(z.r.Settings.Now(), key)
		if ended == nil {
			z.plainRetrying = ok
			return ok
		}
		resume := z.r.Flights.Stagger.Pause()
		select {
		case <-ended:
			resume()
		case <-ctx.Done():
			return false
		}
	}
}

func (z *zoneQuery) plainRetryKey() slist.PlainRetryKey {
	return slist.PlainRetryKey{Source: z.cut.Source.ID, Zone: z.cut.Zone}
}

// leavePlainRetry records what came of the plain retry, if one was begun.
func (z *zoneQuery) leavePlainRetry(how slist.PlainRetryResult) {
	if z.plainRetrying {
		z.plainRetrying = false
		z.r.plainRetries.Leave(z.r.Settings.Now(), z.plainRetryKey(), how)
	}
}

// mayRetryPlain reports whether this question may have its plain retry.
func (z *zoneQuery) mayRetryPlain(ctx context.Context) bool {
	return !z.plainRetried && z.fallback == nil && !z.ownFailure && !z.minimised && z.st.mayRetryPlain() && ctx.Err() == nil
}

// mayRetryPlain reports whether such work has plain retries. Server look-ups have none, as
// there are many of them, nor have prefetches. MinimiseStrict has none either: nothing may
// be revealed, even if names fail for that.
func (st *QueryState) mayRetryPlain() bool {
	return !st.isSideLookup() && !st.Prefetching && st.r.Settings.Minimise != env.MinimiseStrict && time.Until(st.Budget.Deadline) > upstream.LoneTimeout
}

// isLast reports whether no other server is left to be asked after to, which has been taken,
// so that its query may as well be the plain retry: if it was silent before, or all others
// were.
func (z *zoneQuery) isLast(to *slist.Server) bool {
	allSilent := !z.responded && z.servers.Tries > 1
	return (to.PlainMayHelp || allSilent || to.IsOddProbe()) && to.Forwarder.IsDatagram() &&
		z.lookups == 0 && len(z.servers.Missing) == 0 && !z.servers.MayLearnMore() && z.servers.IsExhausted()
}

// putBackPlainRetry undoes the plain retry if it was to be a query to to, which was not
// sent.
func (z *zoneQuery) putBackPlainRetry(to *slist.Server) {
	if to.Plain {
		z.plainRetried, to.Plain, to.ExtraSend = false, false, false
		z.leavePlainRetry(slist.PlainRetryUnknown)
	}
}

// makePlain makes the exchange that is about to begin the plain retry.
func (z *zoneQuery) makePlain(to *slist.Server) { z.plainRetried, to.Plain = true, true }

// deadProbe is the wait for another question's probe of a server that is marked down.
type deadProbe struct {
	server *slist.Server
	ended  <-chan struct{}             // closed when the probe has ended; nil: there is no wait
	resume func()                      // staggers the questions that wait for the same probe in tests
	slot   budget.Slot[netip.AddrPort] // among the questions that wait
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
	var ok bool
	if p.slot, ok = z.r.probeWaitSlots.TryEnter(p.server.Addr); !ok {
		z.noteError(z.st.Budget.Exceeded(limits.Questions))
		return false
	}
	z.deadProbe = p
	return true
}

// forgetDeadProbe ends the wait for a server.
func (z *zoneQuery) forgetDeadProbe() {
	z.deadProbe.slot.Leave()
	z.deadProbe = deadProbe{}
}

// probing finds a server that is being probed, or was just found to answer again.
func (z *zoneQuery) probing() deadProbe {
	if z.servers.Tries >= slist.MaxTries || z.servers.Probes >= slist.MaxProbes {
		return deadProbe{}
	}
	for _, c := range z.servers.Askable(func(c *slist.Server) bool { return c.Estimate.Dead }) {
		if ended := z.servers.Infra.Probing(c.Addr); ended != nil {
			return deadProbe{server: c, ended: ended, resume: z.r.Flights.Stagger.Pause()}
		}
		if !z.servers.Infra.Estimate(z.r.Settings.Now(), c.Addr).Dead {
			return deadProbe{server: c, ended: endedProbe(), resume: z.r.Flights.Stagger.Pause()}
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
	if c.Busy {
		return
	}
	c.Estimate = z.servers.Infra.Estimate(z.r.Settings.Now(), c.Addr)
	if c.Estimate.Dead {
		c.Excluded = true
		z.servers.Probes++
	}
}
