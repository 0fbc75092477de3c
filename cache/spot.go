package cache

import "github.com/iterdns/iterdns/internal/dnsname"

// spot is a name in a view, hashed once for all that is looked for there.
type spot struct {
	hash uint64 // of the name
	held
}

// spot looks what there may be at a name.
func (v *View) spot(name dnsname.Name) spot { return v.look(v.hashed(name)) }

// hashed is spot without a look, at which anything may be: for what is there more often than
// not, so that the look would be for nothing.
func (v *View) hashed(name dnsname.Name) spot { return spot{v.cache.hasher.name(name), anything} }

func (v *View) look(s spot) spot { return spot{s.hash, v.cache.presence.at(s.hash, v.id)} }

// at is hash of a key with the name of a spot.
func (h *hasher) at(s spot, k *key) uint64 { return s.hash ^ h.rest(k) }

// path is a name and the names above it, up to the root, each of which is looked at once. All
// that is looked for on the way is looked for as of then.
type path struct {
	view  *View
	name  dnsname.Name
	known int // of spots
	spots [pathLength]spot

	cut     *cutEntry // the deepest delegation at or above name; nil: none is alive
	cutSeen bool      // it has been looked for
}

// pathLength is how many spots are kept: enough for the reverse name of an IPv6 address. Those
// of longer names are looked at each time.
const pathLength = 35

// at returns the spot of the name that is steps above the first one.
func (p *path) at(steps int, name dnsname.Name) spot {
	if steps < p.known {
		return p.spots[steps]
	}
	s := p.view.spot(name)
	if steps == p.known && steps < pathLength {
		p.spots[steps] = s
		p.known++
	}
	return s
}

// deepest returns the deepest delegation at or above the name that is steps above the first
// one; nil if none is alive.
func (p *path) deepest(i instant, steps int, name dnsname.Name) *cutEntry {
	if p.cutSeen && (steps == 0 || p.cut == nil || len(p.cut.name) <= len(name)) {
		return p.cut
	}
	e := p.searchCut(i, steps, name)
	p.cut, p.cutSeen = e, steps == 0
	return e
}

func (p *path) searchCut(i instant, steps int, name dnsname.Name) *cutEntry {
	for ; ; steps++ {
		if s := p.at(steps, name); s.may(markCut) {
			if e := p.view.cutEntryAt(s, p.view.cutKey(name)); e != nil && e.left(i) > 0 {
				return e
			}
		}
		if name.IsRoot() || name == "" {
			return nil
		}
		name = name.Parent()
	}
}
