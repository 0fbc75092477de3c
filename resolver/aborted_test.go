package resolver_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// mine is a function of the program's that does not return, once it is armed: it waits a
// while, in which others join the question.
type mine struct {
	armed atomic.Bool
	pause time.Duration
	end   func()
}

func (m *mine) step() {
	if m.armed.Swap(false) {
		time.Sleep(m.pause)
		m.end()
	}
}

// minedConn is a connection that steps on a mine when it is read.
type minedConn struct {
	net.Conn
	m *mine
}

func (c minedConn) Read(b []byte) (int, error) {
	c.m.step()
	return c.Conn.Read(b)
}

// minedExchanger steps on a mine for each query.
type minedExchanger struct {
	resolver.Exchanger
	m *mine
}

func (e minedExchanger) Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	e.m.step()
	return e.Exchanger.Exchange(ctx, network, server, query)
}

// dialling makes an Exchanger of a Dial function for datagrams.
type dialling func(ctx context.Context, network, address string) (net.Conn, error)

func (d dialling) Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := d(ctx, "udp", server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetReadDeadline(deadline)
	}
	b := make([]byte, 65535)
	n, err := conn.Read(b)
	return b[:n], err
}

// minedStore steps on a mine when it is read.
type minedStore struct {
	*store
	m *mine
}

func (s minedStore) Get(ctx context.Context, key []byte) ([]byte, error) {
	s.m.step()
	return s.store.Get(ctx, key)
}

// minedAlgorithm takes all signatures for right, and steps on a mine for each.
type minedAlgorithm struct{ m *mine }

func (a minedAlgorithm) ParseKey(string) (dnssec.PublicKey, error) { return a, nil }
func (a minedAlgorithm) Cost() int                                 { return 1 }
func (a minedAlgorithm) Verify([]byte, string) bool                { a.m.step(); return true }

// narrow lets one question do one thing at a time, so that a slot that is not released
// stops the next one.
func narrow(o *resolver.Options) {
	o.Family = resolver.FamilyIPv4Only
	o.Limits.QueriesPerZone, o.Limits.QueriesPerServer, o.Limits.Sockets, o.Limits.Connections = 1, 1, 2, 4
	o.Limits.Questions = 4
}

// TestFunctionsThatDoNotReturn: whichever function of the program's panics or ends its
// goroutine, all callers that wait for the question get a result, the caller that began it
// panics with the same value in its own goroutine, and nothing is kept: no slot, no
// failure, no mark against a server.
func TestFunctionsThatDoNotReturn(t *testing.T) {
	const truncated = "-- fault 198.51.100.3 --\nwhen udp: truncate\n"
	for name, test := range map[string]struct {
		world  string
		set    func(*mine, *resolver.Options)
		trace  func(*mine) *resolver.Trace // of the caller that begins
		alone  bool                        // nobody can join
		passes bool                        // the question can do without the function's result
	}{
		"Dial": {set: func(m *mine, o *resolver.Options) {
			dial := o.Dial
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				m.step()
				return dial(ctx, network, address)
			}
		}},
		"Dial over TCP": {world: truncated, set: func(m *mine, o *resolver.Options) {
			dial := o.Dial
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if network == "tcp" {
					m.step()
				}
				return dial(ctx, network, address)
			}
		}},
		"Read": {set: func(m *mine, o *resolver.Options) {
			dial := o.Dial
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				return minedConn{conn, m}, err
			}
		}},
		"Read over TCP": {world: truncated, set: func(m *mine, o *resolver.Options) {
			dial := o.Dial
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				if network == "tcp" && err == nil {
					return minedConn{conn, m}, nil
				}
				return conn, err
			}
		}},
		"Exchanger": {set: func(m *mine, o *resolver.Options) {
			o.Exchanger, o.Dial = minedExchanger{dialling(o.Dial), m}, nil
		}},
		"AllowServer": {set: func(m *mine, o *resolver.Options) {
			o.AllowServer = func(netip.Addr) bool { m.step(); return true }
		}},
		"SignatureTime": {set: func(m *mine, o *resolver.Options) {
			o.SignatureTime = func() time.Time { m.step(); return time.Now() }
		}},
		"Trace.Query": {trace: func(m *mine) *resolver.Trace {
			return &resolver.Trace{Query: func(resolver.QueryInfo) { m.step() }}
		}},
		"Trace.Response": {trace: func(m *mine) *resolver.Trace {
			return &resolver.Trace{Response: func(resolver.ResponseInfo) { m.step() }}
		}},
		"Trace.Start": {trace: func(m *mine) *resolver.Trace {
			return &resolver.Trace{Start: func(resolver.StartInfo) { m.step() }}
		}},
		"Algorithms": {set: func(m *mine, o *resolver.Options) {
			o.Algorithms = map[uint8]dnssec.Algorithm{dns.ED25519: minedAlgorithm{m}}
		}},
		"AllowAddress": {alone: true, set: func(m *mine, o *resolver.Options) {
			o.AllowAddress = func(string, netip.Addr) bool { m.step(); return true }
		}},
		"Hooks.Before": {alone: true, set: func(m *mine, o *resolver.Options) {
			o.Hooks.Before = func(context.Context, dns.Question) (*resolver.Result, error) { m.step(); return nil, nil }
		}},
		"Hooks.After": {alone: true, set: func(m *mine, o *resolver.Options) {
			o.Hooks.After = func(_ context.Context, _ dns.Question, result *resolver.Result, err error) (*resolver.Result, error) {
				m.step()
				return result, err
			}
		}},
		"SecondLevel": {alone: true, passes: true, set: func(m *mine, o *resolver.Options) {
			o.SecondLevel, o.ViewName = minedStore{newStore(), m}, "mined"
		}},
		"Now": {alone: true, set: func(m *mine, o *resolver.Options) {
			o.Now = func() time.Time { m.step(); return time.Now() }
		}},
	} {
		for i := range 4 {
			panics, here := i&1 == 0, i&2 == 0
			how := map[bool]string{true: " panics", false: " ends its goroutine"}[panics] + map[bool]string{true: ", awaited here"}[here]
			t.Run(name+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := &mine{end: runtime.Goexit}
					if panics {
						m.end = func() { panic("boom") }
					}
					if !test.alone {
						m.pause = 50 * time.Millisecond
					}
					in := resolvertest.New(t, forgeSigned+test.world)
					r := in.Resolver(t, narrow, func(o *resolver.Options) {
						if test.set != nil {
							test.set(m, o)
						}
					})
					if here {
						r.AwaitHere()
					}
					if _, err := r.Resolve(t.Context(), "mail.shop.example.", dns.TypeA); err != nil {
						t.Fatal(err) // with this the rest is known, and the mine is met at the zone itself
					}
					time.Sleep(15 * time.Second) // until no connection is open
					ctx := t.Context()
					if test.trace != nil {
						ctx = resolver.WithTrace(ctx, test.trace(m))
					}
					start := time.Now()
					m.armed.Store(true)
					var all sync.WaitGroup
					var leads, joins ending
					all.Go(func() { leads.of(r, ctx) })
					if !test.alone {
						time.Sleep(40 * time.Millisecond)
						all.Go(func() { joins.of(r, t.Context()) })
					}
					all.Wait()
					if took := time.Since(start); took > 2*time.Second {
						t.Errorf("took %v", took)
					}
					if m.armed.Load() {
						t.Fatal("the function was not called")
					}
					switch {
					case panics && leads.value != "boom":
						t.Errorf("the leader: got %+v, want the panic", leads)
					case !panics && !test.passes && !test.alone && (!leads.returned || !errors.Is(leads.err, resolver.ErrAborted)):
						t.Errorf("the leader: got %+v, want %v", leads, resolver.ErrAborted)
					case !test.alone && (!joins.returned || !errors.Is(joins.err, resolver.ErrAborted)):
						t.Errorf("the joiner: got %+v, want %v", joins, resolver.ErrAborted)
					}
					var again ending
					again.of(r, t.Context())
					if again.err != nil || time.Since(start) > 3*time.Second {
						t.Errorf("the next question: got %+v after %v", again, time.Since(start))
					}
				})
			})
		}
	}
}

// forgeSigned is forgeWorld with signatures.
const forgeSigned = `
-- zone shop.example. at 198.51.100.3 signed --
www             A     192.0.2.80
mail            A     192.0.2.81
-- fault * --
latency 20ms
`

// ending is how one question ended.
type ending struct {
	returned bool
	err      error
	value    any // of a panic
}

func (e *ending) of(r *resolver.Resolver, ctx context.Context) {
	defer func() { e.value = recover() }()
	_, e.err = r.Resolve(ctx, "www.shop.example.", dns.TypeA)
	e.returned = true
}

// TestTraceOfAJoinerDoesNotReturn: the joiner panics or fails when the question has ended;
// the leader does not notice.
func TestTraceOfAJoinerDoesNotReturn(t *testing.T) {
	for _, panics := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := resolvertest.New(t, forgeWorld).Resolver(t, narrow)
			var all sync.WaitGroup
			var leads, joins ending
			all.Go(func() { leads.of(r, t.Context()) })
			all.Go(func() {
				time.Sleep(10 * time.Millisecond)
				calls := 0
				joins.of(r, resolver.WithTrace(t.Context(), &resolver.Trace{Response: func(resolver.ResponseInfo) {
					if calls++; calls > 1 {
						t.Error("a Trace that did not return was called again")
					}
					if panics {
						panic("boom")
					}
					runtime.Goexit()
				}}))
			})
			all.Wait()
			if leads.err != nil || leads.value != nil || !leads.returned {
				t.Errorf("the leader: got %+v", leads)
			}
			if panics && joins.value != "boom" || !panics && (!joins.returned || !errors.Is(joins.err, resolver.ErrAborted)) {
				t.Errorf("the joiner, panics %t: got %+v", panics, joins)
			}
		})
	}
}

// TestBackgroundThatDoesNotReturn: in background work, which has no caller to panic in,
// only the work ends.
func TestBackgroundThatDoesNotReturn(t *testing.T) {
	for _, end := range []func(){func() { panic("boom") }, runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			var broken atomic.Bool
			var fetched atomic.Int64
			in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 --\nwww 300 A 192.0.2.80\n")
			r := in.Resolver(t, narrow, func(o *resolver.Options) {
				dial := o.Dial
				o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if broken.Load() {
						fetched.Add(1)
						end()
					}
					return dial(ctx, network, address)
				}
			})
			for range 3 {
				broken.Store(false)
				if _, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil {
					t.Fatal(err)
				}
				time.Sleep(275 * time.Second) // the last tenth of its life: it is fetched again
				broken.Store(true)
				for range 3 {
					if _, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				time.Sleep(time.Minute)
			}
			if n := fetched.Load(); n != 3 {
				t.Errorf("%d refreshes were tried, want one each time", n)
			}
		})
	}
}

// TestLookupsOfFunctionsThatDoNotReturn: the methods that ask for several things at once panic in
// the caller's goroutine too, or return.
func TestLookupsOfFunctionsThatDoNotReturn(t *testing.T) {
	for name, look := range map[string]func(context.Context, *resolver.Resolver) error{
		"LookupNetIP": func(ctx context.Context, r *resolver.Resolver) error {
			_, err := r.LookupNetIP(ctx, "ip", "www.shop.example.")
			return err
		},
		"DialContext": func(ctx context.Context, r *resolver.Resolver) error {
			_, err := r.DialContext(ctx, "tcp", "www.shop.example.:80")
			return err
		},
		"CheckRoutes": func(ctx context.Context, r *resolver.Resolver) error { return r.CheckRoutes(ctx) },
	} {
		for _, panics := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				route, err := resolver.ParseRoute("example.=198.51.100.3")
				if err != nil {
					t.Fatal(err)
				}
				r := resolvertest.New(t, forgeWorld).Resolver(t, func(o *resolver.Options) {
					o.Routes = []resolver.Route{route}
					o.Dial = func(context.Context, string, string) (net.Conn, error) {
						if panics {
							panic("boom")
						}
						runtime.Goexit()
						return nil, nil
					}
				})
				var got ending
				var all sync.WaitGroup
				all.Go(func() {
					defer func() { got.value = recover() }()
					got.err = look(t.Context(), r)
					got.returned = true
				})
				all.Wait()
				if panics && got.value != "boom" || !panics && !got.returned {
					t.Errorf("%s, panics %t: got %+v", name, panics, got)
				}
			})
		}
	}
}

// TestNetResolverOfFunctionsThatDoNotReturn: between the caller and us are goroutines of package
// net, in which nobody could recover, so that it is an error.
func TestNetResolverOfFunctionsThatDoNotReturn(t *testing.T) {
	for _, end := range []func(){func() { panic("boom") }, runtime.Goexit} {
		r := resolvertest.New(t, forgeWorld).Resolver(t, func(o *resolver.Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				end()
				return nil, nil
			}
		})
		if addrs, err := r.NetResolver().LookupNetIP(t.Context(), "ip", "www.shop.example."); err == nil {
			t.Errorf("got %v, want an error", addrs)
		}
	}
}
