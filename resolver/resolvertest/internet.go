package resolvertest

import (
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
// pass one of their own, or nil: then what would fail a test panics.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Internet is a simulated DNS: zones, the servers that serve them, their faults,
// and a log of the queries that they received. Its methods may be called concurrently.
type Internet struct {
	t    TB // may be nil
	seed uint64
	log  queryLog

	failUnmocked bool

	mu        sync.RWMutex
	sources   map[dnsname.Name]scenario.Section // zones as written
	zones     zoneSet                           // those and the derived ones
	servers   map[netip.Addr]*server
	rules     []rule
	middlebox *server       // not nil: answers in everybody's place
	ahead     time.Duration // how far Now runs ahead of the clock
	handlers  map[netip.Addr]dns.Handler
	listeners *listeners
	closed    bool
}

// Option changes how an Internet is made.
type Option func(*Internet)

// Seed sets the seed of everything random; without it the seed is 1, so that runs
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

// Now returns the time of this Internet: the clock's, plus what Advance has added.
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

// Servers returns the addresses of the servers of a zone, or all there are if zone
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
	return in.zones.isUnmocked(asked)
}

// isUnmocked reports whether a name lies outside all written zones and the delegations to
// them.
func (zs zoneSet) isUnmocked(name dnsname.Name) bool {
	z := zs.nearest(name)
	return z != nil && z.derived && z.find(name, dns.TypeA).kind == missing
}

// Unmocked returns the names that were asked for and lie outside all written zones,
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
