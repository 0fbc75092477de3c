//go:build unix

package rediscache_test

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/examples/rediscache"
	"github.com/iterdns/iterdns/internal/secondlevel"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// burst has so many clients at once ask for names, each once, and waits for pace after each.
func (f *fleet) burst(r *resolver.Resolver, clients, names int, pace func(n int)) {
	f.Helper()
	var asked atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for n := int(asked.Add(1)); n <= names; n = int(asked.Add(1)) {
				name := fmt.Sprintf("n%d.plain.test.", n)
				if _, err := r.Resolve(f.Context(), name, dns.TypeA); err != nil {
					f.Errorf("%s: %v", name, err)
				}
				pace(n)
			}
		})
	}
	all.Wait()
}

// ticks is the time of the processors so far, in a unit of the system's, and of this process.
type ticks struct {
	busy, all float64
	own       time.Duration
	at        time.Time
}

// readTicks returns zero ticks where the system does not tell.
func readTicks() (now ticks) {
	now.at = time.Now()
	text, err := os.ReadFile("/proc/stat")
	var usage syscall.Rusage
	if err != nil || syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return now
	}
	now.own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line)[1:] {
		n, _ := strconv.ParseFloat(field, 64)
		switch i {
		case 0, 1, 2, 7: // user, nice, system, and what another machine on the same host took
			now.busy += n
			now.all += n
		case 3, 4, 5, 6: // idle, and interrupts, which are ours as well as others'
			now.all += n
		}
	}
	return now
}

// others returns the share of the processors' time that other processes have had since then.
func (since ticks) others() float64 {
	now := readTicks()
	if now.all <= since.all {
		return 0
	}
	own := float64(now.own-since.own) / float64(now.at.Sub(since.at)) / float64(runtime.NumCPU())
	return (now.busy-since.busy)/(now.all-since.all) - own
}

// A new replica that meets a burst finds in the store what others have learnt: its own load
// does not make it believe that the store is dead. What else a machine is busy with may do so:
// another replica tries, and a failure counts only if other processes, of which the store is
// one that needs a tenth, had a quarter of the processors at most.
func TestBurstHits(t *testing.T) {
	const names, maxFailures, maxOthers = 4000, 5, 0.25
	f := &fleet{t, resolvertest.New(t, internet), startServer(t)}
	first := f.replica()
	// What a busy machine is too late to write is not written again: those that miss it write it.
	settled := func() uint64 {
		s := first.SecondLevelStats()
		return s.Writes + s.WriteErrors + s.Dropped
	}
	f.burst(first, 4, names, func(n int) {
		const queue = 256 // no more waits to be written than fits in
		for settled()+queue < uint64(n) {
			time.Sleep(time.Millisecond)
		}
	})
	eventually(t, "all is written, or never will be", func() bool { return settled() >= names })
	failures := 0
	isGood := func(clients int) bool {
		r := f.replica()
		defer r.Close()
		begin := readTicks()
		f.burst(r, clients, names, func(int) {})
		stats, others := r.SecondLevelStats(), begin.others()
		t.Logf("%d at once: %+v in %v, %.2f of the processors for others", clients, stats, time.Since(begin.at), others)
		if stats.Hits >= names*95/100 {
			return true
		}
		if others <= maxOthers {
			failures++
		}
		return false
	}
	over := time.Now().Add(patience)
	for _, clients := range []int{10, 60, 200, 500} {
		for failures = 0; !isGood(clients); {
			switch {
			case failures == maxFailures:
				t.Fatalf("with %d at once fewer than 95 in 100 are hits, %d times", clients, failures)
			case time.Now().After(over):
				t.Logf("with %d at once: this machine is too busy to tell", clients)
				return
			}
		}
	}
}

// The pool fits what a resolver does at a time.
func TestPoolFits(t *testing.T) {
	if got, want := rediscache.Options("192.0.2.6:6379").PoolSize, secondlevel.MaxReads+1+secondlevel.Writers; got != want {
		t.Errorf("got %d connections, want %d", got, want)
	}
}
