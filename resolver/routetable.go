package resolver

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/infra"
)

// routeTable says which servers are asked about which names, and which names are not
// validated. It does not change once made: SetRoutes and SetNegativeTrustAnchors replace it
// as a whole.
type routeTable struct {
	generation      uint64
	routes          map[dnsname.Name]*route
	negativeAnchors []dnssec.NegativeAnchor // empty when nothing is validated
	iteration       *view
	watched         []*resolvConf // read again when they change

	// As given by the caller, so that the one can be changed without the other.
	givenRoutes   []routeSpec
	givenTimes    uint64 // how often routes have been given
	givenNegative []negativeAnchorSpec

	functions map[any]uint64      // numbers of the Exchangers and TLSConfigs of routes, as far as these can be compared
	numbers   map[[32]byte]uint32 // of views, by their digests
}

// router has the route table of now, and replaces it.
type router struct {
	*env
	routeTable    atomic.Pointer[routeTable]
	changeMu      sync.Mutex // held to replace routeTable
	viewCount     uint32     // views made so far; guarded by changeMu
	functionCount uint64     // functions numbered so far; guarded by changeMu
	viewSalt      [16]byte   // of the views of routes with functions, without a ViewName
}

// begin installs the first route table. The resolver is not in use yet.
func (r *router) begin(routes []routeSpec, negative []negativeAnchorSpec) error {
	rand.Read(r.viewSalt[:])
	return r.install(nil, &routeTable{givenRoutes: routes, givenTimes: 1, givenNegative: negative})
}

// setRoutes replaces the routes.
func (r *router) setRoutes(routes []routeSpec) error {
	return r.change(func(rt *routeTable) {
		rt.givenRoutes = routes
		rt.givenTimes++
	})
}

// setNegativeAnchors replaces the negative trust anchors.
func (r *router) setNegativeAnchors(negative []negativeAnchorSpec) error {
	return r.change(func(rt *routeTable) { rt.givenNegative = negative })
}

// copyGiven returns a table to be built of what the caller has given for this one.
func (rt *routeTable) copyGiven() *routeTable {
	return &routeTable{givenRoutes: rt.givenRoutes, givenTimes: rt.givenTimes, givenNegative: rt.givenNegative}
}

// change replaces the route table by one that set has modified.
func (r *router) change(set func(*routeTable)) error {
	r.changeMu.Lock()
	defer r.changeMu.Unlock()
	if r.base.Err() != nil {
		return errClosed
	}
	old := r.routeTable.Load()
	next := old.copyGiven()
	set(next)
	return r.install(old, next)
}

// currentRoutes returns the route table of now. It reads the files again that it depends on,
// if they have changed.
func (r *router) currentRoutes() *routeTable {
	rt := r.routeTable.Load()
	if len(rt.watched) > 0 {
		r.rereadServers(rt)
		rt = r.routeTable.Load()
	}
	return rt
}

// install builds next of its given parts and puts it in the place of old, which is nil at
// first. r.changeMu must be held.
func (r *router) install(old, next *routeTable) error {
	next.functions, next.numbers = make(map[any]uint64), make(map[[32]byte]uint32)
	m := routeTableBuilder{r: r, table: next, base: r.settings.digest(), sources: make(map[[32]byte]*source), old: &routeTable{}}
	if old != nil {
		next.generation = old.generation + 1
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
	r          *router
	table      *routeTable
	base       [32]byte
	sources    map[[32]byte]*source  // in use before, with what is remembered of their servers
	forwarders map[tlsKey]*forwarder // in use before
	old        *routeTable           // empty at first
	created    []*forwarder          // made now
}

func (m *routeTableBuilder) reuse(old *routeTable) {
	m.old = old
	m.sources[old.iteration.digest] = old.iteration.source
	m.forwarders = make(map[tlsKey]*forwarder)
	for _, rt := range old.routes {
		if rt.view != nil {
			m.sources[rt.view.digest] = rt.view.source
		}
		for _, f := range rt.forwarders {
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
			return fmt.Errorf("resolver: options: negative trust anchor %q: %w", a.Zone, err)
		}
		m.table.negativeAnchors = append(m.table.negativeAnchors, dnssec.NegativeAnchor{Zone: zone, Until: a.Until})
	}
	validator, err := m.validator("")
	if err != nil {
		return err
	}
	if validator == nil {
		m.table.negativeAnchors = nil
	}
	m.table.iteration = m.view(nil, validator, m.base)
	m.table.routes = make(map[dnsname.Name]*route, len(m.table.givenRoutes))
	for _, given := range m.table.givenRoutes {
		rt, err := m.route(given)
		if err != nil {
			return fmt.Errorf("resolver: options: route %q: %w", given.Zone, err)
		}
		if _, twice := m.table.routes[rt.zone]; twice {
			return fmt.Errorf("resolver: options: route %q: given twice", given.Zone)
		}
		m.table.routes[rt.zone] = rt
		if rt.watch != nil {
			m.table.watched = append(m.table.watched, rt.watch)
		}
		if rt.kind == routeIterate {
			continue
		}
		own := validator
		if rt.unsigned {
			if own, err = m.validator(rt.zone); err != nil {
				return err
			}
		}
		rt.view = m.view(rt, own, sha256.Sum256(fmt.Appendf(nil, "%x route %s", m.base, rt.fingerprint)))
	}
	return nil
}

// validator makes the validator of the anchors; nil when nothing is validated. Names at and
// below unsigned, unless it is empty, are not validated.
func (m *routeTableBuilder) validator(unsigned dnsname.Name) (*dnssec.Validator, error) {
	if !m.r.settings.Validates {
		return nil, nil
	}
	negative := m.table.negativeAnchors
	if unsigned != "" {
		negative = append(negative[:len(negative):len(negative)], dnssec.NegativeAnchor{Zone: unsigned})
	}
	validator, err := dnssec.New(dnssec.Options{
		Anchors: m.r.settings.TrustAnchors, NegativeAnchors: negative, Algorithms: m.r.settings.Algorithms,
	})
	if err != nil {
		return nil, fmt.Errorf("resolver: options: %w", err)
	}
	return validator, nil
}

// view makes the view of a route, or for nil that of iteration, and those of the negative
// trust anchors that may be in force in it.
func (m *routeTableBuilder) view(rt *route, validator *dnssec.Validator, digest [32]byte) *view {
	v := &view{
		id: m.number(digest), digest: digest, validator: validator, cache: m.r.openView(digest),
		belowNegativeAnchor: make(map[dnsname.Name]*view),
	}
	src := source{id: v.id, route: rt, cuts: v.cache, infra: infra.NewTable()}
	if before, ok := m.sources[digest]; ok {
		src.infra = before.infra
	}
	v.source = &src
	for _, a := range m.table.negativeAnchors {
		if rt != nil && !rt.zone.IsAtOrBelow(a.Zone) && !a.Zone.IsAtOrBelow(rt.zone) {
			continue
		}
		below := *v
		below.digest = sha256.Sum256(fmt.Appendf(nil, "%x negative %s", digest, a.Zone))
		below.id, below.cache = m.number(below.digest), m.r.openView(below.digest)
		v.belowNegativeAnchor[a.Zone] = &below
	}
	return v
}

// openView returns the part of the cache with a digest, as this resolver reads it.
func (r *router) openView(digest [32]byte) *cache.View {
	v := r.settings.Cache.View(digest)
	if r.settings.Minimise == minimiseStrict {
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
	if m.r.settings.ViewName != "" {
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
func (r *router) retire(old, next *routeTable) {
	kept := make(map[*forwarder]bool)
	for _, rt := range next.routes {
		for _, f := range rt.forwarders {
			kept[f] = true
		}
	}
	for _, rt := range old.routes {
		for _, f := range rt.forwarders {
			if f.transport == nil || kept[f] {
				continue
			}
			r.spawn(func() {
				defer f.transport.Close()
				wait := time.NewTimer(r.settings.Limits.Time)
				defer wait.Stop()
				select {
				case <-wait.C:
				case <-r.base.Done():
				}
			})
		}
	}
}

// close closes the connections to the servers of routes. No route table is installed after
// base has ended.
func (r *router) close() {
	r.changeMu.Lock()
	defer r.changeMu.Unlock()
	for _, rt := range r.routeTable.Load().routes {
		for _, f := range rt.forwarders {
			if f.transport != nil {
				f.transport.Close()
			}
		}
	}
}

// connections returns how many connections to servers of routes are open.
func (r *router) connections() int {
	n := 0
	for _, rt := range r.routeTable.Load().routes {
		for _, f := range rt.forwarders {
			if f.transport != nil {
				_, streams := f.transport.Open()
				n += streams
			}
		}
	}
	return n
}

// knownServers returns how many servers something is known about.
func (r *router) knownServers() int {
	table := r.routeTable.Load()
	n := table.iteration.infra.Len()
	for _, rt := range table.routes {
		if rt.view != nil {
			n += rt.view.infra.Len()
		}
	}
	return n
}
