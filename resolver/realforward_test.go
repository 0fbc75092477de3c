package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/realresolver"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// ownAddr is an address of the loopback network that no other process of the tests uses,
// and whose ports no socket gets by chance.
func ownAddr(last byte, port uint16) netip.AddrPort {
	pid := os.Getpid()
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 64 | byte(pid>>16)&0x3f, byte(pid >> 8), last}), port)
}

// serveAt serves r at an address until the test ends.
func serveAt(t *testing.T, r *resolver.Resolver, at netip.AddrPort) {
	t.Helper()
	packets, err := net.ListenPacket("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: r}, {Listener: listener, Handler: r}} {
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			if err := s.ActivateAndServe(); err != nil {
				t.Errorf("serve: %v", err)
			}
		}()
		<-started
		t.Cleanup(func() {
			_ = s.Shutdown()
			<-ended
		})
	}
}

// awaitAnswer asks for one name after the other until there is an answer: nothing that failed
// before is remembered of a name that was not asked for. The zone is not signed, so that no
// answer is made of what its records prove.
func awaitAnswer(t *testing.T, r *resolver.Resolver, kind string) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		name := fmt.Sprintf("%s-%d.wild.plain.example.", kind, time.Since(begin)/time.Millisecond)
		result, err := r.Resolve(t.Context(), name, dns.TypeA)
		if err == nil && result.Status == dnssec.Insecure && len(result.Answer) > 0 {
			return
		}
		if time.Since(begin) > time.Minute {
			t.Fatalf("no answer in a minute: %v, error %v", result, err)
		}
	}
}

// Real resolvers as forwarders: their replies are validated here, and bogus ones are
// reported as such; when one dies the error names the route that failed, and when it is
// back it is used.
func TestRealForwarders(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real resolvers; TestRouteHook and the scenarios have forwarding in memory")
	}
	const world = `
-- zone shop.example. at 198.51.100.3 signed --
www     A       192.0.2.80
-- zone broken.example. at 198.51.100.4 signed break=corrupt:www/A --
www     A       192.0.2.82
-- zone plain.example. at 198.51.100.5 --
www     A       192.0.2.83
*.wild  A       192.0.2.81
`
	for i, product := range []realresolver.Product{realresolver.Unbound, realresolver.KnotResolver} {
		t.Run(product.String(), func(t *testing.T) {
			if runtime.GOOS != "linux" {
				t.Skip("other systems have one loopback address")
			}
			t.Parallel()
			upstream, listen := ownAddr(byte(2*i+1), 5353), ownAddr(byte(2*i+2), 5353)
			in := resolvertest.New(t, world)
			serveAt(t, in.Resolver(t, plain), upstream)

			setting := realresolver.Setting{
				Listen: listen, Anchors: in.Anchors(),
				Upstreams: []realresolver.Upstream{{Zone: ".", Addr: upstream}},
			}
			forwarder := realresolver.Start(t, product, setting, "plain.example.")
			r, err := resolver.New(resolver.Options{
				TrustAnchors: in.Anchors(), DisableHostsFile: true, DisablePrefetch: true,
				Limits: resolver.Limits{SendsPerServer: 1}, // a dead forwarder is not waited for longer
				Routes: []resolver.Route{{Zone: ".", Servers: []resolver.RouteServer{{Addr: listen}}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			awaitAnswer(t, r, "ready")

			for _, want := range []struct {
				name   string
				status dnssec.Status
				rcode  int
				answer []string
			}{
				{"www.shop.example.", dnssec.Secure, dns.RcodeSuccess, []string{"www.shop.example. A 192.0.2.80"}},
				{"none.shop.example.", dnssec.Secure, dns.RcodeNameError, nil},
				{"www.plain.example.", dnssec.Insecure, dns.RcodeSuccess, []string{"www.plain.example. A 192.0.2.83"}},
			} {
				result, err := askPatiently(t.Context(), r, want.name)
				if err != nil {
					t.Errorf("%s: %v", want.name, err)
					continue
				}
				got := brief(noSignatures(result.Answer))
				if result.Status != want.status || result.Rcode != want.rcode || strings.Join(got, "\n") != strings.Join(want.answer, "\n") {
					t.Errorf("%s: got %s %v %q, want %s %v %q", want.name,
						dns.RcodeToString[result.Rcode], result.Status, got, dns.RcodeToString[want.rcode], want.status, want.answer)
				}
			}
			var failure *resolver.Error
			if result, err := askPatiently(t.Context(), r, "www.broken.example."); !errors.As(err, &failure) || failure.Status != dnssec.Bogus {
				t.Errorf("www.broken.example.: got %v, error %v, want bogus", result, err)
			}

			forwarder.Stop()
			var route *resolver.RouteError
			result, err := r.Resolve(t.Context(), "dead.wild.plain.example.", dns.TypeA)
			if !errors.Is(err, resolver.ErrNoReachableServer) || !errors.As(err, &route) || route.Zone != "." {
				t.Errorf("without the forwarder: got %v, error %v, want a *RouteError of . with ErrNoReachableServer", result, err)
			}
			realresolver.Start(t, product, setting, "plain.example.")
			awaitAnswer(t, r, "again")
		})
	}
}

// askPatiently asks again after an outage: the machine may be busy for longer than a forwarder
// is waited for.
func askPatiently(ctx context.Context, r *resolver.Resolver, name string) (*resolver.Result, error) {
	for begin := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		result, err := r.Resolve(ctx, name, dns.TypeA)
		outage := errors.Is(err, resolver.ErrNoReachableServer) || errors.Is(err, resolver.ErrCached)
		if failure := (*resolver.Error)(nil); errors.As(err, &failure) && failure.Status == dnssec.Bogus && !errors.Is(err, resolver.ErrNoReachableServer) {
			outage = false
		}
		if !outage || time.Since(begin) > 30*time.Second {
			return result, err
		}
	}
}
