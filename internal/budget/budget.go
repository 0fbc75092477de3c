package budget

import (
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
)

// Budget is what one client question may still use. Server look-ups, restarts, retries, TCP
// and validation all draw on the same one, and nothing resets it: limits that start anew at
// some point multiply (attacks.md 18, CVE-2026-50045). It is safe for concurrent use.
type Budget struct {
	Limits   *limits.Limits
	Reached  *limits.Counters // counts the limits that were reached; nil: they are not counted
	Deadline time.Time        // by time.Now

	Sends         atomic.Int64
	bytes         atomic.Int64
	Aliases       atomic.Int64
	referrals     atomic.Int64
	failedLookups atomic.Int64
	minimised     atomic.Int64
	Reading       readTime

	waitingFor atomic.Pointer[limits.Error] // what a query waits for; nil: nothing
	work       atomic.Pointer[dnssec.Work]  // of validation; nil: nothing has been validated yet
	unanswered atomic.Pointer[unanswered]   // the query that the end of the question met; nil: none

	Walks   atomic.Int64 // numbers walks and queries for traces
	OverTCP atomic.Bool  // set once UDP has shown not to lead to the root servers
	Queries atomic.Int64

	sent, sentTLS atomic.Int64 // queries that have left this host
}

func New(l *limits.Limits, reached *limits.Counters) *Budget {
	return &Budget{Limits: l, Reached: reached, Deadline: time.Now().Add(l.Time)}
}

// Part returns a budget with limits of its own for a part of the same work, which has to end at the
// same time. It numbers walks and queries on; AddPart adds what it has spent.
func (b *Budget) Part(l *limits.Limits) *Budget {
	part := &Budget{Limits: l, Reached: b.Reached, Deadline: b.Deadline}
	part.Walks.Store(b.Walks.Load())
	part.Queries.Store(b.Queries.Load())
	return part
}

// AddPart counts what a part of the work has spent, beyond this budget's own limits.
func (b *Budget) AddPart(part *Budget) {
	b.Walks.Store(part.Walks.Load())
	b.Queries.Store(part.Queries.Load())
	b.bytes.Add(part.bytes.Load())
	b.sent.Add(part.sent.Load())
	b.sentTLS.Add(part.sentTLS.Load())
}

// NoteSent counts a query that has left this host.
func (b *Budget) NoteSent(overTLS bool) {
	b.sent.Add(1)
	if overTLS {
		b.sentTLS.Add(1)
	}
}

// Sent returns how many queries have left this host, and how many of them over TLS: none, where a hit
// in the cache took no budget and b is nil.
func (b *Budget) Sent() (all, overTLS int) {
	if b == nil {
		return 0, 0
	}
	return int(b.sent.Load()), int(b.sentTLS.Load())
}

// Work returns what validation charges, the same for all that is validated.
func (b *Budget) Work() *dnssec.Work {
	if b.work.Load() == nil {
		b.work.CompareAndSwap(nil, dnssec.NewWork(b.Limits.Validation()))
	}
	return b.work.Load()
}

// ChargeQuery charges for one query. Joining a query that another question has sent costs the same,
// so that joining cannot be used to wait without end.
func (b *Budget) ChargeQuery() error {
	return b.charge(&b.Sends, 1, limits.Sends)
}

// ChargeBytes charges for a reply's bytes. The reply that exceeds the limit is lost.
func (b *Budget) ChargeBytes(n int) error {
	return b.charge(&b.bytes, int64(n), limits.Bytes)
}

// ChargeAlias charges for one step of an alias chain. The chain that reaches the limit is given up
// at once, as its next query could only show that it is too long.
func (b *Budget) ChargeAlias() error {
	if b.Aliases.Add(1) >= int64(b.Limits.Aliases) {
		return b.Exceeded(limits.Aliases)
	}
	return nil
}

// ChargeReferral charges for one referral.
func (b *Budget) ChargeReferral() error {
	return b.charge(&b.referrals, 1, limits.Referrals)
}

// NoteWait records that a query waits for a slot, until release is called. After the end of
// the question's time it stays recorded, for End.
func (b *Budget) NoteWait(l limits.Limit) (release func()) {
	held := l.Reached(l.In(b.Limits))
	b.waitingFor.Store(held)
	return func() {
		if time.Now().Before(b.Deadline) {
			b.waitingFor.CompareAndSwap(held, nil)
		}
	}
}

// WaitedInVain makes the error of a query that has waited in vain for a slot, until cause.
// It is counted here, unless the question's time has ended: then End counts it.
func (b *Budget) WaitedInVain(l limits.Limit, cause error) error {
	if time.Now().Before(b.Deadline) {
		b.Reached.Count(l)
	}
	return &failure.HeldError{Limit: l.Reached(l.In(b.Limits)), Cause: cause}
}

// unanswered is a query to the servers of a zone that was ended before it had a reply.
type unanswered struct {
	rank int // the lower, the more it says
	err  *failure.ZoneError
}

// NoteUnanswered records, for End, a query that was ended before it had a reply. That of the lowest
// rank counts.
func (b *Budget) NoteUnanswered(rank int, err *failure.ZoneError) {
	next := &unanswered{rank, err}
	for {
		last := b.unanswered.Load()
		if last != nil && last.rank <= rank || b.unanswered.CompareAndSwap(last, next) {
			return
		}
	}
}

// Unanswered returns the query that the end of the question met; nil: none.
func (b *Budget) Unanswered() *failure.ZoneError {
	if u := b.unanswered.Load(); u != nil {
		return u.err
	}
	return nil
}

// IsOver reports whether the question's time is over.
func (b *Budget) IsOver() bool { return !time.Now().Before(b.Deadline) }

// EndsWith reports whether the question's time is over, as is that of another one, which err says.
func (b *Budget) EndsWith(err error) bool {
	return b.IsOver() && failure.Of(err).Reaches(limits.Time)
}

// End decides whether a question ran out of time because one of its queries still waited for
// a slot, and then counts that and says so in the error. Otherwise it says for which servers the
// question still waited.
func (b *Budget) End(cause error) error {
	if cause == nil || !b.IsOver() {
		return cause
	}
	f := failure.Of(cause)
	if f.Limit == nil {
		return cause
	}
	held := b.waitingFor.Load()
	if held == nil {
		if u := b.Unanswered(); u != nil && f.Reaches(limits.Time) {
			return u.EndedBy(f.Limit)
		}
		return cause
	}
	b.Reached.Count(held.Which())
	if !f.Reaches(limits.Time) {
		return cause // it names the limit already
	}
	if f.Zone != nil { // other callers may have the same error
		of := *f.Zone
		of.Err = &failure.HeldError{Limit: held, Cause: of.Err}
		return &of
	}
	return &failure.HeldError{Limit: held, Cause: cause}
}

func (b *Budget) charge(counter *atomic.Int64, n int64, l limits.Limit) error {
	if counter.Add(n) > int64(l.In(b.Limits)) {
		return b.Exceeded(l)
	}
	return nil
}

// Exceeded counts that a limit was reached, and returns the error that says so.
func (b *Budget) Exceeded(l limits.Limit) *limits.Error { return b.Reached.Exceeded(l, l.In(b.Limits)) }

// ChargeMinimised charges for a minimised query, and reports whether there are any left. A chain
// of aliases may use twice what one name may: beyond that its length times its depth would
// make many queries (CAMP), and the full names are asked for.
func (b *Budget) ChargeMinimised() bool {
	if b.minimised.Add(1) <= int64(2*b.Limits.Minimised) {
		return true
	}
	b.Reached.Count(limits.Minimised)
	return false
}

// took is what the work on a question has taken so far.
type took struct {
	Queries, Bytes int
	Elapsed        time.Duration
	Validation     dnssec.Spent
}

// Took returns what the work has taken so far.
func (b *Budget) Took() took {
	t := took{
		Queries: int(b.Queries.Load()), Bytes: int(b.bytes.Load()),
		Elapsed: time.Since(b.Deadline.Add(-b.Limits.Time)),
	}
	if work := b.work.Load(); work != nil {
		t.Validation = work.Spent()
	}
	return t
}

// ChargeFailedLookup charges for a name server's address that was not found. Names known not to
// work cost no query, and so do not count.
func (b *Budget) ChargeFailedLookup(querySent bool) {
	if querySent {
		b.failedLookups.Add(1)
	}
}

// MayLookUp reports whether another name server's address may be looked for. Failures within
// the limit never forbid it. As many again are tolerated when look-ups failed because
// servers did not answer, as in the outage of a big provider, where some of the names still
// work. When they failed because the names do not exist, the names are made up, and each
// further look-up is a query at a victim's servers (NXNSAttack).
func (b *Budget) MayLookUp(outage bool) error {
	limit := b.Limits.FailedServerLookups
	allowed := limit
	if outage {
		allowed = 2 * limit
	}
	if b.failedLookups.Load() >= int64(allowed) {
		return b.Exceeded(limits.FailedServerLookups)
	}
	return nil
}
