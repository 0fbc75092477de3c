package resolver_test

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// dialWorld has a zone whose servers Dial asks before it dials them, and one where it does not.
const dialWorld = `
-- zone dialled.example. at 198.51.100.4 --
*  A  192.0.2.81
-- zone far.example. at 198.51.100.5 --
*  A  192.0.2.82
-- fault * --
latency 20ms
`

// TestDialAsksItself: a Dial function that asks its own resolver for what it is called for, with the
// context that it gets, is told so at once, also through another name or another resolver; what does
// not lead back is answered.
func TestDialAsksItself(t *testing.T) {
	const self, other = "self.dialled.example.", "other.dialled.example."
	for name, test := range map[string]struct {
		asks map[string]string // what Dial asks while that name is searched
		via  bool              // by way of another resolver
		want error
	}{
		"itself":                  {map[string]string{self: self}, false, resolver.ErrCircular},
		"another name that leads": {map[string]string{self: other, other: self}, false, resolver.ErrCircular},
		"itself, by another":      {map[string]string{self: self}, true, resolver.ErrCircular},
		"what does not lead back": {map[string]string{self: "www.far.example."}, false, nil},
	} {
		for _, here := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testDialAsksItself(t, self, test.asks, test.via, here, test.want) })
			})
		}
	}
}

// dialledFor is the key of the name that Dial is called for.
type dialledFor struct{}

func testDialAsksItself(t *testing.T, self string, asks map[string]string, via, here bool, want error) {
	in := resolvertest.New(t, dialWorld)
	var r, second *resolver.Resolver
	var armed atomic.Bool
	var asked atomic.Int64
	var mu sync.Mutex
	var innermost error // guarded by mu
	ask := func(ctx context.Context, r *resolver.Resolver, name string) error {
		_, err := r.Resolve(context.WithValue(ctx, dialledFor{}, name), name, dns.TypeA)
		return err
	}
	asking := func(o *resolver.Options) {
		o.Family, o.Minimise = resolver.FamilyIPv4Only, resolver.MinimiseOff
		dial := o.Dial
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			name, _ := ctx.Value(dialledFor{}).(string)
			next := asks[name]
			if !armed.Load() || next == "" || !strings.HasPrefix(address, "198.51.100.4:") {
				return dial(ctx, network, address)
			}
			to := r
			if n := asked.Add(1); via && n == 1 {
				to = second
			}
			start := time.Now()
			err := ask(ctx, to, next)
			if err == nil {
				return dial(ctx, network, address)
			}
			mu.Lock()
			defer mu.Unlock()
			if took := time.Since(start); innermost == nil && took != 0 {
				t.Errorf("Dial was told after %v, want at once", took)
			}
			innermost = cmp.Or(innermost, err)
			return nil, err
		}
	}
	r, second = in.Resolver(t, asking), in.Resolver(t, asking)
	if here {
		r.AwaitHere()
		second.AwaitHere()
	}
	for _, of := range []*resolver.Resolver{r, second} {
		for _, name := range []string{"warm.dialled.example.", "warm.far.example."} {
			if err := ask(t.Context(), of, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	armed.Store(true)
	if err := ask(t.Context(), r, self); (err == nil) != (want == nil) {
		t.Errorf("the question itself: got %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !errors.Is(innermost, want) || (innermost == nil) != (want == nil) {
		t.Errorf("Dial asked %d times, and was told %v, want %v", asked.Load(), innermost, want)
	}
	if s := r.Stats(); s.InFlight != 0 || s.Sockets != 0 {
		t.Errorf("%d questions and %d sockets are left", s.InFlight, s.Sockets)
	}
}
