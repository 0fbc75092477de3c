package routes

import (
	"errors"
	"maps"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// The reasons why a fallback makes no sense.
var (
	errFallbackZone = errors.New("not a route for all names: want the zone \".\"")
	errFallbackKind = errors.New("not recursive servers, which alone know all names")
	errUnsigned     = errors.New("its answers have to be validated")
	errRootRoute    = errors.New("never used beside a route for \".\"")
)

// buildFallback builds the fallback, and the table as it is while that is used: it has the place of a
// route for the root.
func (m *routeTableBuilder) buildFallback(validator *dnssec.Validator) error {
	given := m.table.givenFallback
	if given == nil {
		return nil
	}
	rt, err := m.fallback(*given)
	if err != nil {
		return &OptionError{"Fallback", err}
	}
	rt.isFallback = true
	rt.View = m.view(rt, validator)
	m.table.Fallback = rt
	if rt.watch != nil {
		m.table.watched = append(m.table.watched, rt.watch)
	}
	under := *m.table
	under.Routes = maps.Clone(m.table.Routes)
	under.Routes[dnsname.Root] = rt
	m.table.underFallback = &under
	return nil
}

func (m *routeTableBuilder) fallback(given Spec) (*Route, error) {
	_, forRoot := m.table.Routes[dnsname.Root]
	switch {
	case given.Zone != "" && given.Zone != ".":
		return nil, errFallbackZone
	case given.Kind != Forward:
		return nil, errFallbackKind
	case given.Unsigned:
		return nil, errUnsigned
	case forRoot:
		return nil, errRootRoute
	}
	given.Zone = "."
	return m.route(given)
}

// All yields all routes, the fallback too.
func (rt *Table) All(yield func(*Route) bool) {
	for _, route := range rt.Routes {
		if !yield(route) {
			return
		}
	}
	if rt.Fallback != nil {
		yield(rt.Fallback)
	}
}

// HasServers reports whether there are routes, whose servers may lead back to us.
func (rt *Table) HasServers() bool { return len(rt.Routes) > 0 || rt.Fallback != nil }

// While returns the table as it is while the fallback is used, if it is.
func (rt *Table) While(fallback bool) *Table {
	if fallback && rt.underFallback != nil {
		return rt.underFallback
	}
	return rt
}
