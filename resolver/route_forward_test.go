package resolver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
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

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/testcert"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const forwardedWorld = `
-- zone shop.example. at 198.51.100.3 signed --
www             A       192.0.2.80
alias           CNAME   www.plain.example.
*.wild          A       192.0.2.82
-- zone bad.example. at 198.51.100.4 signed break=corrupt:www/A --
www             A       192.0.2.81
-- zone plain.example. at 198.51.100.5 --
www             A       192.0.2.83
`

// recursive puts a resolver at 10.0.0.53 of the Internet, for others to forward to.
func kindRecursive(t *testing.T, in *resolvertest.Internet, change ...func(*resolver.Options)) *resolver.Resolver {
	r := in.Resolver(t, change...)
	in.Handle("10.0.0.53", dns.HandlerFunc(r.ServeDNS))
	return r
}

// forwardAll is a route for everything to a server.
func forwardAll(addr string) func(*resolver.Options) {
	return func(o *resolver.Options) { o.Routes = []resolver.Route{{Zone: ".", Servers: server(addr)}} }
}

// A forwarder's replies are validated as if they had come from the zone: secure, unsigned,
// or bogus; and the forwarder is asked for that with CD and DO, no minimised names, and no
// other server is asked.
func TestValidatedThroughForwarder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, forwardedWorld)
		kindRecursive(t, in)
		r := in.Resolver(t, forwardAll("10.0.0.53"))
		for _, tt := range []struct {
			name   string
			qtype  uint16
			rcode  int
			status dnssec.Status
		}{
			{"www.shop.example.", dns.TypeA, dns.RcodeSuccess, dnssec.Secure},
			{"www.shop.example.", dns.TypeMX, dns.RcodeSuccess, dnssec.Secure},
			{"none.shop.example.", dns.TypeA, dns.RcodeNameError, dnssec.Secure},
			{"a.wild.shop.example.", dns.TypeA, dns.RcodeSuccess, dnssec.Secure},
			{"alias.shop.example.", dns.TypeA, dns.RcodeSuccess, dnssec.Insecure},
			{"www.plain.example.", dns.TypeA, dns.RcodeSuccess, dnssec.Insecure},
			{"none.", dns.TypeA, dns.RcodeNameError, dnssec.Secure},
			{"www.bad.example.", dns.TypeA, 0, dnssec.Bogus},
		} {
			result, err := r.Resolve(t.Context(), tt.name, tt.qtype)
			var e *resolver.Error
			switch {
			case errors.As(err, &e):
				if e.Status != tt.status || tt.status != dnssec.Bogus {
					t.Errorf("%s: got %v, want %v", tt.name, err, tt.status)
				}
			case result.Status != tt.status || result.Rcode != tt.rcode:
				t.Errorf("%s: got %s %v, want %s %v", tt.name, dns.RcodeToString[result.Rcode], result.Status, dns.RcodeToString[tt.rcode], tt.status)
			}
		}
		for _, q := range in.Log(resolvertest.To("10.0.0.53")) {
			if !q.RD || !q.CD || !q.DO {
				t.Errorf("%v: RD %t, CD %t, DO %t, want all", q, q.RD, q.CD, q.DO)
			}
		}
	})
}

// A forwarder that strips signatures makes signed names bogus, not insecure.
func TestForwarderStripsSignatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, forwardedWorld)
		honest := in.Resolver(t)
		in.Handle("10.0.0.53", dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
			query.IsEdns0().SetDo(false)
			honest.ServeDNS(w, query)
		}))
		r := in.Resolver(t, forwardAll("10.0.0.53"))
		if got := statusOf(t, r, "www.shop.example."); got != dnssec.Bogus {
			t.Errorf("got %v, want bogus", got)
		}
		trusting := in.Resolver(t, func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: ".", Servers: server("10.0.0.53"), Unsigned: true}}
		})
		if got := statusOf(t, trusting, "www.shop.example."); got != dnssec.Insecure {
			t.Errorf("declared unsigned: got %v, want insecure", got)
		}
	})
}

// Of several forwarders another one is asked when the first is late, fails, or refuses.
func TestForwardersFailOver(t *testing.T) {
	for _, fault := range []string{"dead", "rcode SERVFAIL", "lame refused", "refuse", "replace NOERROR", "garbage", "latency 5s"} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, forwardedWorld+"-- zone other.example. at 198.51.100.77 --\n-- fault 198.51.100.77 --\n"+fault+"\n")
				kindRecursive(t, in)
				r := in.Resolver(t, func(o *resolver.Options) {
					o.Routes = []resolver.Route{{Zone: ".", Servers: append(server("198.51.100.77"), server("10.0.0.53")...)}}
				})
				start := time.Now()
				for _, name := range []string{"www.shop.example.", "www.plain.example.", "a.wild.shop.example.", "b.wild.shop.example."} {
					if got := addressesOf(t, r, name); !strings.HasPrefix(got, "NOERROR 192.0.2.") {
						t.Errorf("%s: got %s, want an address", name, got)
					}
				}
				if took := time.Since(start); took > 4*time.Second {
					t.Errorf("took %v, want less than 4s", took)
				}
			})
		})
	}
}

// The servers of a resolv.conf are used, and those it has later.
func TestRouteResolvConf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# comment\nsearch example\nnameserver 10.0.0.53\nnameserver not-an-address\n")
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, forwardedWorld)
		kindRecursive(t, in)
		r := in.Resolver(t, func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: "example", ResolvConf: file}}
		})
		wantAddresses(t, r, "www.shop.example.", "NOERROR 192.0.2.80")
		first := in.Count(resolvertest.To("10.0.0.53"))
		if first == 0 {
			t.Errorf("the server of the file was not asked")
		}
		write("nameserver 10.0.0.55\n")
		in.Handle("10.0.0.55", dns.HandlerFunc(in.Resolver(t).ServeDNS))
		time.Sleep(6 * time.Second)
		wantAddresses(t, r, "www.plain.example.", "NOERROR 192.0.2.83")
		if in.Count(resolvertest.To("10.0.0.55")) == 0 || in.Count(resolvertest.To("10.0.0.53")) != first {
			t.Errorf("the changed file is not used:\n%s", resolvertest.Table(in.Log(resolvertest.To("10.0.0.53", "10.0.0.55"))))
		}
		write("no servers\n")
		time.Sleep(6 * time.Second)
		wantAddresses(t, r, "a.wild.shop.example.", "NOERROR 192.0.2.82")
	})
}

// hook is an Exchanger as for DNS over HTTPS: it sends elsewhere by its own means.
type hook struct {
	in    *resolvertest.Internet
	calls atomic.Int64
}

func (h *hook) Exchange(ctx context.Context, network string, _ netip.AddrPort, query []byte) ([]byte, error) {
	h.calls.Add(1)
	conn, err := h.in.Dial(ctx, "udp", "10.0.0.53:53")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	reply := make([]byte, dns.MaxMsgSize)
	n, err := conn.Read(reply)
	return reply[:n], err
}

func TestRouteHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, forwardedWorld)
		kindRecursive(t, in)
		h := &hook{in: in}
		r := in.Resolver(t, func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: ".", Servers: []resolver.RouteServer{{Name: "dns.example", Exchanger: h}}}}
		})
		var networks []string
		ctx := resolver.WithTrace(t.Context(), &resolver.Trace{Query: func(q resolver.QueryInfo) { networks = append(networks, q.Network) }})
		result, err := r.Resolve(ctx, "www.shop.example.", dns.TypeA)
		if err != nil || result.Status != dnssec.Secure {
			t.Errorf("got %+v, %v, want a secure answer", result, err)
		}
		if int(h.calls.Load()) < len(networks) || len(networks) == 0 || networks[0] != "https" {
			t.Errorf("got %d calls for %v, want each, as https", h.calls.Load(), networks)
		}
	})
}

// Over TLS: the certificate has to name the server, or its address; one connection carries many
// queries, all padded; and nothing ever goes over UDP. It is in the bubble, since a query that is late,
// as on a busy machine, has its connection replaced; TestRealServersOverTLS has real sockets.
func TestRouteOverTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, forwardedWorld)
		upstream := in.Resolver(t)
		cert := testcert.New(t, 1)
		pool := x509.NewCertPool()
		pool.AddCert(cert.Leaf)
		addr := netip.MustParseAddrPort("127.0.0.1:853")
		listener := &pipeListener{addr: addr, dialled: make(chan net.Conn), closed: make(chan struct{})}
		var unpadded atomic.Int64
		counting := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
			if query.Len()%128 != 0 {
				unpadded.Add(1)
			}
			upstream.ServeDNS(w, query)
		})
		srv := &dns.Server{
			Listener: tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{cert}}),
			Handler:  counting,
		}
		served := make(chan error, 1)
		go func() { served <- srv.ActivateAndServe() }()
		defer func() {
			srv.Shutdown()
			<-served
		}()
		for _, tt := range []struct {
			name string
			ok   bool
		}{{"dns.example", true}, {"dns.example.", true}, {"", true}, {"other.example", false}} {
			var conns atomic.Int64
			r := in.Resolver(t, func(o *resolver.Options) {
				o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if network != "tcp" || address != addr.String() {
						t.Errorf("%q: dialled %s over %s", tt.name, address, network)
						return nil, net.ErrClosed
					}
					conns.Add(1)
					return listener.dial(ctx)
				}
				o.Routes = []resolver.Route{{Zone: ".", Servers: []resolver.RouteServer{{
					Addr: addr, Name: tt.name, Transport: resolver.TransportTLS, TLSConfig: &tls.Config{RootCAs: pool},
				}}}}
			})
			for _, name := range []string{"www.shop.example.", "www.plain.example.", "none.shop.example."} {
				_, err := r.Resolve(t.Context(), name, dns.TypeA)
				var wrongName x509.HostnameError
				if tt.ok && err != nil || !tt.ok && (err == nil || !errors.As(err, &wrongName) && !errors.Is(err, resolver.ErrCached)) {
					t.Errorf("%q: %s: got %v, want success: %t", tt.name, name, err, tt.ok)
				}
			}
			if n := conns.Load(); tt.ok && n != 1 {
				t.Errorf("%q: got %d connections, want 1", tt.name, n)
			}
			r.Close()
		}
		if n := unpadded.Load(); n != 0 {
			t.Errorf("%d queries were not padded", n)
		}
	})
}

// pipeListener accepts connections in memory.
type pipeListener struct {
	addr    netip.AddrPort
	dialled chan net.Conn
	once    sync.Once
	closed  chan struct{}
}

// dial is the other end of Accept.
func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.dialled <- newBufferedConn(there):
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.dialled:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }
