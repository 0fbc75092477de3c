package iterate

import (
	"context"
	"maps"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
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
	to.OverTCP = z.goesOverTCP(to)
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
		if !c.IsDown(z.r.Settings.Now(), z.servers.Infra) {
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
	c.Expect(z.r.Settings.Now(), z.servers.Infra)
	if c.Estimate.Dead {
		c.Excluded = true
		z.servers.Probes++
	}
}

// maxBogusRetries is how often a question with a bogus answer is asked again of other
// servers: a single broken server, or one with an old zone, must not make the name
// unresolvable (Unbound's val-max-restart is 5).
const maxBogusRetries = 3

// walkRetryingBogus walks, and as long as the answer is bogus walks again with servers that
// had no part in it, if there are any.
func (r *Iterator) walkRetryingBogus(ctx context.Context, st *QueryState, q answer.Question, start *walkStart) (*answer.Answer, error) {
	f, err := r.walk(ctx, st, q, start)
	if again := r.withoutSecondLevel(st, q, err); again != nil {
		st = again
		f, err = r.walk(ctx, st, q, nil)
	}
	if again := r.withSignatures(st, q, err); again != nil {
		st = again
		f, err = r.walk(ctx, st, q, nil)
	}
	first := err
	for range maxBogusRetries {
		bogus := failure.Of(err).Bogus
		switch {
		case err == nil || st.validation == nil:
			return f, err
		case bogus == nil:
			return nil, first // that the answer is bogus says more than a failed retry
		case r.keyCache(st).IsOftenBogus(r.Settings.Now(), bogus.Zone):
			return nil, first
		}
		again := *st
		if again.avoidServers = st.validation.serversToAvoid(bogus, st.avoidServers); again.avoidServers == nil {
			break // no other server is left
		}
		// One cut further up, so that the delegation and its DS are fetched again.
		again.startAbove = st.validation.startCut
		again.validation = r.newValidation(&again, q)
		st = &again
		f, err = r.walk(ctx, st, q, nil)
	}
	if err != nil {
		if bogus := failure.Of(first).Bogus; bogus != nil {
			r.keyCache(st).CountBogus(r.Settings.Now(), bogus.Zone)
		}
		return nil, first
	}
	return f, nil
}

// blameClock returns the error of a bogus answer with this host's clock as its reason, if that is to
// blame: once all servers have been asked, since one of them may have old data.
func (r *Iterator) blameClock(ctx context.Context, st *QueryState, err error) error {
	bogus, ok := err.(*failure.BogusError)
	if !ok || st.validation == nil {
		return err
	}
	evidence := st.validation.view.Validator.Evidence(r.Settings.Now(), r.Settings.SignatureTime(), st.Budget.Work())
	evidence.Remember(r.upstream.KeyCache.Signatures())
	evidence.StopWhen(ctx.Err)
	wrong := evidence.ClockError(bogus.Verdict.Chain(bogus.Response), r.clock.Earliest())
	if wrong == nil {
		return err
	}
	blamed := *bogus
	blamed.Reason = wrong.Reason()
	blamed.Err = &dnssec.BogusError{Reason: blamed.Reason}
	return &blamed
}

// unsignedServer is a server that was asked without EDNS, and so could send no signatures.
type unsignedServer struct {
	infra *infra.Table
	addr  netip.AddrPort
}

// noteWithoutEDNS records that a server was asked without EDNS for a part of the evidence.
func (val *validation) noteWithoutEDNS(cut *routes.ZoneCut, m *upstream.Reply) {
	if val != nil && m.WithoutEDNS {
		val.askedWithoutEDNS = append(val.askedWithoutEDNS, unsignedServer{cut.Source.Infra, m.Server.Addr})
	}
}

// withSignatures decides whether a bogus answer may be due to servers that were asked
// without EDNS because they are remembered not to know it, perhaps wrongly. It forgets that,
// and returns a query state that asks them again with EDNS; nil when there are none.
func (r *Iterator) withSignatures(st *QueryState, q answer.Question, err error) *QueryState {
	if st.validation == nil || st.needSignatures || len(st.validation.askedWithoutEDNS) == 0 || failure.Of(err).Bogus == nil {
		return nil
	}
	for _, s := range st.validation.askedWithoutEDNS {
		s.infra.ForgetNoEDNS(s.addr)
	}
	again := *st
	again.needSignatures, again.startAbove = true, st.validation.startCut
	again.validation = r.newValidation(&again, q)
	return &again
}

// serversToAvoid returns the servers to avoid when an answer is bogus: those avoided before,
// and those that sent the RRset at fault. That one may be blamed wrongly, as a DS does not
// show whether it or the key is at fault: when it adds no server, all are avoided that the
// walk used. It returns nil when that adds none either.
func (val *validation) serversToAvoid(bogus *failure.BogusError, before map[netip.AddrPort]bool) map[netip.AddrPort]bool {
	culprits, ok := val.sentBy[answer.Question{Name: bogus.Reason.Name, Type: bogus.Reason.Type}]
	if !ok && len(before) == 0 {
		culprits = []netip.AddrPort{bogus.Server}
	}
	avoid := make(map[netip.AddrPort]bool)
	maps.Copy(avoid, before)
	for _, s := range culprits {
		avoid[s] = true
	}
	if len(avoid) == len(before) {
		for _, s := range val.servers {
			avoid[s] = true
		}
	}
	if len(avoid) == len(before) {
		return nil
	}
	return avoid
}

// maxInFlight is how many servers are asked at the same time: one, and one more when it is
// late. Each further one would be another target for a forger.
const maxInFlight = 2

// hedge asks a second server, or looks up another address, because the first is later than
// expected: than infra's estimate for the server (Estimate.Late), or than lookupLate. The one that
// is late is still waited for, and the first reply that settles the question counts.
func (z *zoneQuery) hedge(ctx context.Context) {
	switch {
	case z.inFlight >= maxInFlight, z.onlyPlainRetry:
	case z.inFlight > 0 && z.send(ctx, events.ReasonHedge):
	case z.lookups < maxLookups:
		z.lookUp(ctx)
	}
}

// hedgeTimer fires when the reply or look-up that is waited for is later than expected. The zero
// value has not been started.
type hedgeTimer struct{ timer *time.Timer }

// start makes the timer fire after a while, unless it is stopped or started again before.
func (t *hedgeTimer) start(late time.Duration) {
	if t.timer == nil {
		t.timer = time.NewTimer(late)
		return
	}
	t.timer.Reset(late)
}

func (t *hedgeTimer) stop() {
	if t.timer != nil {
		t.timer.Stop()
	}
}

// late returns the channel on which the timer fires; nil before it was started.
func (t *hedgeTimer) late() <-chan time.Time {
	if t.timer == nil {
		return nil
	}
	return t.timer.C
}
