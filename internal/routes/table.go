package routes

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/transport"
)

// Table says which servers are asked about which names, and which names are not
// validated. It does not change once made: SetRoutes and SetNegativeTrustAnchors replace it
// as a whole.
type Table struct {
	Generation      uint64
	Routes          map[dnsname.Name]*Route
	NegativeAnchors []dnssec.NegativeAnchor // empty when nothing is validated
	Iteration       *View
	rootAnchored    bool          // the root zone has a trust anchor
	Fallback        *Route        // asked while the root servers cannot be; nil: none
	underFallback   *Table        // this one as it is then; nil without a Fallback
	watched         []*resolvConf // read again when they change

	// As given by the caller, so that the one can be changed without the other.
	givenRoutes   []Spec
	givenTimes    uint64 // how often routes have been given
	givenNegative []NegativeAnchorSpec
	anchors       []dnssec.Anchor // what is trusted: those of the settings, until SetAnchors
	givenFallback *Spec

	functions map[any]uint64      // numbers of the Exchangers and TLSConfigs of routes, as far as these can be compared
	numbers   map[[32]byte]uint32 // of views, by their digests
}

// Router has the route table of now, and replaces it.
type Router struct {
	*env.Env
	routeTable    atomic.Pointer[Table]
	changeMu      sync.Mutex // held to replace Table
	viewCount     uint32     // views made so far; guarded by changeMu
	functionCount uint64     // functions numbered so far; guarded by changeMu
	viewSalt      [16]byte   // of the views of routes with functions, without a ViewName

	tlsRules     *TLSRules            // nil: no server has to be asked over TLS
	tlsTransport *transport.Transport // for those that have to; nil without rules
	tlsFaults    tlsFaults            // of those
}

// Begin installs the first route table. The resolver is not in use yet.
func (r *Router) Begin(routes []Spec, negative []NegativeAnchorSpec, fallback *Spec) error {
	rand.Read(r.viewSalt[:])
	return r.install(nil, &Table{
		givenRoutes: routes, givenTimes: 1, givenNegative: negative, anchors: r.Settings.TrustAnchors,
		givenFallback: fallback,
	})
}

// SetRoutes replaces the routes.
func (r *Router) SetRoutes(routes []Spec) error {
	return r.change(func(rt *Table) {
		rt.givenRoutes = routes
		rt.givenTimes++
	})
}

// SetNegativeAnchors replaces the negative trust anchors.
func (r *Router) SetNegativeAnchors(negative []NegativeAnchorSpec) error {
	return r.change(func(rt *Table) { rt.givenNegative = negative })
}

// SetAnchors replaces the trust anchors. What was validated with others is not used any more:
// their views are other ones.
func (r *Router) SetAnchors(anchors []dnssec.Anchor) error {
	return r.change(func(rt *Table) { rt.anchors = anchors })
}

// Anchors returns the trust anchors of now.
func (r *Router) Anchors() []dnssec.Anchor { return r.routeTable.Load().anchors }

// copyGiven returns a table to be built of what the caller has given for this one.
func (rt *Table) copyGiven() *Table {
	return &Table{givenRoutes: rt.givenRoutes, givenTimes: rt.givenTimes, givenNegative: rt.givenNegative, anchors: rt.anchors, givenFallback: rt.givenFallback}
}

// change replaces the route table by one that set has modified.
func (r *Router) change(set func(*Table)) error {
	r.changeMu.Lock()
	defer r.changeMu.Unlock()
	if r.Base.Err() != nil {
		return failure.ErrClosed
	}
	old := r.routeTable.Load()
	next := old.copyGiven()
	set(next)
	return r.install(old, next)
}

// CurrentRoutes returns the route table of now. It reads the files again that it depends on,
// if they have changed.
func (r *Router) CurrentRoutes() *Table {
	rt := r.routeTable.Load()
	if len(rt.watched) > 0 {
		r.rereadServers(rt)
		rt = r.routeTable.Load()
	}
	return rt
}

// install builds next of its given parts and puts it in the place of old, which is nil at
// first. r.changeMu must be held.
func (r *Router) install(old, next *Table) error {
	next.functions, next.numbers = make(map[any]uint64), make(map[[32]byte]uint32)
	m := routeTableBuilder{r: r, table: next, base: r.Settings.Digest(next.anchors), servers: r.Settings.Digest(nil), sources: make(map[[32]byte]*Source), old: &Table{}}
	if old != nil {
		next.Generation = old.Generation + 1
		m.reuse(old)
	}
	if err := m.build(); err != nil {
		m.abandon()
		return err
	}
	r.routeTable.Store(next)
	if old != nil {
		r.retire(old, next)
	}
	return nil
}

// routeTableBuilder builds a route table of its given parts.
type routeTableBuilder struct {
	r          *Router
	table      *Table
	base       [32]byte
	servers    [32]byte              // base whatever the anchors are
	sources    map[[32]byte]*Source  // in use before, with what is remembered of their servers
	forwarders map[tlsKey]*Forwarder // in use before
	old        *Table                // empty at first
	created    []*Forwarder          // made now
}

func (m *routeTableBuilder) reuse(old *Table) {
	m.old = old
	m.sources[m.digestOf(m.servers, nil)] = old.Iteration.Source
	m.forwarders = make(map[tlsKey]*Forwarder)
	for rt := range old.All {
		if rt.View != nil {
			m.sources[m.digestOf(m.servers, rt)] = rt.View.Source
		}
		for _, f := range rt.Forwarders {
			if f.transport != nil {
				m.forwarders[f.key] = f
			}
		}
	}
}

func (m *routeTableBuilder) build() error {
	for _, a := range m.table.givenNegative {
		zone, err := dnsname.Parse(a.Zone)
		if err != nil {
			return &OptionError{"NegativeTrustAnchors", fmt.Errorf("%q: %w", a.Zone, err)}
		}
		m.table.NegativeAnchors = append(m.table.NegativeAnchors, dnssec.NegativeAnchor{Zone: zone, Until: a.Until})
	}
	validator, err := m.validator("")
	if err != nil {
		return err
	}
	if validator == nil {
		m.table.NegativeAnchors = nil
	}
	m.table.rootAnchored = slices.ContainsFunc(m.table.anchors, func(a dnssec.Anchor) bool { return a.Zone() == "." })
	m.table.Iteration = m.view(nil, validator)
	m.table.Routes = make(map[dnsname.Name]*Route, len(m.table.givenRoutes))
	for _, given := range m.table.givenRoutes {
		rt, err := m.route(given)
		if err != nil {
			return &OptionError{"Routes", fmt.Errorf("route %q: %w", given.Zone, err)}
		}
		if _, twice := m.table.Routes[rt.Zone]; twice {
			return &OptionError{"Routes", fmt.Errorf("route %q: given twice", given.Zone)}
		}
		m.table.Routes[rt.Zone] = rt
		if rt.watch != nil {
			m.table.watched = append(m.table.watched, rt.watch)
		}
		if rt.Kind == Iterate {
			continue
		}
		own := validator
		if rt.Unsigned {
			if own, err = m.validator(rt.Zone); err != nil {
				return err
			}
		}
		rt.View = m.view(rt, own)
	}
	if err := m.checkTLS(); err != nil {
		return err
	}
	return m.buildFallback(validator)
}

// validator makes the validator of the anchors; nil when nothing is validated. Names at and
// below unsigned, unless it is empty, are not validated.
func (m *routeTableBuilder) validator(unsigned dnsname.Name) (*dnssec.Validator, error) {
	if !m.r.Settings.Validates {
		return nil, nil
	}
	negative := m.table.NegativeAnchors
	if unsigned != "" {
		negative = append(negative[:len(negative):len(negative)], dnssec.NegativeAnchor{Zone: unsigned})
	}
	validator, err := dnssec.New(dnssec.Options{
		Anchors: m.table.anchors, NegativeAnchors: negative, Algorithms: m.r.Settings.Algorithms,
	})
	if err != nil {
		return nil, &OptionError{"TrustAnchors", err}
	}
	return validator, nil
}

// digestOf returns the digest of what a route teaches, or for nil of iteration.
func (m *routeTableBuilder) digestOf(base [32]byte, rt *Route) [32]byte {
	switch {
	case rt == nil:
		return base
	case rt.isFallback:
		return sha256.Sum256(fmt.Appendf(nil, "%x fallback %s", base, rt.fingerprint))
	}
	return sha256.Sum256(fmt.Appendf(nil, "%x route %s", base, rt.fingerprint))
}

// view makes the view of a route, or for nil that of iteration, and those of the negative
// trust anchors that may be in force in it.
func (m *routeTableBuilder) view(rt *Route, validator *dnssec.Validator) *View {
	digest := m.digestOf(m.base, rt)
	v := &View{
		ID: m.number(digest), Digest: digest, Validator: validator, Cache: m.r.openView(digest),
		belowNegativeAnchor: make(map[dnsname.Name]*View),
	}
	src := Source{ID: v.ID, Route: rt, Cuts: v.Cache, Infra: infra.NewTable()}
	if before, ok := m.sources[m.digestOf(m.servers, rt)]; ok {
		src.Infra = before.Infra
	}
	v.Source = &src
	for _, a := range m.table.NegativeAnchors {
		if rt != nil && !rt.Zone.IsAtOrBelow(a.Zone) && !a.Zone.IsAtOrBelow(rt.Zone) {
			continue
		}
		below := *v
		below.NegativeAnchor = a.Zone
		below.Digest = sha256.Sum256(fmt.Appendf(nil, "%x negative %s", digest, a.Zone))
		below.ID, below.Cache = m.number(below.Digest), m.r.openView(below.Digest)
		v.belowNegativeAnchor[a.Zone] = &below
	}
	return v
}

// openView returns the part of the cache with a digest, as this resolver reads it.
func (r *Router) openView(digest [32]byte) *cache.View {
	v := r.Settings.Cache.View(digest)
	if r.Settings.Minimise == env.MinimiseStrict {
		return v.Strict()
	}
	return v
}

// number returns a small number for a digest. It stays the same as long as each following
// table has the digest, and is never reused for another. Work that is under way by the old
// number of a route that comes back is not joined.
func (m *routeTableBuilder) number(digest [32]byte) uint32 {
	n, ok := m.table.numbers[digest]
	if !ok {
		n, ok = m.old.numbers[digest]
	}
	if !ok {
		n = m.r.viewCount
		m.r.viewCount++
	}
	m.table.numbers[digest] = n
	return n
}

// identity stands for an Exchanger or a TLSConfig of a route in the digest of a view.
// Whether two of them do the same cannot be found out. If the caller has set ViewName, they
// need not be told apart. Otherwise data is kept as long as it is the very same value, and
// shared with no other resolver; its address in memory would not do, as that may be used
// again later. at is the index of the server in its route.
func (m *routeTableBuilder) identity(function any, at int) string {
	if m.r.Settings.ViewName != "" {
		return "named"
	}
	if !reflect.ValueOf(function).Comparable() {
		return fmt.Sprintf("%x given %d %d", m.r.viewSalt, m.table.givenTimes, at)
	}
	n, ok := m.table.functions[function]
	if !ok {
		n, ok = m.old.functions[function]
	}
	if !ok {
		n = m.r.functionCount
		m.r.functionCount++
	}
	m.table.functions[function] = n
	return fmt.Sprintf("%x number %d", m.r.viewSalt, n)
}

// abandon closes what was made for a table that will not be used.
func (m *routeTableBuilder) abandon() {
	for _, f := range m.created {
		f.transport.Close()
	}
}

// retire closes the connections to servers that the new table does not have, once the
// questions that may still use them have ended.
func (r *Router) retire(old, next *Table) {
	kept := make(map[*Forwarder]bool)
	for rt := range next.All {
		for _, f := range rt.Forwarders {
			kept[f] = true
		}
	}
	for rt := range old.All {
		for _, f := range rt.Forwarders {
			if f.transport == nil || kept[f] {
				continue
			}
			r.Spawn(func() {
				defer f.transport.Close()
				wait := time.NewTimer(r.Settings.Limits.Time)
				defer wait.Stop()
				select {
				case <-wait.C:
				case <-r.Base.Done():
				}
			})
		}
	}
}

// Close closes the connections to the servers of routes. No route table is installed after
// base has ended.
func (r *Router) Close() {
	r.changeMu.Lock()
	defer r.changeMu.Unlock()
	if r.tlsTransport != nil {
		r.tlsTransport.Close()
	}
	for rt := range r.routeTable.Load().All {
		for _, f := range rt.Forwarders {
			if f.transport != nil {
				f.transport.Close()
			}
		}
	}
}

// Connections returns how many connections are open to servers of routes, and to those that have to
// be asked over TLS.
func (r *Router) Connections() int {
	n := 0
	if r.tlsTransport != nil {
		_, n = r.tlsTransport.Open()
	}
	for rt := range r.routeTable.Load().All {
		for _, f := range rt.Forwarders {
			if f.transport != nil {
				_, streams := f.transport.Open()
				n += streams
			}
		}
	}
	return n
}

// WalkServers shows what is known about servers to visit until that returns false: those of the
// iteration with zone "", and those of each route that has a view of its own with its zone.
func (r *Router) WalkServers(visit func(zone string, s infra.Server) bool) {
	table, now, more := r.routeTable.Load(), r.Settings.Now(), true
	walk := func(zone string, known *infra.Table) {
		if more {
			known.Walk(now, func(s infra.Server) bool {
				more = visit(zone, s)
				return more
			})
		}
	}
	walk("", table.Iteration.Infra)
	for rt := range table.All {
		if rt.View != nil {
			walk(rt.Zone.String(), rt.View.Infra)
		}
	}
}

// KnownServers returns how many servers something is known about.
func (r *Router) KnownServers() int {
	table := r.routeTable.Load()
	n := table.Iteration.Infra.Len()
	for rt := range table.All {
		if rt.View != nil {
			n += rt.View.Infra.Len()
		}
	}
	return n
}
