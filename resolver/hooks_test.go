package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// hookLog records what hooks were called with.
type hookLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *hookLog) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// take returns what was added since the last call, sorted: hooks are called concurrently.
func (l *hookLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	slices.Sort(lines)
	return lines
}

// hooks log every call and let everything pass.
func (l *hookLog) hooks() resolver.Hooks {
	return resolver.Hooks{
		Before: func(ctx context.Context, q dns.Question) (*resolver.Result, error) {
			l.add("before %s %s from %v", q.Name, dns.TypeToString[q.Qtype], resolver.ClientAddr(ctx))
			return nil, nil
		},
		After: func(ctx context.Context, q dns.Question, result *resolver.Result, err error) (*resolver.Result, error) {
			outcome := "error"
			if result != nil {
				outcome = fmt.Sprintf("%s %d", dns.RcodeToString[result.Rcode], len(result.Answer))
			}
			l.add("after %s %s: %s", q.Name, dns.TypeToString[q.Qtype], outcome)
			return result, err
		},
	}
}

// record reads a record that is a test's own.
func record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

func TestHooksSeeEveryQuestion(t *testing.T) {
	const nobody = "invalid AddrPort"
	for _, test := range []struct {
		name string
		ask  func(*testing.T, *resolver.Resolver)
		want []string
	}{
		{"Resolve", func(t *testing.T, r *resolver.Resolver) { r.Resolve(t.Context(), "WWW.plain.example", dns.TypeA) },
			[]string{"after www.plain.example. A: NOERROR 1", "before www.plain.example. A from " + nobody}},
		{"Resolve, failure", func(t *testing.T, r *resolver.Resolver) { r.Resolve(t.Context(), "www.dead.example", dns.TypeA) },
			[]string{"after www.dead.example. A: error", "before www.dead.example. A from " + nobody}},
		{"Exchange", func(t *testing.T, r *resolver.Resolver) {
			ctx := resolver.WithClient(t.Context(), netip.MustParseAddrPort("192.0.2.9:53"))
			r.Exchange(ctx, ask("www.plain.example.", dns.TypeA))
		}, []string{"after www.plain.example. A: NOERROR 1", "before www.plain.example. A from 192.0.2.9:53"}},
		{"Exchange, RD=0", func(t *testing.T, r *resolver.Resolver) {
			r.Exchange(t.Context(), ask("www.plain.example.", dns.TypeA, withoutRD))
		}, []string{"after www.plain.example. A: error", "before www.plain.example. A from " + nobody}},
		{"Exchange, alias", func(t *testing.T, r *resolver.Resolver) {
			r.Exchange(t.Context(), ask("abroad.shop.example.", dns.TypeA))
		}, []string{"after abroad.shop.example. A: NOERROR 3", "before abroad.shop.example. A from " + nobody}},
		{"Exchange, FORMERR", func(t *testing.T, r *resolver.Resolver) { r.Exchange(t.Context(), new(dns.Msg)) }, nil},
		{"ServeDNS", func(t *testing.T, r *resolver.Resolver) { served(r, overUDP, ask("www.plain.example.", dns.TypeA)) },
			[]string{"after www.plain.example. A: NOERROR 1", "before www.plain.example. A from 192.0.2.1:5353"}},
		{"LookupNetIP", func(t *testing.T, r *resolver.Resolver) { r.LookupNetIP(t.Context(), "ip", "www.plain.example") },
			[]string{
				"after www.plain.example. A: NOERROR 1", "after www.plain.example. AAAA: NOERROR 0",
				"before www.plain.example. A from " + nobody, "before www.plain.example. AAAA from " + nobody,
			}},
		{"LookupMX", func(t *testing.T, r *resolver.Resolver) { r.LookupMX(t.Context(), "www.plain.example") },
			[]string{"after www.plain.example. MX: NOERROR 0", "before www.plain.example. MX from " + nobody}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log hookLog
				r := resolvertest.New(t, clientWorld).Resolver(t, plain, func(o *resolver.Options) { o.Hooks = log.hooks() })
				test.ask(t, r)
				first := log.take()
				if !slices.Equal(first, test.want) {
					t.Errorf("got\n%q\nwant\n%q", first, test.want)
				}
				// Answers from the cache, by every method, pass the hooks too.
				test.ask(t, r)
				if second := log.take(); !slices.Equal(second, first) {
					t.Errorf("the second time got\n%q\nwant\n%q", second, first)
				}
			})
		})
	}
}

// blocked is what a hook answers to everything, one Result for all.
var blocked = &resolver.Result{
	Rcode:    dns.RcodeNameError,
	Extended: []resolver.ExtendedError{{Code: dns.ExtendedErrorCodeBlocked, Text: "on a list"}},
}

func TestBeforeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, clientWorld)
		sink := &resolver.Result{Answer: []dns.RR{
			record("ads.example. 60 CNAME sink.example."), record("sink.example. 30 A 192.0.2.66"),
		}}
		r := in.Resolver(t, plain, func(o *resolver.Options) {
			o.Hooks.Before = func(_ context.Context, q dns.Question) (*resolver.Result, error) {
				if q.Name == "ads.example." && q.Qtype == dns.TypeA {
					return sink, nil
				}
				return blocked, nil
			}
		})
		result, err := r.Resolve(t.Context(), "ads.example", dns.TypeA)
		if err != nil || result.TTL != 30*time.Second || result.Question.Name != "ads.example." || result.Canonical() != "sink.example." {
			t.Errorf("got %+v, error %v, want the hook's result for 30 s", result, err)
		}
		reply := exchanged(t, r, ask("x.Example.", dns.TypeA, withEDNS))
		if reply.Rcode != dns.RcodeNameError || !slices.Equal(codes(reply), []uint16{dns.ExtendedErrorCodeBlocked}) {
			t.Errorf("got\n%v\nwant NXDOMAIN, Blocked", reply)
		}
		addrs, err := r.LookupHost(t.Context(), "ads.example")
		if err != nil || !slices.Equal(addrs, []string{"192.0.2.66"}) {
			t.Errorf("LookupHost: got %v, error %v, want 192.0.2.66", addrs, err)
		}
		if name, err := r.LookupCNAME(t.Context(), "ads.example"); err != nil || name != "sink.example." {
			t.Errorf("LookupCNAME: got %s, error %v, want sink.example.", name, err)
		}
		var de *net.DNSError
		if _, err := r.LookupHost(t.Context(), "x.example"); !errors.As(err, &de) || !de.IsNotFound {
			t.Errorf("LookupHost: got error %v, want no such host", err)
		}
		if n := in.Count(); n != 0 {
			t.Errorf("got %d queries, want none", n)
		}
		exchanged(t, r, ask("ADS.example.", dns.TypeA)) // spells owners its own way
		if got := sink.Answer[0].Header().Name; got != "ads.example." {
			t.Errorf("the hook's own record now belongs to %s", got)
		}
	})
}

func TestBeforeRefuses(t *testing.T) {
	cause := errors.New("out of order")
	for _, test := range []struct {
		err   error
		rcode int
		code  uint16
	}{
		{&resolver.Refusal{}, dns.RcodeRefused, dns.ExtendedErrorCodeBlocked},
		{&resolver.Refusal{Rcode: dns.RcodeNameError, Extended: resolver.ExtendedError{Code: dns.ExtendedErrorCodeFiltered}},
			dns.RcodeNameError, dns.ExtendedErrorCodeFiltered},
		{fmt.Errorf("by list: %w", &resolver.Refusal{Extended: resolver.ExtendedError{Code: dns.ExtendedErrorCodeProhibited}}),
			dns.RcodeRefused, dns.ExtendedErrorCodeProhibited},
		{cause, dns.RcodeServerFailure, dns.ExtendedErrorCodeOther},
	} {
		t.Run(test.err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolvertest.New(t, clientWorld).Resolver(t, plain, func(o *resolver.Options) {
					o.Hooks.Before = func(context.Context, dns.Question) (*resolver.Result, error) { return nil, test.err }
				})
				reply := exchanged(t, r, ask("www.shop.example.", dns.TypeA, withEDNS))
				if reply.Rcode != test.rcode || !slices.Equal(codes(reply), []uint16{test.code}) {
					t.Errorf("got\n%v\nwant %s with extended error %d", reply, dns.RcodeToString[test.rcode], test.code)
				}
				_, err := r.Resolve(t.Context(), "www.shop.example", dns.TypeA)
				var failed *resolver.Error
				if !errors.As(err, &failed) || !errors.Is(err, test.err) || failed.Extended.Code != test.code || failed.Question.Name != "www.shop.example." {
					t.Errorf("Resolve: got %v, want an *Error with the hook's error and code %d", err, test.code)
				}
				var de *net.DNSError
				if _, err := r.LookupHost(t.Context(), "www.shop.example"); !errors.As(err, &de) || !errors.Is(err, test.err) {
					t.Errorf("LookupHost: got %v, want a *net.DNSError around the hook's error", err)
				}
			})
		})
	}
}

func TestAfterReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, clientWorld).Resolver(t, plain, func(o *resolver.Options) {
			o.Hooks.After = func(_ context.Context, q dns.Question, result *resolver.Result, err error) (*resolver.Result, error) {
				switch {
				case err != nil && q.Name == "www.dead.example.":
					return &resolver.Result{Answer: []dns.RR{record(q.Name + " 5 A 192.0.2.1")}}, nil
				case err != nil:
					return nil, fmt.Errorf("told: %w", err)
				case q.Name == "nil.plain.example.":
					return nil, nil
				}
				result.Answer = result.Answer[:1] // its own to change
				return result, err
			}
		})
		for name, want := range map[string]string{"www.dead.example.": "www.dead.example. A", "www.shop.example.": "www.shop.example. A"} {
			if got := types(exchanged(t, r, ask(name, dns.TypeA)).Answer); got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
		_, err := r.Resolve(t.Context(), "www.broken.example", dns.TypeA)
		var failed *resolver.Error
		if !errors.As(err, &failed) || failed.Zone != "broken.example." || failed.Extended.Code != dns.ExtendedErrorCodeRRSIGsMissing ||
			err.Error()[:8] != "resolve " {
			t.Errorf("got %v, want the *Error of the bogus answer around the hook's", err)
		}
		if reply := exchanged(t, r, ask("www.broken.example.", dns.TypeA, withEDNS)); !slices.Equal(codes(reply), []uint16{dns.ExtendedErrorCodeRRSIGsMissing, dns.ExtendedErrorCodeCachedError}) {
			t.Errorf("got %v, want the extended error of the failure", reply)
		}
		if result, err := r.Resolve(t.Context(), "nil.plain.example", dns.TypeA); err == nil {
			t.Errorf("got %v, want an error: the hook returned nothing", result)
		}
	})
}

// A hook may ask the resolver that it belongs to.
func TestHookAsksItsOwnResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *resolver.Resolver
		calls := 0
		r = resolvertest.New(t, clientWorld).Resolver(t, func(o *resolver.Options) {
			o.Hooks.Before = func(ctx context.Context, q dns.Question) (*resolver.Result, error) {
				calls++
				return r.Resolve(ctx, "www.plain.example", q.Qtype)
			}
		})
		result, err := r.Resolve(t.Context(), "other.example", dns.TypeA)
		if err != nil || len(result.Answer) != 1 || calls != 1 || result.Question.Name != "other.example." {
			t.Errorf("got %+v, error %v, after %d calls, want one record after one call", result, err, calls)
		}
	})
}

// A response code that takes EDNS does not leave clients without EDNS unanswered.
func TestHookChoosesExtendedRcode(t *testing.T) {
	for name, before := range map[string]func(context.Context, dns.Question) (*resolver.Result, error){
		"refusal": func(context.Context, dns.Question) (*resolver.Result, error) {
			return nil, &resolver.Refusal{Rcode: dns.RcodeBadCookie}
		},
		"result": func(context.Context, dns.Question) (*resolver.Result, error) {
			return &resolver.Result{Rcode: dns.RcodeBadCookie}, nil
		},
	} {
		r := resolvertest.New(t, clientWorld).Resolver(t, func(o *resolver.Options) { o.Hooks.Before = before })
		for edns, want := range map[bool]int{false: dns.RcodeServerFailure, true: dns.RcodeBadCookie} {
			query := new(dns.Msg).SetQuestion("www.plain.example.", dns.TypeA)
			if edns {
				query.SetEdns0(1232, false)
			}
			reply, err := r.Exchange(t.Context(), query)
			if err != nil || reply.Rcode != want {
				t.Errorf("%s, EDNS %t: got %v, error %v, want rcode %d", name, edns, reply, err, want)
				continue
			}
			if _, err := reply.Pack(); err != nil {
				t.Errorf("%s, EDNS %t: cannot be packed: %v", name, edns, err)
			}
		}
	}
}

// What a hook asks another resolver passes the hooks of that one, however it asks; also when
// the other asks back.
func TestHookAsksAnotherResolver(t *testing.T) {
	refuse := func(context.Context, dns.Question) (*resolver.Result, error) { return nil, &resolver.Refusal{} }
	for name, ask := range map[string]func(*resolver.Resolver, context.Context) error{
		"Resolve": func(r *resolver.Resolver, ctx context.Context) error {
			_, err := r.Resolve(ctx, "www.plain.example", dns.TypeA)
			return err
		},
		"LookupNetIP": func(r *resolver.Resolver, ctx context.Context) error {
			_, err := r.LookupNetIP(ctx, "ip4", "www.plain.example")
			return err
		},
		"asking back": func(r *resolver.Resolver, ctx context.Context) error {
			_, err := r.LookupTXT(ctx, "back.example")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, clientWorld)
				var front *resolver.Resolver
				strict := in.Resolver(t, func(o *resolver.Options) {
					o.Hooks.Before = func(ctx context.Context, q dns.Question) (*resolver.Result, error) {
						if q.Name == "back.example." {
							if _, err := front.Resolve(ctx, "www.plain.example", dns.TypeA); err != nil {
								t.Errorf("asking back: got error %v", err)
							}
						}
						return refuse(ctx, q)
					}
				})
				if _, err := strict.Resolve(t.Context(), "www.plain.example", dns.TypeA); err == nil {
					t.Fatal("without the front: not refused")
				}
				calls := 0
				front = in.Resolver(t, func(o *resolver.Options) {
					o.Hooks.Before = func(ctx context.Context, q dns.Question) (*resolver.Result, error) {
						calls++
						return nil, ask(strict, ctx)
					}
				})
				var refusal *resolver.Refusal
				if _, err := front.Resolve(t.Context(), "other.example", dns.TypeA); !errors.As(err, &refusal) || calls != 1 {
					t.Errorf("got error %v after %d calls, want the other's refusal after one", err, calls)
				}
			})
		})
	}
}

// Callers that share the work on a question each call the hooks.
func TestHooksOfJoiners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log hookLog
		in := resolvertest.New(t, clientWorld)
		r := in.Resolver(t, func(o *resolver.Options) { o.Hooks = log.hooks() })
		const callers = 20
		var all sync.WaitGroup
		for range callers {
			all.Go(func() { r.Resolve(t.Context(), "www.plain.example", dns.TypeA) })
		}
		all.Wait()
		if got := len(log.take()); got != 2*callers {
			t.Errorf("hooks were called %d times, want %d", got, 2*callers)
		}
		if n := in.Count(func(q resolvertest.Query) bool { return strings.EqualFold(q.Name, "www.plain.example.") }); n > 1 {
			t.Errorf("got %d queries to the zone, want 1", n)
		}
	})
}

// What a hook does to its result stays out of the cache.
func TestAfterOwnsItsResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, clientWorld).Resolver(t, func(o *resolver.Options) {
			o.Hooks.After = func(_ context.Context, _ dns.Question, result *resolver.Result, err error) (*resolver.Result, error) {
				if got := result.Answer[0].(*dns.A).A.String(); got != "192.0.2.83" {
					t.Errorf("got %s, want 192.0.2.83", got)
				}
				result.Answer[0].(*dns.A).A = net.IPv4(192, 0, 2, 1)
				return result, err
			}
		})
		for range 2 {
			reply := exchanged(t, r, ask("www.plain.example.", dns.TypeA))
			if got := reply.Answer[0].(*dns.A).A.String(); got != "192.0.2.1" {
				t.Errorf("got %s, want the hook's 192.0.2.1", got)
			}
		}
	})
}

func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turned := 0
		r := resolvertest.New(t, clientWorld).Resolver(t, func(o *resolver.Options) {
			o.Rotate = func(n int) int {
				if n != 2 {
					t.Errorf("turned %d records, want 2", n)
				}
				turned++
				return turned - 1
			}
		})
		var firsts []string
		for range 4 {
			reply := exchanged(t, r, ask("alias.shop.example.", dns.TypeA, withDO))
			if got, want := types(reply.Answer), "alias.shop.example. CNAME, alias.shop.example. RRSIG(CNAME), "+
				"next.shop.example. CNAME, next.shop.example. RRSIG(CNAME), www.shop.example. A, www.shop.example. RRSIG(A)"; got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
			firsts = append(firsts, reply.Answer[4].(*dns.A).A.String())
		}
		if firsts[0] == firsts[1] || firsts[0] != firsts[2] || firsts[1] != firsts[3] {
			t.Errorf("first addresses were %v, want them in turn", firsts)
		}
		served := served(r, overUDP, ask("www.shop.example.", dns.TypeA))
		if got := served.Answer[0].(*dns.A).A.String(); got != firsts[0] {
			t.Errorf("ServeDNS: first is %s, want %s", got, firsts[0])
		}
	})
}
