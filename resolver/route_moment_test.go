package resolver_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// atEveryMoment plays once for each time that a question looks at the clock, which it does
// wherever it looks at routes and anchors, with change called at that moment. The question
// is the first thing that play asks between arm and disarm.
func atEveryMoment(t *testing.T, begin func(*testing.T, func(*resolver.Options)) *resolver.Resolver,
	play func(t *testing.T, r *resolver.Resolver, arm func(change func()), disarm func()),
) {
	t.Helper()
	const most = 1000 // looks at the clock that one question takes, many times over
	for moment := int64(1); moment < most; moment++ {
		var looks atomic.Int64
		var armed atomic.Pointer[func()]
		var mu sync.Mutex // held while change runs, so that disarm waits for it: work in the background looks at the clock too
		synctest.Test(t, func(t *testing.T) {
			r := begin(t, func(o *resolver.Options) {
				now := o.Now
				o.Now = func() time.Time {
					if armed.Load() == nil { // also while change looks at the clock
						return now()
					}
					mu.Lock()
					defer mu.Unlock()
					if change := armed.Load(); change != nil && looks.Add(1) == moment {
						armed.Store(nil)
						(*change)()
					}
					return now()
				}
			})
			play(t, r, func(change func()) { armed.Store(&change) }, func() {
				mu.Lock()
				defer mu.Unlock()
				armed.Store(nil)
			})
		})
		if t.Failed() {
			t.Fatalf("when the change came at look %d at the clock", moment)
		}
		if looks.Load() < moment {
			return // the question was over before
		}
	}
	t.Fatalf("a question looks at the clock more than %d times", most)
}

// Data that a negative trust anchor lets pass is not found without the anchor, at whatever
// moment of the work the anchor goes or comes.
func TestNegativeTrustAnchorsAtEveryMoment(t *testing.T) {
	begin := func(t *testing.T, change func(*resolver.Options)) *resolver.Resolver {
		return resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 signed break=expired:www/A --\nwww A 192.0.2.80\n").Resolver(t, change)
	}
	anchors := []resolver.NegativeTrustAnchor{{Zone: "shop.example"}}
	for _, tt := range []struct {
		name          string
		before, after []resolver.NegativeTrustAnchor
	}{{"goes", anchors, nil}, {"comes", nil, anchors}} {
		t.Run(tt.name, func(t *testing.T) {
			atEveryMoment(t, begin, func(t *testing.T, r *resolver.Resolver, arm func(func()), disarm func()) {
				set := func(a []resolver.NegativeTrustAnchor) {
					if err := r.SetNegativeTrustAnchors(a); err != nil {
						t.Error(err)
					}
				}
				want := func(when string, want dnssec.Status) {
					time.Sleep(3 * time.Minute) // so that no cached failure is returned
					if got := statusOf(t, r, "www.shop.example."); got != want {
						t.Errorf("%s: got %v, want %v", when, got, want)
					}
				}
				set(tt.before)
				arm(func() { set(tt.after) })
				if got := statusOf(t, r, "www.shop.example."); got != dnssec.Insecure && got != dnssec.Bogus {
					t.Errorf("meanwhile: got %v, want insecure or bogus", got)
				}
				disarm()
				set(nil)
				want("without the anchor", dnssec.Bogus)
				set(anchors)
				want("with the anchor", dnssec.Insecure)
			})
		})
	}
}

// A route that comes or goes, at whatever moment, leaves nothing behind for names that are
// not its own.
func TestSetRoutesAtEveryMoment(t *testing.T) {
	begin := func(t *testing.T, change func(*resolver.Options)) *resolver.Resolver {
		_, _, r := apart(t, apartInside, change)
		return r
	}
	routes := []resolver.Route{{Zone: "corp.example", Kind: resolver.RouteStub, Servers: server("10.0.0.53"), Unsigned: true}}
	for _, tt := range []struct {
		name          string
		before, after []resolver.Route
	}{{"goes", routes, nil}, {"comes", nil, routes}} {
		t.Run(tt.name, func(t *testing.T) {
			atEveryMoment(t, begin, func(t *testing.T, r *resolver.Resolver, arm func(func()), disarm func()) {
				set := func(routes []resolver.Route) {
					if err := r.SetRoutes(routes); err != nil {
						t.Error(err)
					}
				}
				set(tt.before)
				arm(func() { set(tt.after) })
				if got := addressesOf(t, r, "www.corp.example."); got != "NOERROR 10.0.0.80" && got != "NOERROR 192.0.2.66" {
					t.Errorf("meanwhile: got %s, want what is inside or outside", got)
				}
				disarm()
				set(nil)
				wantAddresses(t, r, "www.corp.example.", "NOERROR 192.0.2.66")
				set(routes)
				wantAddresses(t, r, "www.corp.example.", "NOERROR 10.0.0.80")
			})
		})
	}
}
