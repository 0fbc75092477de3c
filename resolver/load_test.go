package resolver_test

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// The numbers of attacks.md take minutes; -loadnames 1000000 and -loadquestions 10000
// bring them.
var (
	loadNames     = flag.Int("loadnames", 500, "random names that TestLoadRandomNames asks for")
	loadQuestions = flag.Int("loadquestions", 200, "questions that the load tests have under way")
)

const (
	// goroutinesPerQuestion is the most that one question has under way: its caller, its
	// flight, that of the question to a zone, queries to two servers, and a look-up of a
	// name server's address with its flight.
	goroutinesPerQuestion = 7
	// heapPerQuestion is the most memory that one question holds, the buffers of its
	// sockets included.
	heapPerQuestion = 64 << 10
	// loadCache is how many bytes the caches of these tests may hold.
	loadCache = 8 << 20
	// loadSlack is for what does not grow with the load: the few goroutines and
	// descriptors of the test, and memory that is not yet reused.
	loadSlack     = 50
	loadHeapSlack = 16 << 20
)

// load is a resolver on real sockets, what it uses of its process, and its bounds.
type load struct {
	*testing.T
	in     *resolvertest.Internet
	r      *resolver.Resolver
	limits resolver.Limits

	before usage
	peak   usage // guarded by watching
}

// usage is what a process holds.
type usage struct {
	files, goroutines, sockets, connections int
	heap                                    uint64
}

func (u usage) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, heap %.1f MiB, %d UDP sockets, %d connections",
		u.files, u.goroutines, float64(u.heap)/(1<<20), u.sockets, u.connections)
}

// underLoad plays an attack, and asks for other names at the same time until there are
// enough answers; then the process must be as before.
func underLoad(t *testing.T, text string, limits resolver.Limits, attack func(l *load, going func() bool), others func(i int) (string, uint16)) {
	in := resolvertest.New(t, text+`
-- zone shop.example. at 198.51.100.200 --
*.cold   A     192.0.2.80
hot      A     192.0.2.81
`+"*.big    TXT   "+strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 8)+"\n")
	if err := in.Listen(); err != nil {
		t.Fatal(err)
	}
	l := &load{T: t, in: in, limits: limits, before: usageNow(t)}
	o := in.Options()
	o.Dial, o.Limits, o.Family = in.LoopbackDial, limits, resolver.FamilyIPv4Only
	o.Cache = cache.New(cache.Options{MaxBytes: loadCache})
	var err error
	if l.r, err = resolver.New(o); err != nil {
		t.Fatal(err)
	}
	stopWatching := l.watch()
	var done atomic.Bool
	var attacking sync.WaitGroup
	attacking.Go(func() { attack(l, func() bool { return !done.Load() }) })
	answered := l.askOthers(others)
	done.Store(true)
	attacking.Wait()
	stopWatching()
	t.Logf("%d other names were answered; %s", answered, l.figures())
	l.checkPeak()
	if err := l.r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	l.checkEnd()
}

func usageNow(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{files: openFiles(t), goroutines: runtime.NumGoroutine(), heap: m.HeapAlloc}
}

// watch notes the peaks until it is told to stop.
func (l *load) watch() (stop func()) {
	const every, heapEvery = 5 * time.Millisecond, 100
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-over:
				return
			case <-time.After(every):
			}
			l.in.ResetLog() // else the servers' log would be what grows
			s := l.r.Stats()
			l.peak.files = max(l.peak.files, openFiles(l.T))
			l.peak.goroutines = max(l.peak.goroutines, runtime.NumGoroutine())
			l.peak.sockets, l.peak.connections = max(l.peak.sockets, s.Sockets), max(l.peak.connections, s.Connections)
			if n%heapEvery == 0 {
				l.peak.heap = max(l.peak.heap, usageNow(l.T).heap)
			}
		}
	})
	return func() {
		close(over)
		watching.Wait()
	}
}

// figures returns the figures for the log.
func (l *load) figures() string {
	s := l.r.Stats()
	return fmt.Sprintf("before: %s; peak: %s; %d questions, sent %d over UDP and %d over TCP, failures %v, limits %v",
		l.before, l.peak, s.Questions, s.SentUDP, s.SentTCP, counted(s.Failures), counted(s.Limits))
}

// counted leaves out zeros.
func counted[K ~string](counts map[K]uint64) map[K]uint64 {
	some := make(map[K]uint64)
	for k, n := range counts {
		if n > 0 {
			some[k] = n
		}
	}
	return some
}

// checkPeak compares the peaks with the bounds that follow from the limits. The servers'
// ends of TCP connections, with two goroutines each, are in the same process.
func (l *load) checkPeak() {
	l.Helper()
	p, b, lim := l.peak, l.before, l.limits
	if p.sockets > lim.Sockets || p.connections > lim.Connections {
		l.Errorf("got %d sockets and %d connections, want at most %d and %d", p.sockets, p.connections, lim.Sockets, lim.Connections)
	}
	if want := b.files + lim.Sockets + 2*lim.Connections + loadSlack; p.files > want {
		l.Errorf("got %d descriptors, want at most %d", p.files, want)
	}
	if want := b.goroutines + *loadQuestions + goroutinesPerQuestion*lim.Questions + 4*lim.Connections + loadSlack; p.goroutines > want {
		l.Errorf("got %d goroutines, want at most %d", p.goroutines, want)
	}
	if want := b.heap + loadCache + uint64(lim.Questions+*loadQuestions)*heapPerQuestion + loadHeapSlack; p.heap > want {
		l.Errorf("got %d bytes on the heap, want at most %d", p.heap, want)
	}
}

// checkEnd waits until nothing is left; the servers notice the end of a connection a
// little later.
func (l *load) checkEnd() {
	l.Helper()
	var now usage
	for range 3000 {
		now = usage{files: openFiles(l.T), goroutines: runtime.NumGoroutine()}
		if now.files <= l.before.files && now.goroutines <= l.before.goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	l.Errorf("after Close: got %s, want as before: %s\n%s", now, l.before, stacks[:runtime.Stack(stacks, true)])
}

// others is how many names beside those of the attack are asked for, one after the other.
const others = 10

// askOthers asks for them. A busy machine may lose one that is asked once, so that each
// is asked again a few times; all must be answered, and rightly.
func (l *load) askOthers(other func(i int) (string, uint16)) (answered int) {
	const tries = 40
	for i := range others {
		name, qtype := other(i)
		var err error
		for range tries {
			var result *resolver.Result
			if result, err = l.r.Resolve(l.Context(), name, qtype); err == nil {
				l.checkOther(name, result)
				answered++
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			l.Errorf("%s, asked %d times during the attack: %v", name, tries, err)
			return answered
		}
	}
	return answered
}

func (l *load) checkOther(name string, result *resolver.Result) {
	want := name + " A 192.0.2.80"
	if strings.HasPrefix(name, "hot.") {
		want = name + " A 192.0.2.81"
	}
	got := brief(result.Answer)
	if result.Question.Qtype == dns.TypeTXT {
		if len(got) != 1 || len(got[0]) < 2000 {
			l.Errorf("%s: got %q, want its long text", name, got)
		}
		return
	}
	if !slices.Equal(got, []string{want}) {
		l.Errorf("%s: got %q, want %q", name, got, want)
	}
}

// coldAndHot asks for a new name and for one in the cache by turns.
func coldAndHot(i int) (string, uint16) {
	if i%2 == 0 {
		return "hot.shop.example.", dns.TypeA
	}
	return fmt.Sprintf("n%d.cold.shop.example.", i), dns.TypeA
}

// inParallel has n goroutines call ask with one number after the other, while going allows
// it.
func inParallel(n int, going func(i int64) bool, ask func(i int64)) {
	var next atomic.Int64
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			for i := next.Add(1); going(i); i = next.Add(1) {
				ask(i)
			}
		})
	}
	running.Wait()
}

// wantFailure asks a question that can only fail.
func (l *load) wantFailure(ctx context.Context, name string, qtype uint16) {
	if result, err := l.r.Resolve(ctx, name, qtype); err == nil {
		l.Errorf("%s: got %v of silent servers", name, result.Answer)
	}
}

// TestLoadRandomNames: a flood of random names below a zone whose servers are silent
// (attacks.md 24).
func TestLoadRandomNames(t *testing.T) {
	limits := resolver.Limits{Questions: *loadQuestions / 2, Sockets: 200, Connections: 20}
	underLoad(t, `
-- zone dead.example. at 198.51.100.4 198.51.100.5 --
-- fault dead.example. --
drop
`, limits, func(l *load, going func() bool) {
		inParallel(*loadQuestions, func(i int64) bool { return i <= int64(*loadNames) || going() }, func(i int64) {
			l.wantFailure(l.Context(), fmt.Sprintf("x%d.dead.example.", i), dns.TypeA)
		})
		// Servers that are marked down are tried by one query at a time, however many names
		// there are. A socket for each question would be some thousand more.
		if s := l.r.Stats(); s.TimedOut > s.Questions/2 {
			l.Errorf("%d queries were lost on %d questions, want far fewer: servers that are marked down were asked", s.TimedOut, s.Questions)
		}
	}, coldAndHot)
}

// TestLoadSilentServers: many questions under way at once, for many zones with silent
// servers (attacks.md 22).
func TestLoadSilentServers(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for silent servers; TestLoadRandomNames has some")
	}
	const zones = 50
	var world strings.Builder
	for i := range zones {
		fmt.Fprintf(&world, "-- zone s%d.example. at 198.51.100.%d --\n-- fault s%d.example. --\ndrop\n", i, 10+i, i)
	}
	limits := resolver.Limits{Questions: *loadQuestions, Sockets: 200, Connections: 20}
	underLoad(t, world.String(), limits, func(l *load, going func() bool) {
		inParallel(*loadQuestions, func(i int64) bool { return i <= int64(*loadQuestions) || going() }, func(i int64) {
			l.wantFailure(l.Context(), fmt.Sprintf("x%d.s%d.example.", i, i%zones), dns.TypeA)
		})
	}, coldAndHot)
}

// TestLoadSlowDrip: servers that answer over TCP only, a byte a second (attacks.md 22).
// Other zones' long answers still come over TCP.
func TestLoadSlowDrip(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for slow servers; TestCrowdOverTCP has some in virtual time")
	}
	const zones, servers = 3, 8
	var world strings.Builder
	for i := range zones {
		fmt.Fprintf(&world, "-- zone d%d.example. at", i)
		for j := range servers {
			fmt.Fprintf(&world, " 198.51.100.%d", 10+i*servers+j)
		}
		fmt.Fprintf(&world, " --\n*  A  192.0.2.1\n-- fault d%d.example. --\nwhen udp: truncate\nwhen tcp: drip 1s\n", i)
	}
	limits := resolver.Limits{Questions: *loadQuestions, Sockets: 200, Connections: 20}
	underLoad(t, world.String(), limits, func(l *load, going func() bool) {
		inParallel(*loadQuestions/4, func(int64) bool { return going() }, func(i int64) {
			ctx, cancel := context.WithTimeout(l.Context(), 2*time.Second)
			defer cancel()
			l.wantFailure(ctx, fmt.Sprintf("x%d.d%d.example.", i, i%zones), dns.TypeA)
		})
	}, func(i int) (string, uint16) {
		return fmt.Sprintf("n%d.big.shop.example.", i), dns.TypeTXT
	})
}
