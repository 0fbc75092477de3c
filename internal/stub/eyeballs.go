package stub

import (
	"context"
	"net"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"time"

	"github.com/iterdns/iterdns/internal/rescue"
)

// Dial is one dial by name, with Happy Eyeballs version 2 (RFC 8305).
type Dial struct {
	Network string
	Port    string
	// Connect connects to an address with port, as net.Dialer.DialContext.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolve sends the host's addresses to out as soon as they are known, in no more than
	// MaxBatches, or why there are none; then it closes out.
	Resolve func(ctx context.Context, out chan<- Batch)
	// Order puts addresses in order, the best first.
	Order func([]netip.Addr)
	// PreferIPv4 says which family's addresses are waited for.
	PreferIPv4 bool
	Trace      DialTrace
}

// Batch is what the resolution of a host that is dialled has brought: addresses, or why
// there are none.
type Batch struct {
	Addrs []netip.Addr
	Err   error // a *net.DNSError
}

// MaxBatches is how many batches there are at most: one for each address family.
const MaxBatches = 2

// The numbers of RFC 8305 §8.
const (
	// resolutionDelay is how long addresses of the family that is not preferred wait
	// for those of the other.
	resolutionDelay = 50 * time.Millisecond
	// attemptDelay is how long an attempt has before the next one begins beside it.
	attemptDelay = 250 * time.Millisecond
)

// maxAttempts is how many addresses one dial tries. A hostile zone
// can have hundreds of addresses, and every attempt is a packet to a host of its
// choice; a host that has reached none of 32 is offline.
const maxAttempts = 32

// InTurn tries the addresses one after the other.
func (d *Dial) InTurn(ctx context.Context) (net.Conn, error) {
	out := make(chan Batch, MaxBatches)
	d.Resolve(ctx, out)
	var known Batch
	for b := range out {
		known = Batch{append(known.Addrs, b.Addrs...), b.Err}
	}
	rescue.Again(known.Err)
	d.Order(known.Addrs)
	d.Trace.done(known)
	first := known.Err
	for _, a := range known.Addrs[:min(len(known.Addrs), maxAttempts)] {
		c, err := d.Connect(ctx, d.Network, net.JoinHostPort(a.String(), d.Port))
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, d.opError(first)
}

// opError makes a resolution's error one of dialling.
func (d *Dial) opError(err error) error {
	if op, ok := err.(*net.OpError); ok {
		return op
	}
	return &net.OpError{Op: "dial", Net: d.Network, Err: err}
}

// Race connects to the address that answers first. All that it has begun has ended when it
// returns.
func (d *Dial) Race(ctx context.Context) (net.Conn, error) {
	inner, cancel := context.WithCancel(ctx)
	batches := make(chan Batch, MaxBatches)
	go d.Resolve(inner, batches)
	run := &race{Dial: d, batches: batches, results: make(chan attempt, maxAttempts)}
	defer func() {
		cancel()
		run.end()
	}()
	if err := run.await(ctx); err != nil {
		return nil, d.opError(err)
	}
	return run.connectAny(ctx, inner)
}

// attempt is how one connection attempt ended.
type attempt struct {
	conn net.Conn
	err  error
}

// race is the state of a Race; it belongs to one goroutine.
type race struct {
	*Dial
	batches  <-chan Batch // nil: nothing more will come
	results  chan attempt
	waiting  []netip.Addr // not tried yet, best first
	started  int
	running  int
	previous netip.Addr // tried last
	failed   error      // the first failure
}

// await waits for addresses to begin with: the preferred family's, or all there will
// be, or, resolutionDelay after they came, the other's. RFC 8305 §3.
func (run *race) await(ctx context.Context) error {
	var delay <-chan time.Time
	for run.batches != nil && !run.hasPreferred() {
		select {
		case b, ok := <-run.batches:
			run.take(b, ok)
		case <-delay:
			run.Trace.done(Batch{Addrs: run.waiting})
			return nil
		case <-ctx.Done():
			// Resolution ends too, and says so in net's words.
			for b := range run.batches {
				run.take(b, true)
			}
			run.batches = nil
		}
		if delay == nil && len(run.waiting) > 0 {
			delay = time.After(resolutionDelay)
		}
	}
	run.Trace.done(Batch{run.waiting, run.failed})
	return run.failed
}

// hasPreferred reports whether there is an address of the family that is waited for.
func (run *race) hasPreferred() bool {
	return slices.ContainsFunc(run.waiting, func(a netip.Addr) bool { return IsIPv4(a) == run.PreferIPv4 })
}

// take adds addresses to those that wait, in their order, the families in turn.
// RFC 8305 §4.
func (run *race) take(b Batch, ok bool) {
	if !ok {
		run.batches = nil
		return
	}
	rescue.Again(b.Err)
	if b.Err != nil {
		run.failed = b.Err
		return
	}
	run.waiting = append(run.waiting, b.Addrs...)
	run.Order(run.waiting)
	run.waiting = interleave(run.waiting, run.previous)
}

// interleave takes addresses of the families in turn, beginning with the family of the
// first, or with the other family than previous was of. Each family keeps its order.
func interleave(addrs []netip.Addr, previous netip.Addr) []netip.Addr {
	if len(addrs) == 0 {
		return addrs
	}
	take4 := IsIPv4(addrs[0])
	if previous.IsValid() {
		take4 = !IsIPv4(previous)
	}
	rest, mixed := slices.Clone(addrs), make([]netip.Addr, 0, len(addrs))
	for ; len(rest) > 0; take4 = !take4 {
		i := slices.IndexFunc(rest, func(a netip.Addr) bool { return IsIPv4(a) == take4 })
		if i < 0 {
			return append(mixed, rest...) // one family is left
		}
		mixed = append(mixed, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return mixed
}

// connectAny runs attempts until one succeeds or nothing is left to try. RFC 8305 §5.
func (run *race) connectAny(ctx, inner context.Context) (net.Conn, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil && run.mayGoOn() {
		var next <-chan time.Time
		if len(run.waiting) > 0 && run.started < maxAttempts {
			next = timer.C
		}
		select {
		case <-next:
			run.begin(inner)
			timer.Reset(attemptDelay)
		case a := <-run.results:
			run.running--
			rescue.Again(a.err)
			if a.err == nil {
				return a.conn, nil
			}
			if run.failed == nil {
				run.failed = a.err
			}
			timer.Reset(0)
		case b, ok := <-run.batches:
			run.takeLate(b, ok)
		case <-ctx.Done():
		}
	}
	return nil, run.whyNot(ctx)
}

// mayGoOn reports whether an attempt is running or may still begin.
func (run *race) mayGoOn() bool {
	return run.running > 0 || run.started < maxAttempts && (len(run.waiting) > 0 || run.batches != nil)
}

// takeLate takes addresses that come when attempts have begun. That there are none is
// no failure of the dial.
func (run *race) takeLate(b Batch, ok bool) {
	if b.Err == nil {
		run.take(b, ok)
	}
}

// begin starts the next attempt.
func (run *race) begin(ctx context.Context) {
	a := run.waiting[0]
	run.waiting = run.waiting[1:]
	run.previous = a
	run.started++
	run.running++
	go func() {
		ended := attempt{err: rescue.ErrAborted}
		defer func() { run.results <- ended }()
		defer rescue.Into(&ended.err)
		ended.conn, ended.err = run.Connect(ctx, run.Network, net.JoinHostPort(a.String(), run.Port))
	}()
}

// whyNot is the error of a race that no address won: the first failure, as net.Dialer has
// it, or else the end of the caller's context.
func (run *race) whyNot(ctx context.Context) error {
	if run.failed != nil {
		return run.opError(run.failed)
	}
	return run.opError(&EndedError{WithContext(ctx, context.Cause(ctx))})
}

// end waits for what is still running, and closes connections that came too late.
func (run *race) end() {
	for ; run.running > 0; run.running-- {
		if a := <-run.results; a.conn != nil {
			a.conn.Close()
		}
	}
	if run.batches != nil {
		for range run.batches {
		}
	}
}

// DialTrace calls the hooks for the resolution of a host. Those for connections are called
// by net.Dialer. The zero DialTrace has none.
type DialTrace struct{ hooks *httptrace.ClientTrace }

// NewDialTrace returns the hooks in ctx, and calls the one for the begin.
func NewDialTrace(ctx context.Context, host string) DialTrace {
	t := DialTrace{httptrace.ContextClientTrace(ctx)}
	if t.hooks != nil && t.hooks.DNSStart != nil {
		t.hooks.DNSStart(httptrace.DNSStartInfo{Host: host})
	}
	return t
}

func (t DialTrace) done(b Batch) {
	if t.hooks != nil && t.hooks.DNSDone != nil {
		t.hooks.DNSDone(httptrace.DNSDoneInfo{Addrs: IPAddrs(b.Addrs), Err: b.Err})
	}
}
