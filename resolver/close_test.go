package resolver_test

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestCloseOverRealSockets: with servers on real sockets, answered, failed and
// truncated questions behind it and others under way, Close leaves no goroutine and no
// socket.
func TestCloseOverRealSockets(t *testing.T) {
	in := resolvertest.New(t, `
-- zone shop.example. at 198.51.100.3 2001:db8::3 --
www             A     192.0.2.80
-- zone big.example. at 198.51.100.4 --
www             A     192.0.2.81
-- zone silent.example. at 198.51.100.5 198.51.100.6 --
-- fault 198.51.100.4 --
truncate
-- fault silent.example. --
drop
`)
	if err := in.Listen(); err != nil {
		t.Fatal(err)
	}
	goroutines, sockets := runtime.NumGoroutine(), openFiles(t)
	for range 3 {
		o := in.Options()
		o.Dial = in.LoopbackDial
		r, err := resolver.New(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"www.shop.example.", "none.shop.example.", "www.big.example."} {
			if _, err := r.Resolve(t.Context(), name, dns.TypeA); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		var waiting sync.WaitGroup
		for i := range 20 {
			waiting.Go(func() {
				if _, err := r.Resolve(t.Context(), fmt.Sprintf("n%d.silent.example.", i), dns.TypeA); err == nil {
					t.Errorf("a question to silent servers was answered")
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		waiting.Wait()
	}
	// The servers notice the end of a connection a little later.
	var g, s int
	for range 500 {
		if g, s = runtime.NumGoroutine(), openFiles(t); g <= goroutines && s <= sockets {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("got %d goroutines and %d open files after Close, want %d and %d as before:\n%s",
		g, s, goroutines, sockets, stacks[:runtime.Stack(stacks, true)])
}

// openFiles returns how many files this process has open, sockets included; 0 where the
// system does not tell.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
