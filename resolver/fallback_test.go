package resolver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/internal/test/testcert"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const fallbackAddr = "10.0.0.53"

// withFallback runs a test in virtual time, with a resolver whose fallback is in the same network, but
// asks servers beyond what closes it. more is a part of the Internet too.
func withFallback(t *testing.T, more string, change func(*resolver.Options), f func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		in, beyond := resolvertest.New(t, severalRoots+more), resolvertest.New(t, severalRoots+more)
		in.Handle(fallbackAddr, dns.HandlerFunc(beyond.Resolver(t).ServeDNS))
		o := in.Options()
		o.Fallback = &resolver.Route{Servers: server(fallbackAddr)}
		if change != nil {
			change(&o)
		}
		r, err := resolver.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f(t, in, r)
	})
}

// atFallback counts the queries that the fallback got, and those that root servers got.
func atFallback(in *resolvertest.Internet) (fallback, others int) {
	for _, q := range in.Log() {
		switch {
		case q.Server.String() == fallbackAddr:
			fallback++
		default:
			others++
		}
	}
	return fallback, others
}

const closedNetwork = "-- fault * --\ndead"

// TestFallback: where no root server can be asked, the fallback answers within the time of a question,
// and then at once. Its answers are validated, and marked.
func TestFallback(t *testing.T) {
	for name, fault := range map[string]string{
		"silent":                     closedNetwork,
		"intercepted":                "-- fault * --\nreplace NOERROR @ 60 A 192.0.2.66\nset ra\nclear aa",
		"reset":                      "-- fault * --\nwhen udp: drop\nwhen tcp: reset",
		"no route":                   "-- fault * --\nunreachable",
		"lies with AA, over TCP too": "-- fault * --\nreplace NOERROR @ 60 A 192.0.2.66\nset aa",
		// What is asked is answered before the network is known to be closed.
		"lies with AA, about keys later": "-- fault * --\nreplace NOERROR @ 60 A 192.0.2.66\nset aa\nwhen type DNSKEY: latency 300ms\nwhen type NS: latency 300ms",
	} {
		t.Run(name, func(t *testing.T) {
			withFallback(t, "", nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
				in.Update(fault)
				for i, tt := range []struct {
					name   string
					rcode  int
					status dnssec.Status
				}{
					{"www.shop.example.", dns.RcodeSuccess, dnssec.Secure},
					{"www.plain.example.", dns.RcodeSuccess, dnssec.Insecure},
					{"none.plain.example.", dns.RcodeNameError, dnssec.Insecure},
					{"none.", dns.RcodeNameError, dnssec.Secure},
				} {
					in.ResetLog()
					began := time.Now()
					result, err := r.Resolve(t.Context(), tt.name, dns.TypeA)
					if err != nil {
						t.Fatalf("%s: %v", tt.name, err)
					}
					if result.Rcode != tt.rcode || result.Status != tt.status || !result.Fallback {
						t.Errorf("%s: got rcode %d, %s, fallback %t", tt.name, result.Rcode, result.Status, result.Fallback)
					}
					if marked := len(result.Extended) > 0; marked != (tt.status != dnssec.Secure) {
						t.Errorf("%s: got extended errors %v", tt.name, result.Extended)
					}
					if took := time.Since(began); took > 6*time.Second || i > 0 && took > 200*time.Millisecond {
						t.Errorf("%s took %v", tt.name, took)
					}
					if _, others := atFallback(in); i > 0 && others > 1 {
						t.Errorf("%s: %d queries to others than the fallback", tt.name, others)
					}
					time.Sleep(10 * time.Second) // what began with the first question has its own end
				}
				in.ResetLog()
				if result, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil || !result.FromCache || !result.Fallback {
					t.Errorf("again: got %+v, %v, want it from the cache", result, err)
				}
				s := r.Stats()
				if s.Network != resolver.NetworkClosed || s.FromFallback != 5 {
					t.Errorf("got network %s, %d answers of the fallback", s.Network, s.FromFallback)
				}
			})
		})
	}
}

// TestFallbackEnds: root servers are tested with one query at a time; when they answer again, they are
// asked, and what is cached of the fallback is no answer any more.
func TestFallbackEnds(t *testing.T) {
	withFallback(t, "", nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Update(closedNetwork)
		r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
		time.Sleep(10 * time.Second) // what began with it has its own end
		in.ResetLog()
		for i := range 30 {
			if result, err := r.Resolve(t.Context(), fmt.Sprintf("n%d.plain.example.", i), dns.TypeA); err != nil || !result.Fallback {
				t.Fatalf("got %+v, %v", result, err)
			}
			time.Sleep(10 * time.Second)
		}
		if _, tests := atFallback(in); tests < 10 || tests > 20 {
			t.Errorf("got %d tests in five minutes", tests)
		}
		in.Update("-- fault * --\nmend")
		time.Sleep(15 * time.Second)
		for i := range 4 {
			r.Resolve(t.Context(), fmt.Sprintf("m%d.plain.example.", i), dns.TypeA)
			time.Sleep(16 * time.Second)
		}
		result, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
		if err != nil || result.Fallback || result.FromCache {
			t.Errorf("got %+v, %v, want it from the zone's servers", result, err)
		}
		in.ResetLog()
		r.Resolve(t.Context(), "www.test.", dns.TypeA)
		if n, _ := atFallback(in); n > 0 {
			t.Errorf("the fallback got %d queries after its end", n)
		}
	})
}

// TestFallbackLies: what a fallback says about signed zones must be validated; about others it is
// believed, and marked.
func TestFallbackLies(t *testing.T) {
	withFallback(t, "", nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		beyond := resolvertest.New(t, severalRoots).Resolver(t)
		in.Handle(fallbackAddr, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			reply, err := beyond.Exchange(t.Context(), q)
			if err != nil {
				return
			}
			for _, rr := range reply.Answer {
				if a, ok := rr.(*dns.A); ok {
					a.A = []byte{203, 0, 113, 66}
				}
			}
			w.WriteMsg(reply)
		}))
		in.Update(closedNetwork)
		var told *resolver.Error
		_, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
		if !errors.As(err, &told) || told.Status != dnssec.Bogus {
			t.Errorf("a lie in a signed zone: got %v, want it bogus", err)
		}
		result, err := r.Resolve(t.Context(), "www.plain.example.", dns.TypeA)
		if err != nil || !result.Fallback || result.Status != dnssec.Insecure || len(result.Extended) != 1 {
			t.Fatalf("a lie in another zone: got %+v, %v, want it marked", result, err)
		}
		if !strings.Contains(result.Extended[0].Text, "fallback") {
			t.Errorf("got %q", result.Extended[0].Text)
		}
		// The lies have not expired when root servers answer again.
		in.Update("-- fault * --\nmend")
		for i := range 6 {
			time.Sleep(16 * time.Second)
			r.Resolve(t.Context(), fmt.Sprintf("m%d.plain.example.", i), dns.TypeA)
		}
		for _, name := range []string{"www.plain.example.", "www.shop.example."} {
			result, err := r.Resolve(t.Context(), name, dns.TypeA)
			if err != nil || result.Fallback || strings.Contains(result.Answer[0].String(), "203.0.113.66") {
				t.Errorf("%s, after that: got %+v, %v", name, result, err)
			}
		}
	})
}

// TestFallbackIsNotNeeded: it gets no query while root servers can be asked in any way, nor about names
// that belong to others.
func TestFallbackIsNotNeeded(t *testing.T) {
	for name, tt := range map[string]struct {
		fault  string
		change func(*resolver.Options)
		ask    []string
	}{
		"open":            {"", nil, []string{"www.shop.example.", "none.test."}},
		"no UDP":          {"-- fault * --\nwhen udp: drop", nil, []string{"www.shop.example.", "www.test."}},
		"a zone is dead":  {"-- fault test. --\ndead", nil, []string{"www.test.", "mail.test.", "none.test."}},
		"a zone is bogus": {"-- fault test. --\nremove answer RRSIG", nil, []string{"www.test."}},
		"one family dead": {"-- fault ::/0 --\ndead", nil, []string{"www.shop.example.", "www.test.", "t1.", "t2.", "t3."}},
		"one strips all":  {"-- fault 198.41.0.1 --\nremove answer RRSIG\nremove authority RRSIG\nremove authority NSEC\nremove authority DS", nil, []string{"www.shop.example.", "www.test.", "t1.", "t2.", "t3."}},
		"one root server": {"-- fault 198.41.0.1 198.41.0.2 --\ndead", nil, []string{"www.shop.example.", "www.test."}},
		"roots refuse":    {"", func(o *resolver.Options) { o.AllowServer = nil }, []string{"localhost.", "1.0.0.10.in-addr.arpa."}},
		"local zone": {closedNetwork, func(o *resolver.Options) {
			o.LocalZones = []resolver.LocalZone{{Zone: "corp."}}
		}, []string{"www.corp."}},
		"exempt": {closedNetwork, func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: "test.", Kind: resolver.RouteIterate}}
		}, []string{"www.test.", "none.test."}},
		"stub": {"-- fault . example. --\ndead", func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: "plain.example.", Kind: resolver.RouteStub, Servers: server("198.51.100.5"), Unsigned: true}}
		}, []string{"www.plain.example.", "none.plain.example."}},
	} {
		t.Run(name, func(t *testing.T) {
			withFallback(t, "", tt.change, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
				in.Update(tt.fault)
				for _, name := range tt.ask {
					r.Resolve(t.Context(), name, dns.TypeA)
					time.Sleep(time.Second)
				}
				if n, _ := atFallback(in); n > 0 {
					t.Errorf("it got %d queries", n)
				}
			})
		})
	}
}

// TestFallbackBesideTheLiving: while the network is closed, a zone that is known and whose servers
// answer is asked itself; one whose servers are silent is not.
func TestFallbackBesideTheLiving(t *testing.T) {
	withFallback(t, "", nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		wantSecure(t, r, "www.shop.example.")
		r.Resolve(t.Context(), "www.plain.example.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		in.Update("-- fault . test. plain.example. --\ndead")
		for i := range 3 {
			if result, err := r.Resolve(t.Context(), topLevel(i), dns.TypeA); err != nil || i > 0 && !result.Fallback {
				if result == nil || result.Rcode != dns.RcodeSuccess || i > 0 {
					t.Fatalf("%s: got %+v, %v", topLevel(i), result, err)
				}
			}
		}
		result, err := r.Resolve(t.Context(), "mail.shop.example.", dns.TypeA)
		if err != nil || result.Fallback {
			t.Errorf("a zone that answers: got %+v, %v", result, err)
		}
		for i := range 2 {
			began := time.Now()
			result, err = r.Resolve(t.Context(), fmt.Sprintf("n%d.plain.example.", i), dns.TypeA)
			if err != nil || !result.Fallback {
				t.Errorf("a zone that does not: got %+v, %v", result, err)
			}
			if took := time.Since(began); i > 0 && took > time.Second {
				t.Errorf("the second question took %v", took)
			}
		}
	})
}

// TestFallbackFails: the error tells of both, and expired data comes after what the fallback says.
func TestFallbackFails(t *testing.T) {
	withFallback(t, "", func(o *resolver.Options) { o.ServeStale = true }, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		wantSecure(t, r, "www.shop.example.")
		time.Sleep(2 * time.Hour)
		in.Update(closedNetwork)
		for i := range 3 {
			r.Resolve(t.Context(), topLevel(i), dns.TypeA)
		}
		time.Sleep(time.Minute)
		if result, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil || result.Stale || !result.Fallback {
			t.Errorf("with a fallback: got %+v, %v, want fresh data", result, err)
		}
		time.Sleep(2 * time.Hour)
		for i := range 3 {
			r.Resolve(t.Context(), topLevel(3+i), dns.TypeA)
		}
		in.Handle(fallbackAddr, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
		}))
		if result, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil || !result.Stale {
			t.Errorf("without: got %+v, %v, want expired data", result, err)
		}
		_, err := r.Resolve(t.Context(), "www.test.", dns.TypeA)
		var route *resolver.RouteError
		if !errors.Is(err, resolver.ErrBlocked) || !errors.As(err, &route) || !strings.Contains(err.Error(), "fallback: ") {
			t.Errorf("got %v", err)
		}
		text := resolver.Explain(err)
		if !strings.Contains(text, "port 53 is blocked") || !strings.Contains(text, "The fallback (Options.Fallback) was of no use either") {
			t.Errorf("got %q", text)
		}
	})
}

// TestFallbackLieEndsNoStale: what a fallback makes up about a name neither ends the expired data
// that is known of it nor is remembered as what the name's own servers said.
func TestFallbackLieEndsNoStale(t *testing.T) {
	withFallback(t, "", func(o *resolver.Options) { o.ServeStale = true }, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		wantSecure(t, r, "www.shop.example.")
		time.Sleep(2 * time.Hour)
		beyond := resolvertest.New(t, severalRoots).Resolver(t)
		in.Handle(fallbackAddr, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			if reply, err := beyond.Exchange(t.Context(), q); err == nil {
				for _, rr := range reply.Answer {
					if a, ok := rr.(*dns.A); ok {
						a.A = []byte{203, 0, 113, 66}
					}
				}
				w.WriteMsg(reply)
			}
		}))
		in.Update(closedNetwork)
		for i := range 3 {
			r.Resolve(t.Context(), topLevel(i), dns.TypeA)
		}
		for range 3 {
			result, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
			if err != nil || !result.Stale || strings.Contains(result.Answer[0].String(), "203.0.113.66") {
				t.Fatalf("got %+v, %v, want expired data", result, err)
			}
			time.Sleep(time.Minute)
		}
		in.Update("-- fault * --\nmend")
		for i := range 6 {
			time.Sleep(16 * time.Second)
			r.Resolve(t.Context(), fmt.Sprintf("m%d.plain.example.", i), dns.TypeA)
		}
		wantSecure(t, r, "www.shop.example.")
	})
}

// TestFallbackIsFiltered like every other source.
func TestFallbackIsFiltered(t *testing.T) {
	more := "-- zone inside.test. at 198.51.100.20 --\nwww A 10.1.2.3\n"
	withFallback(t, more, func(o *resolver.Options) { o.RebindingProtection = true }, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Update(closedNetwork)
		if _, err := r.Resolve(t.Context(), "www.inside.test.", dns.TypeA); !errors.Is(err, resolver.ErrFiltered) {
			t.Errorf("got %v, want it filtered", err)
		}
	})
}

// TestFallbackOptions: a fallback that makes no sense is refused.
func TestFallbackOptions(t *testing.T) {
	good := resolver.Route{Servers: server(fallbackAddr)}
	for name, o := range map[string]resolver.Options{
		"no server":     {Fallback: &resolver.Route{}},
		"a zone":        {Fallback: &resolver.Route{Zone: "corp.", Servers: good.Servers}},
		"authoritative": {Fallback: &resolver.Route{Kind: resolver.RouteStub, Servers: good.Servers}},
		"iterate":       {Fallback: &resolver.Route{Kind: resolver.RouteIterate}},
		"unsigned":      {Fallback: &resolver.Route{Unsigned: true, Servers: good.Servers}},
		"by name":       {Fallback: &resolver.Route{Servers: []resolver.RouteServer{{Name: "dns.example."}}}},
		"never used":    {Fallback: &good, Routes: []resolver.Route{{Zone: ".", Servers: good.Servers}}},
		"unknown file":  {Fallback: &resolver.Route{ResolvConf: "/does/not/exist"}},
	} {
		r, err := resolver.New(o)
		var told *resolver.OptionError
		if !errors.As(err, &told) || told.Option != "Fallback" || r != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	r, err := resolver.New(resolver.Options{Fallback: &good})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var told *resolver.OptionError
	if err := r.SetRoutes([]resolver.Route{{Zone: ".", Servers: good.Servers}}); !errors.As(err, &told) || told.Option != "Fallback" {
		t.Errorf("SetRoutes: got %v", err)
	}
}

// TestFallbackOutlivesSetRoutes: routes that change leave it, and what is cached of it, alone.
func TestFallbackOutlivesSetRoutes(t *testing.T) {
	withFallback(t, "", nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Update(closedNetwork)
		r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
		if err := r.SetRoutes([]resolver.Route{{Zone: "corp.", Servers: server("10.0.0.54")}}); err != nil {
			t.Fatal(err)
		}
		if result, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil || !result.FromCache || !result.Fallback {
			t.Errorf("got %+v, %v, want it from the cache", result, err)
		}
		if result, err := r.Resolve(t.Context(), "www.plain.example.", dns.TypeA); err != nil || !result.Fallback {
			t.Errorf("got %+v, %v", result, err)
		}
	})
}

// TestFallbackWithoutPermission: what AllowServer says is about servers that the network names, and
// neither about the root servers nor about the fallback.
func TestFallbackWithoutPermission(t *testing.T) {
	none := func(o *resolver.Options) { o.AllowServer = func(netip.Addr) bool { return false } }
	withFallback(t, "", none, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Update(closedNetwork)
		if result, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil || !result.Fallback || result.Status != dnssec.Secure {
			t.Errorf("got %+v, %v", result, err)
		}
	})
}

// TestFallbackUnvalidated: without validation it is used as well, and all of its answers are marked.
func TestFallbackUnvalidated(t *testing.T) {
	off := func(o *resolver.Options) { o.Validation = resolver.ValidateOff }
	withFallback(t, "", off, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Update(closedNetwork)
		for _, name := range []string{"www.shop.example.", "www.plain.example."} {
			if result, err := r.Resolve(t.Context(), name, dns.TypeA); err != nil || !result.Fallback || len(result.Extended) != 1 {
				t.Errorf("%s: got %+v, %v", name, result, err)
			}
		}
	})
}

// TestFallbackForOne: a single question finds the network closed too, when it led to the root servers over
// UDP, or TCP alone, a moment ago.
func TestFallbackForOne(t *testing.T) {
	for name, before := range map[string]string{"open": "", "only TCP": "-- fault * --\nwhen udp: drop"} {
		t.Run(name, func(t *testing.T) {
			off := func(o *resolver.Options) { o.Validation = resolver.ValidateOff }
			withFallback(t, "", off, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
				in.Update(before)
				for i := range 6 {
					if _, err := r.Resolve(t.Context(), topLevel(i), dns.TypeA); err != nil {
						t.Fatal(err)
					}
				}
				if got, tcp := r.Stats().Network, before != ""; tcp != (got == resolver.NetworkOnlyTCP) {
					t.Fatalf("got network %s", got)
				}
				time.Sleep(time.Second)
				in.Update(closedNetwork)
				began := time.Now()
				if result, err := r.Resolve(t.Context(), "www.test.", dns.TypeA); err != nil || !result.Fallback {
					t.Errorf("got %+v, %v", result, err)
				}
				if took := time.Since(began); took > 8*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// TestFallbackStops: the end of a question, and that of the resolver, end the wait for a fallback that is
// silent, and leave nothing behind.
func TestFallbackStops(t *testing.T) {
	for _, closes := range []bool{false, true} {
		withFallback(t, "", nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
			in.Update(closedNetwork)
			for i := range 3 {
				if _, err := r.Resolve(t.Context(), topLevel(i), dns.TypeA); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(10 * time.Second) // priming, which belongs to no question, has its own end
			in.Handle(fallbackAddr, dns.HandlerFunc(func(dns.ResponseWriter, *dns.Msg) {}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := r.Resolve(ctx, "www.shop.example.", dns.TypeA)
				done <- err
			}()
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
			before := time.Now()
			if closes {
				r.Close()
			} else {
				cancel()
			}
			err := <-done
			synctest.Wait()
			if s := r.Stats(); err == nil || s.Sockets+s.Connections != 0 || time.Since(before) != 0 {
				t.Errorf("closes %t: got %v, %d sockets, %d connections after %v", closes, err, s.Sockets, s.Connections, time.Since(before))
			}
		})
	}
}

// TestFallbackToOurselves is found out, and costs few queries.
func TestFallbackToOurselves(t *testing.T) {
	withFallback(t, "", nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Handle(fallbackAddr, dns.HandlerFunc(r.ServeDNS))
		in.Update(closedNetwork)
		for i := range 4 {
			in.ResetLog()
			if result, err := r.Resolve(t.Context(), topLevel(i), dns.TypeA); err == nil {
				t.Fatalf("got %+v of nowhere", result)
			}
			if n, _ := atFallback(in); n > 8 {
				t.Errorf("question %d: %d queries to ourselves", i, n)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestFallbackFlaps: a network that comes and goes costs hardly an answer, and does not have the way change
// with each turn. One may be lost: a question whose servers are silent just after they were heard does not
// find the network closed.
func TestFallbackFlaps(t *testing.T) {
	withFallback(t, "", nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Fault("*", resolvertest.Drop().When(func(q resolvertest.Query) bool {
			return q.Server.String() != fallbackAddr && time.Now().Unix()/20%2 == 0
		}))
		var lost []error
		for i := range 28 {
			if result, err := r.Resolve(t.Context(), topLevel(i), dns.TypeA); err != nil || result.Rcode != dns.RcodeSuccess {
				lost = append(lost, fmt.Errorf("%s: got %+v, %w", topLevel(i), result, err))
			}
			time.Sleep(6 * time.Second)
		}
		if len(lost) > 1 {
			t.Error(errors.Join(lost...))
		}
		if s := r.Stats(); s.TurnsToClosed == 0 || s.TurnsToClosed > 5 {
			t.Errorf("the way changed %d times", s.TurnsToClosed)
		}
	})
}

// TestFallbackRootsOverTLS: root servers that have to be asked over TLS, and can be again, end its use.
func TestFallbackRootsOverTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newTLSNet(t, tlsWorld)
		beyond := resolvertest.New(t, tlsWorld)
		n.in.Handle(fallbackAddr, dns.HandlerFunc(beyond.Resolver(t).ServeDNS))
		root := tlsFront{cert: n.trust(testcert.For(t, 50, time.Now().Add(24*time.Hour), "root.example"))}
		n.fronts["198.18.0.1"] = root
		r := n.resolver(t, func(o *resolver.Options) {
			o.Fallback = &resolver.Route{Servers: server(fallbackAddr)}
			o.RequireTLS = []resolver.TLSRequirement{{Servers: netip.MustParsePrefix("198.18.0.1/32"), Name: "root.example", TLSConfig: &tls.Config{RootCAs: n.roots}}}
		})
		n.set(map[string]tlsFront{"198.18.0.1": {root.cert, tlsRefuses}})
		for i := range 4 {
			r.Resolve(t.Context(), fmt.Sprintf("n%d.example.", i), dns.TypeA)
			time.Sleep(5 * time.Second)
		}
		result, err := r.Resolve(t.Context(), "www.example.", dns.TypeA)
		if err != nil || !result.Fallback || r.Stats().Network != resolver.NetworkClosed {
			t.Fatalf("got %+v, %v, network %s; want it of the fallback", result, err, r.Stats().Network)
		}
		n.set(map[string]tlsFront{"198.18.0.1": root})
		for i := range 8 {
			time.Sleep(16 * time.Second)
			r.Resolve(t.Context(), fmt.Sprintf("m%d.example.", i), dns.TypeA)
		}
		result, err = r.Resolve(t.Context(), "to.bank.example.", dns.TypeA)
		if err != nil || result.Fallback || r.Stats().Network != resolver.NetworkOpen {
			t.Errorf("got %+v, %v, network %s; want it of the zone's servers", result, err, r.Stats().Network)
		}
	})
}

// TestFallbackWithLocalRoot: a copy of the root zone, which is asked in the place of the root servers, does not
// hide that no server can be reached, nor keep the fallback in use afterwards.
func TestFallbackWithLocalRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, beyond := newLocalRootWorld(t, rootsigner.Options{}), newLocalRootWorld(t, rootsigner.Options{})
		var dead atomic.Bool
		w.Fault("*", resolvertest.Drop().When(func(q resolvertest.Query) bool {
			return dead.Load() && q.Server.String() != fallbackAddr
		}))
		w.Handle(fallbackAddr, dns.HandlerFunc(newLocalRootResolver(t, beyond.options(nil)).ServeDNS))
		o := w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}})
		o.Fallback = &resolver.Route{Servers: server(fallbackAddr)}
		r := newLocalRootResolver(t, o)
		ask := func(name string, rcode int, fallback bool, status dnssec.Status) {
			t.Helper()
			result, err := r.Resolve(t.Context(), name, dns.TypeA)
			if err != nil || result.Rcode != rcode || result.Fallback != fallback || result.Status != status {
				t.Errorf("%s: got %+v, %v, network %s", name, result, err, r.Stats().Network)
			}
		}
		ask("www.test.", dns.RcodeSuccess, false, dnssec.Insecure)
		dead.Store(true)
		ask("www.example.", dns.RcodeSuccess, true, dnssec.Secure)
		ask("ns.test.", dns.RcodeSuccess, true, dnssec.Insecure)
		ask("www.missing.", dns.RcodeNameError, true, dnssec.Secure) // it goes before all else then
		if n := r.Stats().Network; n != resolver.NetworkClosed {
			t.Errorf("the network is %s", n)
		}
		dead.Store(false)
		for i := range 6 { // three successes, 15 s apart, end it
			r.Resolve(t.Context(), fmt.Sprintf("n%d.test.", i), dns.TypeA)
			time.Sleep(16 * time.Second)
		}
		ask("ns.example.", dns.RcodeSuccess, false, dnssec.Secure)
		if n := r.Stats().Network; n != resolver.NetworkOpen {
			t.Errorf("the network is %s", n)
		}
	})
}
