package iterate

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/upstream"
)

// failure is why no server of the zone sent a response that settles the question.
func (z *zoneQuery) failure(cause error) error {
	if cause != nil {
		return z.ended(cause)
	}
	z.noteFaults()
	err := failure.Join(z.errs)
	failed := failure.Of(err)
	switch {
	case failed.Is(failure.RouteLoop) && len(z.tried) <= 1:
		// There was no other server to ask.
	case len(z.tried) == 0 && z.servers.LoopExcluded:
		err = failure.ErrRouteLoop
	case len(z.tried) > 0, z.servers.Silent() > 0: // those marked down are not tried for this question
		err = failure.WrapCause(failure.ErrNoReachableServer, err)
	default:
		err = failure.WrapCause(failure.ErrNoServerAddress, err)
	}
	if z.needsTLS() {
		err = fmt.Errorf("%w: %w", failure.ErrTLSRequired, err)
	}
	if root := z.rootFailure(); root != nil && !failed.Is(failure.NoDescriptors) {
		err = fmt.Errorf("%w: %w", root, err)
	}
	if z.byTCP > 0 && !z.asksRoot() {
		err = fmt.Errorf("%w: %w", failure.ErrOnlyTCP, err)
	}
	// A question that has reached its limits says nothing about servers. Otherwise one that
	// wastes a hundred queries could have any server marked down by the next.
	if !z.responded && !z.ownFailure && !z.cut.Source.Forwards() {
		z.servers.RecordSilence(z.r.Settings.Now())
	}
	if z.asksRoot() {
		z.noteRootFailure(failed)
	}
	if rt := z.cut.Source.Route; rt != nil {
		err = rt.Failed(err)
	}
	return &failure.ZoneError{Zone: z.cut.Zone, Servers: slices.Clone(z.tried), Down: z.down(), Responded: z.responded, Err: err}
}

// noteFaults notes why servers that have to be asked over TLS were not asked.
func (z *zoneQuery) noteFaults() {
	for _, c := range z.servers.Addrs {
		if c.Fault.Err != nil && !slices.Contains(z.tried, c.Addr) {
			z.noteError(&failure.ServerError{Server: c.Addr, Err: fmt.Errorf("%w, and is not asked again at once: %w", errNotOverTLS, c.Fault.Err)})
		}
	}
}

// errNotOverTLS is why a server is marked down that has to be asked over TLS.
var errNotOverTLS = errors.New("could not be asked over TLS a moment ago")

// needsTLS reports whether no server answered, and all that were found have to be asked over TLS.
func (z *zoneQuery) needsTLS() bool {
	return !z.responded && len(z.servers.Addrs) > 0 &&
		!slices.ContainsFunc(z.servers.Addrs, func(c *slist.Server) bool { return !c.MustBeTLS() })
}

// ended is the failure of a query that cause has ended, the end of its context. It says what was
// still waited for.
func (z *zoneQuery) ended(cause error) error {
	u := z.r.unanswered(z.st.flight, make(map[*flight.Flight]bool))
	z.st.Budget.NoteUnanswered(u.rank(), u.err)
	return u.err.EndedBy(cause)
}

// rootFailure says why the root servers cannot be asked from here, when none of them sent a
// usable response. It is nil for other zones, and when that may have other reasons.
func (z *zoneQuery) rootFailure() error {
	switch {
	case !z.asksRoot():
		return nil
	case z.intercepted > 0:
		return failure.ErrIntercepted
	case len(z.tried) > 0 && !z.responded && !slices.ContainsFunc(z.errs, func(err error) bool { return !upstream.IsNoRoute(err) && !(z.forbidden && failure.Of(err).IsTimeout()) }):
		return failure.ErrNoNetwork
	case len(z.tried) > 0 && !z.responded && !z.cut.Source.Infra.HeardLately(z.r.Settings.Now()) && z.areSilent():
		return failure.ErrBlocked
	}
	return nil
}

// areSilent reports whether so many servers are silent that it may be port 53 that is blocked.
func (z *zoneQuery) areSilent() bool {
	return z.servers.Silent() >= min(blockedAfter, len(z.servers.Addrs))
}

// blockedAfter is how many root servers must be silent before port 53 is taken to be
// blocked: they are operated apart, and two of them are never down together.
const blockedAfter = 3

// down returns the servers that were not asked as they are marked down.
func (z *zoneQuery) down() (down []failure.DownServer) {
	now := z.r.Settings.Now()
	for _, c := range z.servers.Addrs {
		if len(down) == failure.MaxDown {
			break
		}
		if slices.Contains(z.tried, c.Addr) {
			continue
		}
		if lost, silent, ok := z.cut.Source.Infra.MarkedDown(now, c.Addr); ok {
			down = append(down, failure.DownServer{Addr: c.Addr, Lost: lost, Silent: silent})
		}
	}
	return down
}

// maxVisited is how many flights are looked at to find out what a question waits for. It waits for
// some at a time; only hostile delegations make more.
const maxVisited = 64

// Unanswered returns what the work of a flight waits for; nil: for no server.
func (r *Iterator) Unanswered(fl *flight.Flight) *failure.ZoneError {
	return r.unanswered(fl, make(map[*flight.Flight]bool)).err
}

// unanswered is a query to the servers of a zone that has no reply yet.
type unanswered struct {
	err     *failure.ZoneError // nil: there is none
	depth   int                // 0: it is for the client's own question
	waiting bool               // for the reply of a server
}

// unanswered returns of the queries that a flight waits for the one that says most: one that waits
// for a server rather than for the addresses of servers, and one for the client's own question
// rather than for keys or the address of a name server.
func (r *Iterator) unanswered(fl *flight.Flight, seen map[*flight.Flight]bool) (best unanswered) {
	if seen[fl] || len(seen) == maxVisited {
		return best
	}
	seen[fl] = true
	if z, ok := fl.Work().(*zoneQuery); ok {
		best = z.unanswered()
	}
	for _, below := range r.Flights.WaitsFor(fl) {
		if best.waiting && best.depth == 0 {
			break
		}
		if u := r.unanswered(below, seen); u.err != nil && (best.err == nil || u.rank() < best.rank()) {
			best = u
		}
	}
	return best
}

// rank orders queries by how much they say, those that say most first.
func (u unanswered) rank() int {
	if u.waiting {
		return u.depth
	}
	return math.MaxInt32 - u.depth // of those that wait for others the last says most
}

// unanswered returns what the query waits for. Any goroutine may call it.
func (z *zoneQuery) unanswered() unanswered {
	z.mu.Lock()
	defer z.mu.Unlock()
	p := &failure.PendingError{Asked: len(z.tried), Known: len(z.servers.Addrs), LookUps: z.lookups > 0, Others: failure.Join(slices.Clone(z.errs))}
	for i, s := range z.tried {
		if z.silent>>i&1 != 0 {
			p.Servers = append(p.Servers, s)
		}
	}
	if z.st.depth > 0 {
		p.For = z.st.Q.Public()
	}
	e := &failure.ZoneError{Zone: z.cut.Zone, Servers: slices.Clone(z.tried), Down: z.down(), Err: p}
	return unanswered{e, z.st.depth, len(p.Servers) > 0}
}

// noteAsked notes that a server is asked.
func (z *zoneQuery) noteAsked(server netip.AddrPort) {
	z.mu.Lock()
	defer z.mu.Unlock()
	i := slices.Index(z.tried, server)
	if i < 0 {
		i = len(z.tried)
		z.tried = append(z.tried, server)
	}
	z.silent |= 1 << i
}

// noteResult notes that a server is not waited for any longer.
func (z *zoneQuery) noteResult(server netip.AddrPort) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if i := slices.Index(z.tried, server); i >= 0 {
		z.silent &^= 1 << i
	}
}

// noteError notes what went wrong with a server, or the look-up of its address.
func (z *zoneQuery) noteError(err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.errs = append(z.errs, err)
}

// noteLookup notes that so many more look-ups of addresses are under way.
func (z *zoneQuery) noteLookup(more int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.lookups += more
}
