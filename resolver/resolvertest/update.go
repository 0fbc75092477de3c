package resolvertest

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scenario"
)

// Update changes a running Internet by a text like New's. A zone in it takes the
// place of the one with the same name; without "at" in its header it stays at its
// addresses. Faults are added to those that are there. On an error nothing has
// changed.
func (in *Internet) Update(text string) error {
	_, sections, err := scenario.Split(text)
	if err != nil {
		return err
	}
	return in.apply(sections)
}

// apply takes sections in.
func (in *Internet) apply(sections []scenario.Section) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	sources := maps.Clone(in.sources)
	written := make(map[dnsname.Name]scenario.Section)
	rules := slices.Clone(in.rules)
	boxed := in.middlebox != nil
	for _, s := range sections {
		var added []rule
		var err error
		switch s.Kind {
		case "zone":
			err = addSource(sources, written, s)
		case "fault":
			added, err = parseFaults(s)
		case "intercept":
			added, err = parseIntercept(s)
			boxed = true
		default:
			err = s.Errorf(s.Line, "unknown kind of section; there are zone, fault and intercept")
		}
		if err != nil {
			return err
		}
		rules = append(rules, added...)
	}
	return in.rebuild(sources, rules, boxed)
}

// addSource puts a zone section in the place of an older one of the same name.
// written has those of the same text, which must not name a zone twice.
func addSource(sources, written map[dnsname.Name]scenario.Section, s scenario.Section) error {
	h, err := scenario.ParseZoneHeader(s)
	if err != nil {
		return err
	}
	if h.Origin.IsAtOrBelow(onion) {
		return s.Errorf(s.Line, "names below onion. are never looked up (RFC 7686 §2)")
	}
	if other, ok := written[h.Origin]; ok {
		return s.Errorf(s.Line, "zone %s is there already, at %s: want each zone once", h.Origin, other.Place())
	}
	if old, ok := sources[h.Origin]; ok && len(h.Addrs) == 0 {
		s.Args = append(slices.Clone(s.Args), addressWords(old)...)
	}
	sources[h.Origin], written[h.Origin] = s, s
	return nil
}

// addressWords returns the part of a zone's header that says where it is served.
func addressWords(s scenario.Section) []string {
	h, err := scenario.ParseZoneHeader(s)
	if err != nil || len(h.Addrs) == 0 {
		return nil
	}
	words := []string{"at"}
	for _, addr := range h.Addrs {
		words = append(words, addr.String())
	}
	return words
}

// rebuild makes zones and servers anew. The caller holds mu.
func (in *Internet) rebuild(sources map[dnsname.Name]scenario.Section, rules []rule, boxed bool) error {
	zones := make(zoneSet)
	for _, origin := range slices.SortedFunc(maps.Keys(sources), dnsname.Compare) {
		z, err := parseZone(sources[origin])
		if err != nil {
			return err
		}
		zones[origin] = z
	}
	if err := derive(zones, in.zones, time.Now().Add(in.ahead)); err != nil {
		return err
	}
	if err := checkTargets(rules, zones); err != nil {
		return err
	}
	if err := checkNames(rules[len(in.rules):], zones); err != nil {
		return err
	}
	in.sources, in.zones, in.rules = sources, zones, rules
	in.settle()
	if boxed {
		in.middlebox = in.newMiddlebox()
	}
	return nil
}

// settle installs the zones and faults of every server. Servers that were there
// stay, with their chances and counts.
func (in *Internet) settle() {
	for _, s := range in.servers {
		s.zones = nil
	}
	for _, z := range in.zones {
		for _, addr := range z.addrs {
			s := in.serverFor(addr)
			if s.zones == nil {
				s.zones = make(zoneSet)
			}
			s.zones[z.origin] = z.at(addr)
		}
	}
	for _, r := range in.rules {
		if addr, ok := r.target.single(); ok {
			in.serverFor(addr)
		}
	}
	for _, s := range in.servers {
		in.install(s)
	}
}

func (in *Internet) serverFor(addr netip.Addr) *server {
	s, ok := in.servers[addr]
	if !ok {
		s = newServer(addr, in.seed)
		in.servers[addr] = s
	}
	return s
}

// install installs the faults that are for a server. Those it has already, which
// are the first ones, keep their counts.
func (in *Internet) install(s *server) {
	var faults []*installedFault
	for i, r := range in.rules {
		if !r.target.includes(s, in.zones) {
			continue
		}
		if r.fault.mends {
			faults = nil
			continue
		}
		faults = append(faults, s.installed(i, r.fault))
	}
	s.faults = faults
}

// middleboxAddr stands for the address of the box of an intercept section; no
// client sees it.
var middleboxAddr = netip.IPv4Unspecified()

func (in *Internet) newMiddlebox() *server {
	box := in.middlebox
	if box == nil {
		box = newServer(middleboxAddr, in.seed)
		box.recursive = true
	}
	box.zones = in.zones
	in.install(box)
	return box
}

// Fault adds faults to servers. target is an address, a prefix such as "::/0", the
// name of a zone (all its servers), or "*" (all servers). An address that serves
// no zone becomes that of a server by it, which refuses what the faults do not
// answer. Arguments that make no sense fail the test.
func (in *Internet) Fault(target string, faults ...Fault) {
	if in.t != nil {
		in.t.Helper()
	}
	in.must(in.addFaults(target, faults))
}

func (in *Internet) addFaults(target string, faults []Fault) error {
	to, err := parseTarget(target)
	if err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	rules := slices.Clone(in.rules)
	for _, f := range faults {
		if f.err != nil {
			return f.err
		}
		rules = append(rules, rule{target: to, fault: f})
	}
	if err := checkTargets(rules, in.zones); err != nil {
		return err
	}
	if err := checkNames(rules[len(in.rules):], in.zones); err != nil {
		return err
	}
	in.rules = rules
	in.settle()
	if in.middlebox != nil {
		in.middlebox = in.newMiddlebox()
	}
	return nil
}

// Intercept puts a box on the way to all servers that answers in their place, as
// a recursive resolver would: with RA set and AA clear. The faults are the box's.
func (in *Internet) Intercept(faults ...Fault) {
	if in.t != nil {
		in.t.Helper()
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, f := range faults {
		in.must(f.err)
		in.rules = append(in.rules, rule{target: target{box: true}, fault: f})
	}
	in.middlebox = in.newMiddlebox()
}

// rule is a fault and whom it is for.
type rule struct {
	target target
	fault  Fault
	from   scenario.Section // zero: a function call
	line   int              // in it
}

// errorf makes an error about the rule.
func (r *rule) errorf(line int, format string, args ...any) error {
	if r.from.Line == 0 {
		return fmt.Errorf(format, args...)
	}
	return r.from.Errorf(line, format, args...)
}

var errNoSuchZone = errors.New("no such zone")

// checkTargets finds faults for zones that are not there.
func checkTargets(rules []rule, zones zoneSet) error {
	for _, r := range rules {
		if name := r.target.zone; name != "" && zones[name] == nil {
			return r.errorf(r.from.Line, "fault for %s: %w", name, noSuchZone(name, zones))
		}
	}
	return nil
}

// noSuchZone says why a name is none of a zone.
func noSuchZone(name dnsname.Name, zones zoneSet) error {
	if z := zones.nearest(name); z != nil && !z.derived {
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			for _, rr := range z.set(name, rrtype) {
				return fmt.Errorf("%w: that is a host; faults are for servers: want its address, %s, or its zone, %s", errNoSuchZone, rr.String()[len(rr.Header().String()):], z.origin)
			}
		}
	}
	return fmt.Errorf("%w: want an address, a prefix, a zone of this text or *", errNoSuchZone)
}

var errNoSuchName = errors.New("no zone that is written has this name, which is absolute")

// checkNames finds faults at names outside all written zones, which nobody has and no fault
// will ever meet: misspelt ones, and relative ones. A name that a written zone lacks is none,
// since denials have faults too.
func checkNames(rules []rule, zones zoneSet) error {
	for _, r := range rules {
		for _, name := range r.fault.names {
			if zones.isUnmocked(name) {
				return r.errorf(r.line, "fault when name %s: %w%s", name, errNoSuchName, meantName(r.target.zone, name, zones))
			}
		}
	}
	return nil
}

// meantName says which absolute name may be meant by one that is relative to the zone that the
// fault is for, or to the first zone that has it; "" when there is none.
func meantName(at, name dnsname.Name, zones zoneSet) string {
	origins := []dnsname.Name{at}
	if at == "" {
		origins = slices.SortedFunc(maps.Keys(zones), dnsname.Compare)
	}
	for _, origin := range origins {
		meant, err := dnsname.Parse(name.String() + origin.String())
		if z := zones[origin]; err == nil && z != nil && !z.derived && z.nodes[meant] != nil {
			return fmt.Sprintf(": %s?", meant)
		}
	}
	return ""
}
