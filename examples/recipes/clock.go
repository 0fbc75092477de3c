package recipes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

const (
	// timeServerWithin bounds the look-up and the questions for one time server.
	timeServerWithin = 10 * time.Second
	// timesAgree is how far the times of servers that agree may be apart. Signatures need no better,
	// and servers that are in order are apart by less than a packet takes.
	timesAgree = 10 * time.Second
)

// Clock is the clock of a board without a battery, which starts in 1970, or when it was last shut
// down. Signatures cannot be checked at such a time: everything is bogus, with resolver.ErrClock where it
// is more than a day off. Time servers know the time, and their names have to be
// resolved first. Two resolvers are the way out of this circle:
//
//	clock := recipes.NewClock(built) // time.Time of the build, or when the board was last shut down
//	r, err := resolver.New(resolver.Options{SignatureTime: clock.Time})
//	unvalidated, err := resolver.New(resolver.Options{Validation: resolver.ValidateOff})
//	err = clock.Set(ctx, r, unvalidated, ntp, "time.example.net.", "time.example.org.", "time.example.com.")
//
// The second one is for the names of time servers only. Somebody on the way can forge its answers, and
// be the time server himself. What he gains is bounded:
//
//   - Of several servers more than half have to agree, so that he has to forge the answers for that
//     many. Names of three operators are the least that outvotes one liar. Against somebody who
//     controls the board's only line to the Internet no number helps; NTS (RFC 8915), or Roughtime
//     with keys that the program has, does.
//   - No time before the build is believed, so that signatures which ended before that, by keys that
//     have been stolen or broken since, stay worthless.
//   - No time is believed that resolver.ErrClock says is wrong by the root zone's signatures. Nobody has
//     signatures from the future, so that what is left to him is a time since the build for which he has
//     kept the answers of all zones.
//
// Once the time is known, the names of time servers are validated too.
type Clock struct {
	built   time.Time
	unknown func() time.Time
	started time.Time                 // elapsed time is counted from here, by the monotonic clock
	atStart atomic.Pointer[time.Time] // what the time was at started; nil: not known
}

// NewClock returns a clock that knows one moment that has passed, such as that of the build.
func NewClock(built time.Time) *Clock {
	return &Clock{built: built, unknown: resolver.NotBefore(built), started: time.Now()}
}

// Time is for Options.SignatureTime: what the time servers said and what has passed since then; until
// they did, the host's clock, but not before the build. Nobody who sets the host's clock changes it.
// The monotonic clock of most systems stands still while they are suspended: call Set after that.
func (c *Clock) Time() time.Time {
	if at := c.atStart.Load(); at != nil {
		return at.Add(time.Since(c.started))
	}
	return c.unknown()
}

// Set asks time servers, all at once, and remembers the time that more than half of them agree on; else
// it changes nothing. ask gets the time from one address, as it is when ask returns, and has to end with
// its context. Call Set at the start, then every few hours, as quartz drifts, and when validating
// fails with resolver.ErrClock. One call at a time.
func (c *Clock) Set(ctx context.Context, validating, unvalidated *resolver.Resolver, ask func(context.Context, netip.Addr) (time.Time, error), servers ...string) error {
	starts, errs := make([]time.Time, len(servers)), make([]error, len(servers))
	var wait sync.WaitGroup
	for i, name := range servers {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, timeServerWithin)
			defer cancel()
			addrs, err := c.lookup(ctx, validating, unvalidated, name)
			if err == nil {
				starts[i], err = c.askOne(ctx, ask, addrs)
			}
			if err != nil {
				errs[i] = fmt.Errorf("time server %s: %w", name, err)
			}
		})
	}
	wait.Wait()
	starts = slices.DeleteFunc(starts, time.Time.IsZero)
	start, ok := agreed(starts, len(servers)/2+1)
	if !ok {
		return fmt.Errorf("no %d of %d time servers agree: %w", len(servers)/2+1, len(servers), errors.Join(errs...))
	}
	before := c.atStart.Swap(&start)
	// A time in the future is found out by the root zone's signatures. Any other failure, as of the
	// network, says nothing about the time.
	if _, err := validating.Resolve(ctx, ".", dns.TypeSOA); errors.Is(err, resolver.ErrClock) {
		c.atStart.Store(before)
		return fmt.Errorf("the time servers say that it is %v: %w", start.Add(time.Since(c.started)), err)
	}
	return nil
}

// lookup returns the addresses of a time server, validated if that can be. While the time is not known
// every bogus answer may be due to that; later only those that the clock is blamed for.
func (c *Clock) lookup(ctx context.Context, validating, unvalidated *resolver.Resolver, name string) ([]netip.Addr, error) {
	addrs, err := validating.LookupNetIP(ctx, "ip", name)
	reason := resolver.Reason(err)
	if reason == resolver.FailureClock || reason == resolver.FailureBogus && c.atStart.Load() == nil {
		return unvalidated.LookupNetIP(ctx, "ip", name)
	}
	return addrs, err
}

// askOne asks the addresses of a time server until one answers, and returns what the time was at
// c.started by that. A server has one vote, however many addresses it has.
func (c *Clock) askOne(ctx context.Context, ask func(context.Context, netip.Addr) (time.Time, error), addrs []netip.Addr) (time.Time, error) {
	var errs []error
	for _, addr := range addrs {
		now, err := ask(ctx, addr)
		switch {
		case err != nil:
			errs = append(errs, err)
		case now.Before(c.built):
			errs = append(errs, fmt.Errorf("%v says %v, which was before the build", addr, now))
		default:
			return now.Round(0).Add(-time.Since(c.started)), nil // without the host's monotonic clock
		}
	}
	return time.Time{}, errors.Join(errs...)
}

// agreed returns the middle of the earliest group of most times that are no further apart than timesAgree.
func agreed(times []time.Time, most int) (time.Time, bool) {
	slices.SortFunc(times, time.Time.Compare)
	for ; len(times) >= most; times = times[1:] {
		if times[most-1].Sub(times[0]) <= timesAgree {
			return times[most/2], true
		}
	}
	return time.Time{}, false
}
