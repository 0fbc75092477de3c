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
