package resolver_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
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

// forwarding makes resolvers that are served at addresses of the Internet and forward all
// names to those that follow: pairs of own address and forwarder's.
func forwarding(t *testing.T, in *resolvertest.Internet, pairs ...[2]string) []*resolver.Resolver {
	var all []*resolver.Resolver
	for _, p := range pairs {
		r := in.Resolver(t, func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: ".", Servers: server(p[1])}}
		})
		in.Handle(p[0], dns.HandlerFunc(r.ServeDNS))
		all = append(all, r)
	}
	return all
}

// A question that goes round in a loop of forwarders ends, after few queries and soon, with
// an error that says so; so does the next one, without any query.
func TestRouteLoops(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pairs [][2]string
		sends int // at most, by all resolvers, keys for validation included
	}{
		{"to itself", [][2]string{{"10.0.0.1", "10.0.0.1"}}, 3},
		{"to each other", [][2]string{{"10.0.0.1", "10.0.0.2"}, {"10.0.0.2", "10.0.0.1"}}, 8},
		{"three", [][2]string{{"10.0.0.1", "10.0.0.2"}, {"10.0.0.2", "10.0.0.3"}, {"10.0.0.3", "10.0.0.1"}}, 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, "-- zone example. at 198.51.100.1 signed --\nwww A 192.0.2.1\n")
				r := forwarding(t, in, tt.pairs...)[0]
				start := time.Now()
				_, err := r.Resolve(t.Context(), "www.example.", dns.TypeA)
				if !errors.Is(err, resolver.ErrRouteLoop) {
					t.Errorf("got %v, want ErrRouteLoop", err)
				}
				var e *resolver.Error
				if !errors.As(err, &e) || e.Extended.Code != dns.ExtendedErrorCodeNetworkError || !strings.Contains(e.Extended.Text, "leads back") {
					t.Errorf("got extended error %+v, want Network Error with the reason", e)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("took %v, want less than a second", took)
				}
				if n := in.Count(); n > tt.sends {
					t.Errorf("got %d queries, want %d at most:\n%s", n, tt.sends, resolvertest.Table(in.Log()))
				}
				time.Sleep(20 * time.Second) // what was under way ends; the failures are forgotten
				in.ResetLog()
				if _, err := r.Resolve(t.Context(), "other.example.", dns.TypeA); !errors.Is(err, resolver.ErrRouteLoop) {
					t.Errorf("next question: got %v, want ErrRouteLoop", err)
				}
				if n := in.Count(); n != 0 {
					t.Errorf("next question: got %d queries, want none:\n%s", n, resolvertest.Table(in.Log()))
				}
			})
		})
	}
}

// CheckRoutes finds loops before a question is asked, and nothing else.
func TestCheckRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone example. at 198.51.100.1 --\nwww A 192.0.2.1\n")
		loop := forwarding(t, in, [2]string{"10.0.0.1", "10.0.0.2"}, [2]string{"10.0.0.2", "10.0.0.1"})
		err := loop[0].CheckRoutes(t.Context())
		var route *resolver.RouteError
		if !errors.Is(err, resolver.ErrRouteLoop) || !errors.As(err, &route) || route.Zone != "." {
			t.Errorf("two: got %v, want a *RouteError with ErrRouteLoop", err)
		}
		if n := in.Count(); n != 2 {
			t.Errorf("two: got %d queries, want 2:\n%s", n, resolvertest.Table(in.Log()))
		}
		recursive := in.Resolver(t)
		in.Handle("10.0.0.3", dns.HandlerFunc(recursive.ServeDNS))
		straight := forwarding(t, in, [2]string{"10.0.0.4", "10.0.0.3"})[0]
		if err := straight.CheckRoutes(t.Context()); err != nil {
			t.Errorf("no loop: got %v", err)
		}
		if got, err := straight.Resolve(t.Context(), "www.example.", dns.TypeA); err != nil || len(got.Answer) != 1 {
			t.Errorf("no loop: got %+v, %v, want the address", got, err)
		}
	})
}

// A resolv.conf with this resolver's own address, as on a host that it serves, is a loop
// like any other: found by CheckRoutes and by the first question. A server beside it that
// is none answers.
func TestResolvConfNamesOurselves(t *testing.T) {
	for text, loops := range map[string]bool{"nameserver 10.0.0.1\n": true, "nameserver 10.0.0.1\nnameserver 10.0.0.3\n": false} {
		file := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, "-- zone example. at 198.51.100.1 --\nwww A 192.0.2.1\n")
			in.Handle("10.0.0.3", dns.HandlerFunc(in.Resolver(t).ServeDNS))
			r := in.Resolver(t, func(o *resolver.Options) {
				o.Routes = []resolver.Route{{Zone: ".", ResolvConf: file}}
			})
			in.Handle("10.0.0.1", dns.HandlerFunc(r.ServeDNS))
			_, err := r.Resolve(t.Context(), "www.example.", dns.TypeA)
			if errors.Is(err, resolver.ErrRouteLoop) != loops || !loops && err != nil {
				t.Errorf("%q: got error %v, want a loop: %t", text, err, loops)
			}
			if err := r.CheckRoutes(t.Context()); !errors.Is(err, resolver.ErrRouteLoop) {
				t.Errorf("%q: CheckRoutes: got %v, want ErrRouteLoop", text, err)
			}
		})
	}
}

// A forwarder with a name only is guarded like one with an address: the loop is found by
// CheckRoutes, and without that by the first question. Its other address answers.
func TestNamedForwarderLeadsBack(t *testing.T) {
	for _, tt := range []struct {
		name, addrs string
		checked     bool
		loops       bool
	}{
		{"noticed", "ns A 10.0.0.1", false, true},
		{"checked", "ns A 10.0.0.1", true, true},
		{"another address", "ns A 10.0.0.1\nns A 10.0.0.3", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, "-- zone test. at 198.51.100.2 --\n"+tt.addrs+"\n-- zone example. at 198.51.100.1 --\nwww A 192.0.2.1\nother A 192.0.2.2\n")
				in.Handle("10.0.0.3", dns.HandlerFunc(in.Resolver(t).ServeDNS))
				r := in.Resolver(t, func(o *resolver.Options) {
					o.Routes = []resolver.Route{{Zone: "example", Servers: []resolver.RouteServer{{Name: "ns.test"}}}}
				})
				in.Handle("10.0.0.1", dns.HandlerFunc(r.ServeDNS))
				if tt.checked {
					if err := r.CheckRoutes(t.Context()); !errors.Is(err, resolver.ErrRouteLoop) {
						t.Fatalf("CheckRoutes: got %v, want ErrRouteLoop", err)
					}
				}
				start := time.Now()
				if _, err := r.Resolve(t.Context(), "www.example.", dns.TypeA); errors.Is(err, resolver.ErrRouteLoop) != tt.loops || !tt.loops && err != nil {
					t.Errorf("got error %v, want a loop: %t", err, tt.loops)
				}
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("took %v, want less than two seconds", took)
				}
				if !tt.loops {
					return
				}
				in.ResetLog()
				if _, err := r.Resolve(t.Context(), "other.example.", dns.TypeA); !errors.Is(err, resolver.ErrRouteLoop) {
					t.Errorf("next question: got %v, want ErrRouteLoop", err)
				}
				if n := in.Count(resolvertest.Name("other.example.")); n != 0 {
					t.Errorf("next question: got %d queries, want none:\n%s", n, resolvertest.Table(in.Log()))
				}
				if err := r.CheckRoutes(t.Context()); !errors.Is(err, resolver.ErrRouteLoop) {
					t.Errorf("CheckRoutes again: got %v, want ErrRouteLoop", err)
				}
			})
		})
	}
}

// lingering is an Exchanger that takes its time to notice that it is to stop.
type lingering struct{ inside atomic.Int64 }

func (l *lingering) Exchange(ctx context.Context, _ string, _ netip.AddrPort, _ []byte) ([]byte, error) {
	l.inside.Add(1)
	defer l.inside.Add(-1)
	<-ctx.Done()
	time.Sleep(100 * time.Millisecond)
	return nil, ctx.Err()
}

// Close waits for CheckRoutes, which then says that the resolver is closed.
func TestCloseWaitsForCheckRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := new(lingering)
		r := resolvertest.New(t, "-- zone test. at 198.51.100.2 --\nns A 10.0.0.1\n").Resolver(t, func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: "example", Servers: []resolver.RouteServer{{Exchanger: slow}, {Name: "ns.test"}}}}
		})
		checked := make(chan error, 1)
		go func() { checked <- r.CheckRoutes(t.Context()) }()
		time.Sleep(50 * time.Millisecond)
		if n := slow.inside.Load(); n != 1 {
			t.Fatalf("got %d queries under way, want 1", n)
		}
		r.Close()
		if n := slow.inside.Load(); n != 0 {
			t.Errorf("Close has returned with %d queries under way", n)
		}
		if err := <-checked; !errors.Is(err, resolver.ErrClosed) {
			t.Errorf("CheckRoutes: got %v, want ErrClosed", err)
		}
		if err := r.CheckRoutes(t.Context()); !errors.Is(err, resolver.ErrClosed) {
			t.Errorf("CheckRoutes after Close: got %v, want ErrClosed", err)
		}
	})
}

// CheckRoutes and Close at the same time, for the race detector: looking up the addresses of
// servers begins work that Close must know of.
func TestCheckRoutesBesideClose(t *testing.T) {
	for range 50 {
		in := resolvertest.New(t, "-- zone test. at 198.51.100.2 --\nns A 10.0.0.1\n")
		r := in.Resolver(t, func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: "example", Servers: []resolver.RouteServer{{Name: "ns.test"}}}}
		})
		var both sync.WaitGroup
		both.Go(func() { r.CheckRoutes(t.Context()) })
		both.Go(func() { r.Close() })
		both.Wait()
	}
}
