package resolver

import (
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/dnssec"
)

// budget is what one client question may still use. Server look-ups, restarts, retries, TCP
// and validation all draw on the same one, and nothing resets it: limits that start anew at
// some point multiply (attacks.md 18, CVE-2026-50045). It is safe for concurrent use.
type budget struct {
	limits   *limits
	refused  *refusals    // counts the limits that struck; nil: they are not counted
	deadline time.Time    // by time.Now
	work     *dnssec.Work // of validation

	sends         atomic.Int64
	bytes         atomic.Int64
	aliases       atomic.Int64
	referrals     atomic.Int64
	failedLookups atomic.Int64
	minimised     atomic.Int64
	reading       readTime

	waitingFor atomic.Pointer[limitError] // what a query waits for; nil: nothing

	walks   atomic.Int64 // numbers walks and queries for traces
	queries atomic.Int64
}

func newBudget(l *limits, refused *refusals) *budget {
	return &budget{limits: l, refused: refused, deadline: time.Now().Add(l.Time), work: dnssec.NewWork(l.validation())}
}

// send charges for one query. Joining a query that another question has sent costs the same,
// so that joining cannot be used to wait without end.
func (b *budget) send() error {
	return b.charge(&b.sends, 1, limitSends)
}

// received charges for a reply's bytes. The reply that exceeds the limit is lost.
func (b *budget) received(n int) error {
	return b.charge(&b.bytes, int64(n), limitBytes)
}

// alias charges for one step of an alias chain. The chain that reaches the limit is given up
// at once, as its next query could only show that it is too long.
func (b *budget) alias() error {
	if b.aliases.Add(1) >= int64(b.limits.Aliases) {
		return b.refuse(limitAliases)
	}
	return nil
}

func (b *budget) referral() error {
	return b.charge(&b.referrals, 1, limitReferrals)
}

// noteWait records that a query waits for a slot, until release is called. After the end of
// the question's time it stays recorded, for end.
func (b *budget) noteWait(l limit) (release func()) {
	held := l.reached(l.in(b.limits))
	b.waitingFor.Store(held)
	return func() {
		if time.Now().Before(b.deadline) {
			b.waitingFor.CompareAndSwap(held, nil)
		}
	}
}

// waitedInVain makes the error of a query that has waited in vain for a slot, until cause.
// It is counted here, unless the question's time has ended: then end counts it.
func (b *budget) waitedInVain(l limit, cause error) error {
	if time.Now().Before(b.deadline) {
		b.refused.count(l)
	}
	return &heldError{l.reached(l.in(b.limits)), cause}
}

// end decides whether a question ran out of time because one of its queries still waited for
// a slot, and then counts that and says so in the error.
func (b *budget) end(cause error) error {
	held := b.waitingFor.Load()
	if held == nil || time.Now().Before(b.deadline) {
		return cause
	}
	f := failureOf(cause)
	if f.limit == nil {
		return cause
	}
	b.refused.count(held.limit())
	if !f.reaches(limitTime) {
		return cause // it names the limit already
	}
	if f.zone != nil { // other callers may have the same error
		of := *f.zone
		of.err = &heldError{held, of.err}
		return &of
	}
	return &heldError{held, cause}
}

func (b *budget) charge(counter *atomic.Int64, n int64, l limit) error {
	if counter.Add(n) > int64(l.in(b.limits)) {
		return b.refuse(l)
	}
	return nil
}

// refuse counts that a limit struck, and returns the error.
func (b *budget) refuse(l limit) *limitError { return b.refused.refuse(l, l.in(b.limits)) }

// mayMinimise charges for a minimised query, and reports whether there are any left. A chain
// of aliases may use twice what one name may: beyond that its length times its depth would
// make many queries (CAMP), and the full names are asked for.
func (b *budget) mayMinimise() bool {
	if b.minimised.Add(1) <= int64(2*b.limits.Minimised) {
		return true
	}
	b.refused.count(limitMinimised)
	return false
}

// took is what the work on a question has taken so far.
type took struct {
	Queries, Bytes int
	Elapsed        time.Duration
	Validation     dnssec.Spent
}

func (b *budget) took() took {
	return took{
		Queries: int(b.queries.Load()), Bytes: int(b.bytes.Load()),
		Elapsed: time.Since(b.deadline.Add(-b.limits.Time)), Validation: b.work.Spent(),
	}
}

// lookupFailed charges for a name server's address that was not found. Names known not to
// work cost no query, and so do not count.
func (b *budget) lookupFailed(querySent bool) {
	if querySent {
		b.failedLookups.Add(1)
	}
}

// mayLookUp reports whether another name server's address may be looked for. Failures within
// the limit never forbid it. As many again are tolerated when look-ups failed because
// servers did not answer, as in the outage of a big provider, where some of the names still
// work. When they failed because the names do not exist, the names are made up, and each
// further look-up is a query at a victim's servers (NXNSAttack).
func (b *budget) mayLookUp(outage bool) error {
	limit := b.limits.FailedServerLookups
	allowed := limit
	if outage {
		allowed = 2 * limit
	}
	if b.failedLookups.Load() >= int64(allowed) {
		return b.refuse(limitFailedServerLookups)
	}
	return nil
}
