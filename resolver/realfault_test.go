package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/resolver"
)

const (
	// faultOrigin is the zone that is asked about.
	faultOrigin = "shop.example."
	// faultAskers ask for it all the time, each a name every faultPause.
	faultAskers = 2
	faultPause  = 10 * time.Millisecond
	// recoverWithin is the longest that a name may stay without an answer once the servers
	// are back: a server that was silent is tried again by the next question, but a name that
	// failed is left alone for 5 s (RFC 9520), and for 10 s and 20 s if it fails again. The
	// rest is for busy machines. It bounds a wait and is no measure.
	recoverWithin = 120 * time.Second
)

// faultWorld is a signed root, a signed zone below it on real servers, and questions about
// the zone that are asked all the time.
type faultWorld struct {
	*testing.T
	router  *realserver.Router
	r       *resolver.Resolver
	rootKey zoneKey
	root    *realserver.Server
	addrs   []string // of the zone's servers
	begin   func()   // begins the questions that are asked all the time

	// seen is for each name the newest version that was returned as its address; the last
	// one is that of "odd".
	seen   [faultNames + 1]atomic.Int64
	newest atomic.Int64 // version that is, or may be, served
	counts struct{ answered, failed, bogus atomic.Int64 }
}

// inFaultWorld plays in a world in which nothing is served yet, and ends the questions
// after that.
func inFaultWorld(t *testing.T, addrs []string, play func(w *faultWorld)) {
	t.Helper()
	w := &faultWorld{T: t, rootKey: newZoneKey(t, "."), addrs: addrs}
	anchors, err := dnssec.ParseAnchors(strings.NewReader(w.rootKey.ds()))
	if err != nil {
		t.Fatal(err)
	}
	w.router = realserver.NewRouter(netip.MustParseAddrPort("127.0.0.1:9")) // discard
	w.r = newRealResolver(t, resolver.Options{
		RootHints: &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{{
			Name: dnsname.MustParse("ns."), Bailiwick: glue.InDomain, Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.1")},
		}}},
		TrustAnchors: anchors, Dial: w.router.Dial,
		AllowServer:       func(netip.Addr) bool { return true },
		DisableLocalZones: true, // example. is one
	})
	ctx, stop := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer stop()
	w.begin = func() {
		for range faultAskers {
			asking.Go(func() { w.askOn(ctx) })
		}
	}
	play(w)
	s := w.r.Stats()
	t.Logf("%d questions answered, %d failed, %d of them bogus; sent %d over UDP, %d over TCP",
		w.counts.answered.Load(), w.counts.failed.Load(), w.counts.bogus.Load(), s.SentUDP, s.SentTCP)
}

// serveRoot puts a root zone in the place of the last one, with these keys of the zone.
func (w *faultWorld) serveRoot(children ...zoneKey) {
	w.Helper()
	before := w.root
	w.root = realserver.Start(w.T, realserver.NSD,
		realserver.Zone{Origin: ".", Text: faultRoot(w.T, w.rootKey, faultOrigin, w.addrs, children...)})
	w.router.Route(w.root.Addr(), netip.MustParseAddr("198.18.0.1"))
	if before != nil {
		before.Stop()
	}
}

// serve starts a server with a version of the zone at one of its addresses.
func (w *faultWorld) serve(product realserver.Product, addr string, version int, keys ...zoneKey) *realserver.Server {
	w.Helper()
	w.newest.Store(max(w.newest.Load(), int64(version)))
	s := realserver.Start(w.T, product,
		realserver.Zone{Origin: faultOrigin, Text: faultZone(w.T, faultOrigin, version, w.addrs, keys...)})
	w.router.Route(s.Addr(), netip.MustParseAddr(addr))
	return s
}

// askOn asks for one name after the other.
func (w *faultWorld) askOn(ctx context.Context) {
	for ctx.Err() == nil {
		w.ask(ctx, rand.IntN(faultNames+1))
		time.Sleep(faultPause)
	}
}

// ask asks for a name and checks whether the answer can be right: secure, of a version that
// is served, and never older than an answer before the question. It reports whether there
// was an answer.
func (w *faultWorld) ask(ctx context.Context, i int) bool {
	name := fmt.Sprintf("n%d.%s", i, faultOrigin)
	if i == faultNames {
		name = "odd." + faultOrigin
	}
	before := w.seen[i].Load()
	result, err := w.r.Resolve(ctx, name, dns.TypeA)
	if err != nil {
		w.noteFailure(ctx, err)
		return false
	}
	w.counts.answered.Add(1)
	version, err := w.judge(i, result)
	switch {
	case err != nil:
		w.Errorf("%s: %v", name, err)
	case int64(version) < before:
		w.Errorf("%s: got version %d, but %d had been returned before", name, version, before)
	default:
		for old := w.seen[i].Load(); old < int64(version) && !w.seen[i].CompareAndSwap(old, int64(version)); {
			old = w.seen[i].Load()
		}
	}
	return true
}

func (w *faultWorld) noteFailure(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // the end of the test
	}
	w.counts.failed.Add(1)
	var e *resolver.Error
	if errors.As(err, &e) && e.Status == dnssec.Bogus {
		w.counts.bogus.Add(1)
	}
}

// judge returns the version that an answer is of. The one that has no "odd" is the second.
func (w *faultWorld) judge(i int, result *resolver.Result) (version int, err error) {
	if result.Status != dnssec.Secure {
		return 0, fmt.Errorf("got %v of a signed zone", result.Status)
	}
	if result.TTL > faultTTL*time.Second {
		return 0, fmt.Errorf("may be kept for %v, want at most %d s", result.TTL, faultTTL)
	}
	if result.Rcode == dns.RcodeNameError && i == faultNames && w.newest.Load() >= 2 {
		return 2, nil
	}
	found := 0
	for _, rr := range result.Answer {
		a, ok := rr.(*dns.A)
		if !ok {
			continue
		}
		if version, ok = versionOf(a); !ok || version < 1 || int64(version) > w.newest.Load() {
			return 0, fmt.Errorf("got %v, want version 1 to %d", a, w.newest.Load())
		}
		found++
	}
	if found != 1 || result.Rcode != dns.RcodeSuccess {
		return 0, fmt.Errorf("got %s %q, want one address", dns.RcodeToString[result.Rcode], brief(result.Answer))
	}
	return version, nil
}

// awaitVersion waits until every name is answered with a version. It says how long that
// took, and how many of the questions failed meanwhile.
func (w *faultWorld) awaitVersion(what string, version int) {
	w.Helper()
	start, failed := time.Now(), w.counts.failed.Load()
	for i := range faultNames {
		for w.seen[i].Load() != int64(version) {
			if time.Since(start) > recoverWithin {
				w.Fatalf("%s: n%d has version %d after %v, want %d", what, i, w.seen[i].Load(), recoverWithin, version)
			}
			if !w.ask(w.Context(), i) {
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
	w.Logf("%s: all names have version %d after %v, %d questions failed meanwhile",
		what, version, time.Since(start).Round(time.Millisecond), w.counts.failed.Load()-failed)
}

// awaitFailures waits until questions fail: the cache has run out.
func (w *faultWorld) awaitFailures(what string) {
	w.Helper()
	start, before := time.Now(), w.counts.failed.Load()
	for w.counts.failed.Load() < before+faultAskers {
		if time.Since(start) > recoverWithin {
			w.Fatalf("%s: no question has failed after %v", what, recoverWithin)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// awaitAnswers waits until every name has been answered once more.
func (w *faultWorld) awaitAnswers(what string) {
	w.Helper()
	start := time.Now()
	for i := range faultNames + 1 {
		for !w.ask(w.Context(), i) {
			if time.Since(start) > recoverWithin {
				w.Fatalf("%s: name %d is not answered after %v", what, i, recoverWithin)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	w.Logf("%s: all names are answered after %v", what, time.Since(start).Round(time.Millisecond))
}

// untilOld waits until nothing that was said before is in a cache any more.
func untilOld() { time.Sleep((faultTTL + 1) * time.Second) }

// TestRealFaults: the only server of a zone is stopped and goes on, is killed and comes back
// with another zone, or has other keys from one moment to the next with those before in the
// cache, while names are asked for.
func TestRealFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for real servers; TestRollovers and TestSimulation have the faults in memory")
	}
	t.Parallel()
	const addr = "198.51.100.1"
	for _, test := range []struct {
		product realserver.Product
		play    func(w *faultWorld, server *realserver.Server, key zoneKey)
	}{
		{realserver.NSD, func(w *faultWorld, server *realserver.Server, key zoneKey) {
			server.Pause(w.T)
			w.awaitFailures("paused")
			server.Resume(w.T)
			w.awaitAnswers("resumed")
			server.Kill()
			w.serve(realserver.NSD, addr, 2, key)
			w.awaitVersion("restarted with another zone", 2)
		}},
		{realserver.Knot, func(w *faultWorld, server *realserver.Server, key zoneKey) {
			server.Kill()
			w.awaitFailures("killed")
			server = w.serve(realserver.Knot, addr, 2, key)
			w.awaitVersion("restarted with another zone", 2)
			other := newZoneKey(w.T, faultOrigin)
			w.serve(realserver.Knot, addr, 3, other)
			server.Kill()
			w.serveRoot(other)
			w.awaitVersion("other keys at once", 3)
		}},
	} {
		t.Run(test.product.String(), func(t *testing.T) {
			t.Parallel()
			realserver.Need(t, realserver.NSD, test.product)
			inFaultWorld(t, []string{addr}, func(w *faultWorld) {
				key := newZoneKey(t, faultOrigin)
				w.serveRoot(key)
				server := w.serve(test.product, addr, 1, key)
				w.begin()
				w.awaitVersion("start", 1)
				test.play(w, server, key)
			})
		})
	}
}

// TestRealRollover: the keys of a zone with two servers, of two makers, are rolled as
// RFC 6781 §4.1.2 says, one server after the other, one of which is killed on the way. No
// answer is ever bogus.
func TestRealRollover(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until TTLs of real servers have passed; TestRollovers has them in memory")
	}
	realserver.Need(t, realserver.NSD, realserver.Knot)
	t.Parallel()
	addrs := []string{"198.51.100.1", "198.51.100.17"}
	inFaultWorld(t, addrs, func(w *faultWorld) {
		first, second := newZoneKey(t, faultOrigin), newZoneKey(t, faultOrigin)
		w.serveRoot(first)
		servers := []*realserver.Server{
			w.serve(realserver.NSD, addrs[0], 1, first), w.serve(realserver.Knot, addrs[1], 1, first),
		}
		w.begin()
		w.awaitVersion("start", 1)
		replace := func(i, version int, keys ...zoneKey) {
			before := servers[i]
			servers[i] = w.serve(before.Product(), addrs[i], version, keys...)
			before.Kill()
		}

		servers[0].Kill()
		w.awaitAnswers("one of two killed")
		servers[0] = w.serve(realserver.NSD, addrs[0], 1, first)

		w.serveRoot(first, second)
		for i := range servers {
			replace(i, 1, first, second)
		}
		untilOld()
		for i := range servers {
			replace(i, 1, second)
		}
		untilOld()
		w.serveRoot(second)
		untilOld()
		w.awaitAnswers("rolled")
		if got := w.counts.bogus.Load(); got != 0 {
			t.Errorf("%d answers were bogus in a rollover by the book", got)
		}
	})
}
