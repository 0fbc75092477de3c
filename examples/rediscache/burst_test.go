//go:build unix

package rediscache_test

import (
	"fmt"
	"sync"
	"sync/atomic"
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

// A new replica that meets a burst finds in the store what others have learnt: its own load
// does not make it believe that the store is dead. A machine that is busy with other things
// may make it so all the same, and then another replica tries.
func TestBurstHits(t *testing.T) {
	const names = 4000
	f := &fleet{t, resolvertest.New(t, internet), startServer(t)}
	first := f.replica()
	f.burst(first, 4, names, func(n int) {
		const queue = 256 // no more waits to be written than fits in
		for first.SecondLevelStats().Writes+queue < uint64(n) {
			time.Sleep(time.Millisecond)
		}
	})
	eventually(t, "all is written", func() bool { return first.SecondLevelStats().Writes >= names })
	for _, clients := range []int{10, 60, 200, 500} {
		eventually(t, fmt.Sprintf("95 in 100 are hits with %d at once", clients), func() bool {
			r := f.replica()
			defer r.Close()
			begin := time.Now()
			f.burst(r, clients, names, func(int) {})
			stats := r.SecondLevelStats()
			t.Logf("%d at once: %+v in %v", clients, stats, time.Since(begin))
			return stats.Hits >= names*95/100
		})
	}
}

// The pool fits what a resolver does at a time.
func TestPoolFits(t *testing.T) {
	if got, want := rediscache.Options("192.0.2.6:6379").PoolSize, secondlevel.MaxReads+1+secondlevel.Writers; got != want {
		t.Errorf("got %d connections, want %d", got, want)
	}
}
