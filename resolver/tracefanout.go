package resolver

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/rescue"
)

// audience passes the events of a piece of work to the Traces of the callers that wait for
// it. It is a tree: one caller's listener, or the audiences of the work that waits for a
// flight. Nil is the audience of work without a Trace, and flights start with it.
type audience struct {
	mu        sync.Mutex
	listeners []*listener // never changed
	above     []*audience // guarded by mu
	led       *audience   // of the work that began the flight; nil: none, or this is a caller's own work
}

// Flight returns the audience of a flight that a's work begins.
func (a *audience) Flight() events.Sink { return &audience{led: a} }

// Join passes a's events to waiter's listeners too.
func (a *audience) Join(waiter events.Sink) {
	above, _ := waiter.(*audience)
	if above == nil {
		return
	}
	a.mu.Lock()
	a.above = append(a.above, above)
	a.mu.Unlock()
}

// Leave ends what Join began.
func (a *audience) Leave(waiter events.Sink) {
	above, _ := waiter.(*audience)
	if above == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := slices.Index(a.above, above); i >= 0 {
		a.above = append(a.above[:i:i], a.above[i+1:]...)
	}
}

// empty reports whether there is no listener, so that the event need not be made.
func (a *audience) empty() bool {
	if a == nil {
		return true
	}
	a.mu.Lock()
	n, above := len(a.listeners), a.above
	a.mu.Unlock()
	return n == 0 && !slices.ContainsFunc(above, func(other *audience) bool { return !other.empty() })
}

// collect returns the listeners of a's events, each once.
func (a *audience) collect(into []*listener, seen map[*audience]bool) []*listener {
	if seen[a] {
		return into
	}
	seen[a] = true
	a.mu.Lock()
	into = append(into, a.listeners...)
	above := a.above
	a.mu.Unlock()
	for _, other := range above {
		into = other.collect(into, seen)
	}
	return into
}

// leader returns the audience of the caller for whom the work was begun.
func (a *audience) leader() *audience {
	for a.led != nil {
		a = a.led
	}
	return a
}

// tell calls one hook of every Trace that listens and has it. Its argument is made for each
// of them in its turn.
func tell[Info any](a *audience, hookOf func(*Trace) func(Info), info func() Info) {
	if a.empty() {
		return
	}
	leader := a.leader()
	for _, l := range a.collect(nil, make(map[*audience]bool)) {
		if hook := hookOf(l.trace); hook != nil {
			tellOne(l, slices.Contains(leader.listeners, l), hook, info)
		}
	}
}

// tellOne calls hook, unless the call that l belongs to has ended. Unless l's caller leads the
// work, the hook must not be able to end it.
func tellOne[Info any](l *listener, leads bool, hook func(Info), info func() Info) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.done:
	case leads:
		hook(info())
	default:
		told := info()
		l.aside(func() { hook(told) })
	}
}

// listener is one caller's Trace for as long as its call lasts. Its lock keeps the hooks of one
// caller apart and makes sure that none runs after the call.
type listener struct {
	trace *Trace

	mu   sync.Mutex
	done bool // guarded by mu
	// aborted is how a hook ended that did not return, while another caller led the work; nil:
	// none did. Guarded by mu.
	aborted error
}

// listen makes the Trace of ctx the listener of the work on a question; nil when there is no
// Trace, so that untraced questions cost nothing.
func listen(ctx context.Context, st *iterate.QueryState) *listener {
	t := ContextTrace(ctx)
	if t == nil {
		return nil
	}
	l := &listener{trace: t}
	st.Begin()
	st.Events = l.events()
	return l
}

// events returns the events of the work for l's caller.
func (l *listener) events() events.Sink { return &audience{listeners: []*listener{l}} }

// End calls Trace.Done for a question whose result the caller gets in another form.
func (l *listener) End(st *iterate.QueryState, err error) error { return l.end(st, nil, err) }

// end calls Trace.Done, and returns the error of the question: err, or ErrAborted.
func (l *listener) end(st *iterate.QueryState, result *Result, err error) error {
	if aborted := l.rethrow(); aborted != nil {
		return wrap(st.Q.Public(), aborted)
	}
	if l.trace.Done != nil {
		t := st.Budget.Took()
		_, overTLS := st.Budget.Sent()
		tellOne(l, true, l.trace.Done, func() DoneInfo {
			return DoneInfo{
				Step: stepNow(st.WalkRef()), Result: result, Err: err,
				Sends: t.Queries, SendsTLS: overTLS, Bytes: t.Bytes, Elapsed: t.Elapsed, Validation: t.Validation,
			}
		})
	}
	return err
}

// Close makes sure that no hook is called any more.
func (l *listener) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
}

// aside calls hook in a goroutine of its own, which is the only way to keep a
// runtime.Goexit in it from ending the work. l's own caller learns how the hook ended when
// the work has ended. l.mu must be held.
func (l *listener) aside(hook func()) {
	var hooked sync.WaitGroup
	hooked.Go(rescue.Guarded(&l.aborted, hook))
	hooked.Wait()
	l.done = l.aborted != nil
}

// rethrow panics with the value of a hook that panicked in another caller's work, or returns
// ErrAborted if one ended its goroutine; nil if all have returned.
func (l *listener) rethrow() error {
	l.mu.Lock()
	aborted := l.aborted
	l.mu.Unlock()
	rescue.Again(aborted)
	return aborted
}

// stepNow returns the Step of an event that happens now.
func stepNow(in events.Step) Step {
	return Step{Walk: in.Walk, Parent: in.Parent, Depth: in.Depth, Question: in.Question.Public(), At: time.Now()}
}

// Joined calls Trace.Joined.
func (a *audience) Joined(in events.Step, zone dnsname.Name) {
	tell(a, func(t *Trace) func(JoinedInfo) { return t.Joined }, func() JoinedInfo {
		return JoinedInfo{Step: stepNow(in), Zone: zone.String()}
	})
}

// Cache calls Trace.Cache.
func (a *audience) Cache(in events.Step, e events.Cache) {
	tell(a, func(t *Trace) func(CacheInfo) { return t.Cache }, func() CacheInfo {
		return CacheInfo{
			Step: stepNow(in), Hit: e.Hit, Negative: e.Negative, Failure: e.Failure, Alias: e.Alias, Stale: e.Stale,
			Status: e.Status, TTL: e.TTL,
		}
	})
}

// SecondLevel calls Trace.SecondLevel.
func (a *audience) SecondLevel(in events.Step, e events.SecondLevel) {
	tell(a, func(t *Trace) func(SecondLevelInfo) { return t.SecondLevel }, func() SecondLevelInfo {
		return SecondLevelInfo{
			Step: stepNow(in), Zone: e.Zone.String(), Asked: e.Asked.Public(), Hit: e.Hit, Kind: e.Kind,
			Age: e.Age, Elapsed: e.Elapsed, Message: e.Message, Err: shown(e.Err),
		}
	})
}

// LocalRoot calls Trace.LocalRoot.
func (a *audience) LocalRoot(in events.Step, e events.LocalRoot) {
	tell(a, func(t *Trace) func(LocalRootInfo) { return t.LocalRoot }, func() LocalRootInfo {
		return LocalRootInfo{
			Step: stepNow(in), Asked: e.Asked.Public(), Kind: e.Kind, Rcode: e.Rcode, Serial: e.Serial, Message: e.Message,
		}
	})
}

// Start calls Trace.Start.
func (a *audience) Start(in events.Step, cut *glue.Delegation, hints, local bool) {
	tell(a, func(t *Trace) func(StartInfo) { return t.Start }, func() StartInfo {
		return StartInfo{Step: stepNow(in), Cut: cut, Hints: hints, LocalRoot: local}
	})
}

// Query calls Trace.Query.
func (a *audience) Query(in events.Step, e events.Query) {
	tell(a, func(t *Trace) func(QueryInfo) { return t.Query }, func() QueryInfo {
		return QueryInfo{
			Step: stepNow(in), ID: e.ID, Zone: e.Zone.String(), Server: e.Server, ServerName: e.ServerName.String(),
			Network: e.Network, Asked: e.Asked.Public(), Minimised: e.Minimised, Reason: publicReason(e.Reason),
		}
	})
}

// publicReason returns the reason as a Trace sees it.
func publicReason(r events.Reason) QueryReason {
	switch r {
	case events.ReasonNone:
		return ""
	case events.ReasonBest:
		return ReasonBest
	case events.ReasonUnknown:
		return ReasonUnknown
	case events.ReasonNext:
		return ReasonNext
	case events.ReasonHedge:
		return ReasonHedge
	case events.ReasonProbe:
		return ReasonProbe
	case events.ReasonTruncated:
		return ReasonTruncated
	case events.ReasonSpoofed:
		return ReasonSpoofed
	case events.ReasonCase:
		return ReasonCase
	case events.ReasonNoEDNS:
		return ReasonNoEDNS
	case events.ReasonNoOption:
		return ReasonNoOption
	case events.ReasonLastResort:
		return ReasonLastResort
	case events.ReasonCookie:
		return ReasonCookie
	case events.ReasonLoop:
		return ReasonLoop
	case events.ReasonConnection:
		return ReasonConnection
	case events.ReasonNetwork:
		return ReasonNetwork
	}
	return ""
}

// Response calls Trace.Response.
func (a *audience) Response(in events.Step, e events.Response) {
	tell(a, func(t *Trace) func(ResponseInfo) { return t.Response }, func() ResponseInfo {
		return ResponseInfo{
			Step: stepNow(in), ID: e.ID, Zone: e.Zone.String(), Server: e.Server, ServerName: e.ServerName.String(),
			Network: e.Network, Kind: e.Kind, Rcode: e.Rcode, RTT: e.RTT, Message: e.Message, Err: shown(e.Err),
		}
	})
}

// Referral calls Trace.Referral.
func (a *audience) Referral(in events.Step, from dnsname.Name, cut *glue.Delegation, ds *dnssec.RRset, local bool) {
	tell(a, func(t *Trace) func(ReferralInfo) { return t.Referral }, func() ReferralInfo {
		info := ReferralInfo{Step: stepNow(in), From: from.String(), Cut: cut, LocalRoot: local}
		if ds != nil {
			info.DS, _ = ds.AppendRRs(nil, ds.TTL, true)
		}
		return info
	})
}

// ServerLookup calls Trace.ServerLookup.
func (a *audience) ServerLookup(in events.Step, e events.ServerLookup) {
	tell(a, func(t *Trace) func(ServerLookupInfo) { return t.ServerLookup }, func() ServerLookupInfo {
		return ServerLookupInfo{
			Step: stepNow(in), Zone: e.Zone.String(), Server: e.Server.String(), Done: e.Done, Addrs: e.Addrs, Err: shown(e.Err),
		}
	})
}

// Alias calls Trace.Alias.
func (a *audience) Alias(in events.Step, from, to dnsname.Name, dname bool) {
	tell(a, func(t *Trace) func(AliasInfo) { return t.Alias }, func() AliasInfo {
		return AliasInfo{Step: stepNow(in), From: from.String(), To: to.String(), DNAME: dname}
	})
}

// Validated calls Trace.Validated.
func (a *audience) Validated(in events.Step, zone dnsname.Name, status dnssec.Status, why dnssec.Reason) {
	tell(a, func(t *Trace) func(ValidatedInfo) { return t.Validated }, func() ValidatedInfo {
		return ValidatedInfo{Step: stepNow(in), Zone: zone.String(), Status: status, Extended: ExtendedError(failure.ExtendedReason(why))}
	})
}

// withOneTrace returns a context whose questions may be asked concurrently without
// concurrent calls of its Trace's hooks.
func withOneTrace(ctx context.Context) context.Context {
	t := ContextTrace(ctx)
	if t == nil {
		return ctx
	}
	var mu sync.Mutex
	return WithTrace(ctx, t.guarded(&mu, func() bool { return true }))
}

// guarded returns a Trace that calls t's hooks one at a time, under mu, and only while open
// returns true.
func (t *Trace) guarded(mu *sync.Mutex, open func() bool) *Trace {
	return &Trace{
		Joined:       guard(t.Joined, mu, open),
		Cache:        guard(t.Cache, mu, open),
		SecondLevel:  guard(t.SecondLevel, mu, open),
		LocalRoot:    guard(t.LocalRoot, mu, open),
		Start:        guard(t.Start, mu, open),
		Query:        guard(t.Query, mu, open),
		Response:     guard(t.Response, mu, open),
		Referral:     guard(t.Referral, mu, open),
		ServerLookup: guard(t.ServerLookup, mu, open),
		Alias:        guard(t.Alias, mu, open),
		Validated:    guard(t.Validated, mu, open),
		Done:         guard(t.Done, mu, open),
	}
}

func guard[Info any](hook func(Info), mu *sync.Mutex, open func() bool) func(Info) {
	if hook == nil {
		return nil
	}
	return func(info Info) {
		mu.Lock()
		defer mu.Unlock()
		if open() {
			hook(info)
		}
	}
}
