package resolvertest

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scenario"
)

// TB is the part of testing.TB that an Internet needs. Programs that have no test
// give their own, or nil: then what would fail a test panics.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Internet is a DNS of its own: zones, the servers that serve them, what is
// wrong with these, and a log of the queries they got. Its methods may be called
// concurrently.
type Internet struct {
	t    TB // may be nil
	seed uint64
	log  queryLog

	failUnmocked bool

	mu        sync.RWMutex
	sources   map[dnsname.Name]scenario.Section // zones as written
	zones     map[dnsname.Name]*zone            // those and the derived ones
	servers   map[netip.Addr]*server
	rules     []rule
	middlebox *server       // not nil: answers in everybody's place
	ahead     time.Duration // how far Now runs ahead of the clock
	listeners *listeners
	closed    bool
}

// rule is a fault and whom it is for.
type rule struct {
	target target
	fault  Fault
}

// Option changes how an Internet is made.
type Option func(*Internet)

// Seed sets the seed of all chances; without it the seed is 1, so that runs
// repeat.
func Seed(seed uint64) Option { return func(in *Internet) { in.seed = seed } }

// FailUnmocked makes a question for a name outside all written zones an error of
// the test. Without it such names do not exist. See also Unmocked.
func FailUnmocked() Option { return func(in *Internet) { in.failUnmocked = true } }

// New makes an Internet of a text, whose form the package comment describes. A
// text with errors fails the test. The Internet is closed at the test's cleanup.
func New(t TB, text string, opts ...Option) *Internet {
	if t != nil {
		t.Helper()
	}
	in := newInternet(t, opts)
	in.must(in.Update(text))
	if t != nil {
		t.Cleanup(in.Close)
	}
	return in
}

// NewInternet is New for programs that want an error. They call Close.
func NewInternet(text string, opts ...Option) (*Internet, error) {
	in := newInternet(nil, opts)
	if err := in.Update(text); err != nil {
		return nil, err
	}
	return in, nil
}

func newInternet(t TB, opts []Option) *Internet {
	in := &Internet{
		t:       t,
		seed:    1,
		sources: make(map[dnsname.Name]scenario.Section),
		servers: make(map[netip.Addr]*server),
	}
	for _, option := range opts {
		option(in)
	}
	return in
}

// must fails the test, or panics where there is none: the text and the arguments
// are the programmer's own.
func (in *Internet) must(err error) {
	if err == nil {
		return
	}
	if in.t == nil {
		panic("resolvertest: " + err.Error())
	}
	in.t.Helper()
	in.t.Fatalf("resolvertest: %v", err)
}

// Close stops the sockets that Listen opened and waits for their goroutines.
// Connections that are still open get no more answers.
func (in *Internet) Close() {
	in.mu.Lock()
	in.closed = true
	l := in.listeners
	in.listeners = nil
	in.mu.Unlock()
	l.close()
}

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
	if other, ok := written[h.Origin]; ok {
		return s.Errorf(s.Line, "the zone is there already, at line %d of %q", other.Line, other.File)
	}
	if old, ok := sources[h.Origin]; ok && len(h.Addrs) == 0 {
		s.Args = append(slices.Clone(s.Args), addressWords(old)...)
	}
	sources[h.Origin], written[h.Origin] = s, s
	return nil
}

// addressWords gives the part of a zone's header that says where it is served.
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
	zones := make(map[dnsname.Name]*zone)
	for origin, s := range sources {
		z, err := parseZone(s)
		if err != nil {
			return err
		}
		zones[origin] = z
	}
	zones, err := derive(zones)
	if err != nil {
		return err
	}
	if err := checkTargets(rules, zones); err != nil {
		return err
	}
	in.sources, in.zones, in.rules = sources, zones, rules
	in.settle()
	if boxed {
		in.middlebox = in.newMiddlebox()
	}
	return nil
}

// settle gives every server its zones and its faults. Servers that were there
// stay, with their chances and counts.
func (in *Internet) settle() {
	for _, s := range in.servers {
		s.zones = nil
	}
	for _, z := range in.zones {
		for _, addr := range z.addrs {
			s := in.serverFor(addr)
			s.zones = append(s.zones, z)
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

// install gives a server the faults that are for it. Those it has already, which
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

// middleboxAddr is the address that the box of an intercept section has in its
// own eyes; nobody sees it.
var middleboxAddr = netip.IPv4Unspecified()

func (in *Internet) newMiddlebox() *server {
	box := in.middlebox
	if box == nil {
		box = newServer(middleboxAddr, in.seed)
		box.recursive = true
	}
	box.zones = nil
	for _, z := range in.zones {
		box.zones = append(box.zones, z)
	}
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

// Now is the time of this Internet: the clock's, and what Advance has added.
func (in *Internet) Now() time.Time {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return time.Now().Add(in.ahead)
}

// Advance makes Now run ahead, so that what a resolver has cached grows old
// without waiting. Inside testing/synctest time.Sleep does it better.
func (in *Internet) Advance(d time.Duration) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.ahead += d
}

// Servers gives the addresses of the servers of a zone, or all there are if zone
// is "", in ascending order.
func (in *Internet) Servers(zone string) []netip.Addr {
	in.mu.RLock()
	defer in.mu.RUnlock()
	var addrs []netip.Addr
	if zone == "" {
		for addr := range in.servers {
			addrs = append(addrs, addr)
		}
	} else if name, err := dnsname.Parse(zone); err == nil && in.zones[name] != nil {
		addrs = slices.Clone(in.zones[name].addrs)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

// isUnmocked reports whether a name lies outside all written zones: nothing is
// there, and it was a derived zone that said so.
func (in *Internet) isUnmocked(name string) bool {
	asked, err := dnsname.Parse(name)
	if err != nil {
		return false
	}
	in.mu.RLock()
	defer in.mu.RUnlock()
	z, ok := in.zones[asked]
	if !ok {
		z = parentOf(in.zones, asked)
	}
	return z != nil && z.derived && z.find(asked, dns.TypeA).kind == missing
}

// Unmocked gives the names that were asked for and lie outside all written zones,
// each once, in the order they came.
func (in *Internet) Unmocked() []string {
	var names []string
	for _, q := range in.Log(func(q Query) bool { return q.Unmocked }) {
		if name := strings.ToLower(q.Name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

var errNoSuchZone = errors.New("no such zone")

// checkTargets finds faults for zones that are not there.
func checkTargets(rules []rule, zones map[dnsname.Name]*zone) error {
	for _, r := range rules {
		if name := r.target.zone; name != "" && zones[name] == nil {
			return fmt.Errorf("fault for %s: %w", name, errNoSuchZone)
		}
	}
	return nil
}
