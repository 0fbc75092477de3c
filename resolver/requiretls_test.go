package resolver_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/test/testcert"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// tlsWorld: the servers of bank.example and of the zone below it are asked over TLS, in these tests.
const tlsWorld = `
-- zone . at 198.18.0.1 signed --
-- zone example. at 198.18.0.2 signed --
www             A       192.0.2.1
tobank          CNAME   www.bank.example.
-- zone bank.example. at 198.51.100.9 198.51.100.10 --
@               NS      ns1
@               NS      ns2
ns1             A       198.51.100.9
ns2             A       198.51.100.10
www             A       192.0.2.80
to              CNAME   www.pay.bank.example.
pay             NS      ns1.pay
ns1.pay         A       198.51.100.11
-- zone pay.bank.example. at 198.51.100.11 --
@               NS      ns1
ns1             A       198.51.100.11
www             A       192.0.2.81
`

// bankServers are the addresses of its servers.
var bankServers = []string{"198.51.100.9", "198.51.100.10", "198.51.100.11"}

// tlsBehaviour is what a server does at port 853.
type tlsBehaviour uint8

const (
	tlsServes  tlsBehaviour = iota
	tlsCloses               // after each reply
	tlsGarbage              // not TLS
	tlsRefuses
	tlsSilent
	tlsHangsUp // after the handshake
)

// tlsFront is a server at port 853, before that of a mock zone.
type tlsFront struct {
	cert tls.Certificate
	does tlsBehaviour
}

// tlsNet is a mock Internet in which servers can be asked over TLS.
type tlsNet struct {
	in     *resolvertest.Internet
	ctx    context.Context // ends with the test, before the Internet, which then lets nobody in
	fronts map[string]tlsFront
	roots  *x509.CertPool

	mu       sync.Mutex
	inClear  []string // addresses that were dialed at another port than 853
	conns    map[string]int
	resumed  int
	unpadded int
}

// newTLSNet makes the mock Internet, with a certificate for the names of each server of the bank.
func newTLSNet(t *testing.T, text string) *tlsNet {
	n := &tlsNet{in: resolvertest.New(t, text), ctx: t.Context(), fronts: make(map[string]tlsFront), roots: x509.NewCertPool(), conns: make(map[string]int)}
	for i, names := range [][]string{{"ns1.bank.example"}, {"ns2.bank.example"}, {"ns1.pay.bank.example"}} {
		n.fronts[bankServers[i]] = tlsFront{cert: n.trust(testcert.For(t, int64(i), time.Now().Add(time.Hour), names...))}
	}
	return n
}

// trust makes a certificate one that the resolver trusts.
func (n *tlsNet) trust(c tls.Certificate) tls.Certificate {
	n.roots.AddCert(c.Leaf)
	return c
}

// resolver returns a resolver of the Internet that has to ask the servers of bank.example over TLS,
// unless change says otherwise.
func (n *tlsNet) resolver(t *testing.T, change ...func(*resolver.Options)) *resolver.Resolver {
	return n.in.Resolver(t, append([]func(*resolver.Options){func(o *resolver.Options) {
		o.Dial = n.dial
		o.RequireTLS = []resolver.TLSRequirement{{Zone: "bank.example", TLSConfig: &tls.Config{RootCAs: n.roots}}}
	}}, change...)...)
}

func (n *tlsNet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	at := netip.MustParseAddrPort(address)
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.Port() != 853 {
		n.inClear = append(n.inClear, at.Addr().String())
		return n.in.Dial(ctx, network, address)
	}
	n.conns[at.Addr().String()]++
	front, ok := n.fronts[at.Addr().String()]
	if !ok || front.does == tlsRefuses || network != "tcp" {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	go func() {
		buffered := newBufferedConn(there)
		defer buffered.Close()
		n.serve(front, buffered, netip.AddrPortFrom(at.Addr(), 53).String())
	}()
	return here, nil
}

// bufferedConn is a connection whose writes do not wait for the other side, as those of TCP; a pipe's
// do, so that an alert against a handshake would meet the rest of it.
type bufferedConn struct {
	net.Conn
	queue chan []byte
	ended chan struct{}
}

func newBufferedConn(inner net.Conn) *bufferedConn {
	c := &bufferedConn{inner, make(chan []byte, 100), make(chan struct{})}
	go func() {
		defer close(c.ended)
		for b := range c.queue {
			inner.Write(b)
		}
	}()
	return c
}

func (c *bufferedConn) Write(b []byte) (int, error) {
	c.queue <- bytes.Clone(b)
	return len(b), nil
}

// Close closes the connection once all is written.
func (c *bufferedConn) Close() error {
	close(c.queue)
	<-c.ended
	return c.Conn.Close()
}

// serve is a connection at port 853.
func (n *tlsNet) serve(front tlsFront, raw net.Conn, behind string) {
	switch front.does {
	case tlsSilent:
		io.Copy(io.Discard, raw)
		return
	case tlsGarbage:
		go io.Copy(io.Discard, raw)
		raw.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
		return
	case tlsServes, tlsCloses, tlsRefuses, tlsHangsUp:
	}
	config := &tls.Config{Certificates: []tls.Certificate{front.cert}}
	config.SetSessionTicketKeys([][32]byte{{1}}) // of all connections
	conn := tls.Server(raw, config)
	if conn.Handshake() != nil || front.does == tlsHangsUp {
		return
	}
	n.mu.Lock()
	if conn.ConnectionState().DidResume {
		n.resumed++
	}
	n.mu.Unlock()
	back, err := n.in.Dial(n.ctx, "tcp", behind)
	if err != nil {
		return
	}
	defer back.Close()
	for {
		query, err := frame(conn)
		if err != nil {
			return
		}
		if (len(query)-2)%128 != 0 {
			n.mu.Lock()
			n.unpadded++
			n.mu.Unlock()
		}
		back.Write(query)
		reply, err := frame(back)
		if err != nil {
			return
		}
		conn.Write(reply)
		if front.does == tlsCloses {
			return
		}
	}
}

// frame reads a message with its length before it.
func frame(r io.Reader) ([]byte, error) {
	length := make([]byte, 2)
	if _, err := io.ReadFull(r, length); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length))
	_, err := io.ReadFull(r, message)
	return append(length, message...), err
}

// connsTo returns how many connections to a server at port 853 were tried.
func (n *tlsNet) connsTo(server string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conns[server]
}

// set replaces what is at port 853.
func (n *tlsNet) set(fronts map[string]tlsFront) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fronts = fronts
}

// clearOf returns which of the addresses were asked in clear.
func (n *tlsNet) clearOf(addrs ...string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.inClear), func(a string) bool { return !slices.Contains(addrs, a) })
}

// resolve asks, and fails the test if there is no such answer.
func (n *tlsNet) resolve(t *testing.T, r *resolver.Resolver, name, want string) *resolver.Result {
	t.Helper()
	result, err := r.Resolve(t.Context(), name, dns.TypeA)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !slices.ContainsFunc(result.Answer, func(rr dns.RR) bool { a, ok := rr.(*dns.A); return ok && a.A.String() == want }) {
		t.Errorf("%s: got %v, want %s", name, result.Answer, want)
	}
	return result
}

// The servers of a zone, and of the zone below it, are asked over TLS only, on one connection each,
// in padded queries; what leads to them is asked as ever. Result, Trace and Stats say so.
func TestRequireTLSOfZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newTLSNet(t, tlsWorld)
		r := n.resolver(t)
		var sent, overTLS, done int
		ctx := resolver.WithTrace(t.Context(), &resolver.Trace{
			Query: func(q resolver.QueryInfo) {
				sent++
				mine := strings.HasSuffix(q.Zone, "bank.example.")
				if mine != (q.Network == "tls") || mine != (q.Server.Port() == 853) {
					t.Errorf("%s at %v over %s for %s", q.Asked.Name, q.Server, q.Network, q.Zone)
				}
				if mine {
					overTLS++
				}
			},
			Done: func(d resolver.DoneInfo) { done = d.SendsTLS },
		})
		result, err := r.Resolve(ctx, "to.bank.example.", dns.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		if result.Queries != sent || result.QueriesTLS != overTLS || done != overTLS || overTLS < 3 || overTLS == sent {
			t.Errorf("got %d queries, %d over TLS, %d at the end; the trace has %d, %d", result.Queries, result.QueriesTLS, done, sent, overTLS)
		}
		for _, name := range []string{"www.bank.example.", "none.bank.example.", "none.pay.bank.example.", "b.bank.example."} {
			if result, err := r.Resolve(t.Context(), name, dns.TypeA); err != nil || result.Queries != result.QueriesTLS || result.Queries == 0 {
				t.Errorf("%s: got %+v, %v", name, result, err)
			}
		}
		if result := n.resolve(t, r, "www.bank.example.", "192.0.2.80"); !result.FromCache || result.Queries+result.QueriesTLS != 0 {
			t.Errorf("from the cache: %+v", result)
		}
		n.resolve(t, r, "www.example.", "192.0.2.1")
		if clear := n.clearOf(bankServers...); len(clear) > 0 {
			t.Errorf("asked in clear: %v", clear)
		}
		s := r.Stats()
		if s.SentTLS < uint64(overTLS)+4 || s.SentTLS > s.SentTCP || s.Connections == 0 {
			t.Errorf("got %d over TLS, %d over TCP, %d connections", s.SentTLS, s.SentTCP, s.Connections)
		}
		synctest.Wait() // what is asked beside the questions uses connections too
		for server, conns := range n.conns {
			if conns != 1 {
				t.Errorf("%d connections to %s, want 1", conns, server)
			}
		}
		if n.unpadded > 0 {
			t.Errorf("%d queries were not padded", n.unpadded)
		}
		r.Close()
		if got := r.Stats().Connections; got != 0 {
			t.Errorf("%d connections are open after Close", got)
		}
	})
}

// Where a server cannot be reached over TLS, the other one is asked, and where neither can, the question
// fails, says why, and nothing is asked in clear.
func TestRequireTLSFailures(t *testing.T) {
	for _, tt := range []struct {
		fault       string
		change      func(t *testing.T, n *tlsNet, f *tlsFront)
		certificate bool
		text        string // of the error; "": there is none
	}{
		{"closes after each reply", func(_ *testing.T, _ *tlsNet, f *tlsFront) { f.does = tlsCloses }, false, ""},
		{"name", func(t *testing.T, n *tlsNet, f *tlsFront) {
			f.cert = n.trust(testcert.For(t, 9, time.Now().Add(time.Hour), "www.bank.example"))
		}, true, "for another name"},
		{"expired", func(t *testing.T, n *tlsNet, f *tlsFront) {
			f.cert = n.trust(testcert.For(t, 9, time.Now().Add(-time.Hour), "ns1.bank.example", "ns2.bank.example"))
		}, true, "has expired"},
		{"self-signed", func(t *testing.T, _ *tlsNet, f *tlsFront) {
			f.cert = testcert.For(t, 9, time.Now().Add(time.Hour), "ns1.bank.example", "ns2.bank.example")
		}, true, "unknown authority"},
		{"garbage", func(_ *testing.T, _ *tlsNet, f *tlsFront) { f.does = tlsGarbage }, false, "does not look like a TLS handshake"},
		{"refuses", func(_ *testing.T, _ *tlsNet, f *tlsFront) { f.does = tlsRefuses }, false, "connection refused"},
		{"silent", func(_ *testing.T, _ *tlsNet, f *tlsFront) { f.does = tlsSilent }, false, "timed out"},
	} {
		for _, both := range []bool{false, true} {
			t.Run(tt.fault, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newTLSNet(t, tlsWorld)
					for i, server := range bankServers[:2] {
						if f := n.fronts[server]; both || i == 0 {
							tt.change(t, n, &f)
							n.fronts[server] = f
						}
					}
					r := n.resolver(t)
					result, err := r.Resolve(t.Context(), "www.bank.example.", dns.TypeA)
					if clear := n.clearOf(bankServers...); len(clear) > 0 {
						t.Fatalf("asked in clear: %v", clear)
					}
					if !both || tt.text == "" {
						if err != nil || len(result.Answer) != 1 || result.QueriesTLS == 0 {
							t.Fatalf("got %+v, %v, want an answer", result, err)
						}
						return
					}
					if !errors.Is(err, resolver.ErrTLSRequired) || errors.Is(err, resolver.ErrCertificate) != tt.certificate || !strings.Contains(err.Error(), tt.text) {
						t.Errorf("got %v", err)
					}
					if got := resolver.Explain(err); !strings.Contains(got, "not asked in clear") || !strings.Contains(got, tt.text) {
						t.Errorf("explained: %s", got)
					}
					want := resolver.FailureTLS
					if tt.certificate {
						want = resolver.FailureCertificate
					}
					if got := resolver.Reason(err); got != want || r.Stats().Failures[want] != 1 {
						t.Errorf("got reason %q, %v, want %q", got, r.Stats().Failures, want)
					}
					if _, err := r.Resolve(t.Context(), "www.example.", dns.TypeA); err != nil {
						t.Errorf("a name of another zone: %v", err)
					}
				})
			})
		}
	}
}

// A server that cannot be reached over TLS is marked down: with another one beside it, it costs few
// handshakes, and without any, few of them too, and none in clear. Once it is mended it is used again.
func TestRequireTLSMarksDown(t *testing.T) {
	for _, tt := range []struct {
		fault string
		does  tlsBehaviour
		cert  bool // it is the certificate
	}{{"certificate", tlsServes, true}, {"garbage", tlsGarbage, false}, {"refuses", tlsRefuses, false}, {"closes after the handshake", tlsHangsUp, false}} {
		for _, both := range []bool{false, true} {
			t.Run(tt.fault, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newTLSNet(t, tlsWorld)
					good := maps.Clone(n.fronts)
					broken := bankServers[:1]
					if both {
						broken = bankServers[:2]
					}
					for i, server := range broken {
						f := tlsFront{good[server].cert, tt.does}
						if tt.cert {
							f.cert = testcert.For(t, int64(30+i), time.Now().Add(time.Hour), "ns1.bank.example", "ns2.bank.example")
						}
						n.fronts[server] = f
					}
					r := n.resolver(t)
					ask := func(i int) (*resolver.Result, error) {
						return r.Resolve(t.Context(), fmt.Sprintf("n%d.bank.example.", i), dns.TypeA)
					}
					for i := range 200 {
						_, err := ask(i)
						if both != (err != nil) || both && !errors.Is(err, resolver.ErrTLSRequired) {
							t.Fatalf("question %d: got %v", i, err)
						}
						if both && errors.Is(err, resolver.ErrCertificate) != tt.cert {
							t.Fatalf("question %d: does not say why: %v", i, err)
						}
						time.Sleep(100 * time.Millisecond)
					}
					for _, server := range broken { // 3 at once, and then after 4, 8, 15 s; with another after 1, 2, 4, 8 s
						if got := n.connsTo(server); got > 8 {
							t.Errorf("%d connections to %s within 20 s", got, server)
						}
					}
					n.set(good)
					time.Sleep(16 * time.Second)
					if _, err := ask(1000); err != nil {
						t.Errorf("once they are mended: %v", err)
					}
					if clear := n.clearOf(bankServers...); len(clear) > 0 {
						t.Errorf("asked in clear: %v", clear)
					}
				})
			})
		}
	}
}

// A zone that names the servers of another one, by names that their certificates do not have, does not
// have them marked down for that one.
func TestRequireTLSMarksDownByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newTLSNet(t, tlsWorld+`
-- zone evil.example. at 198.51.100.66 --
@               NS      ns1
@               NS      ns2
ns1             A       198.51.100.9
ns2             A       198.51.100.10
`)
		r := n.resolver(t, func(o *resolver.Options) {
			o.RequireTLS = append(o.RequireTLS, resolver.TLSRequirement{Zone: "evil.example", TLSConfig: &tls.Config{RootCAs: n.roots}})
		})
		for i := range 10 {
			if _, err := r.Resolve(t.Context(), fmt.Sprintf("n%d.evil.example.", i), dns.TypeA); !errors.Is(err, resolver.ErrTLSRequired) {
				t.Errorf("of the other zone: got %v", err)
			}
		}
		for i := range 4 {
			if _, err := r.Resolve(t.Context(), fmt.Sprintf("n%d.bank.example.", i), dns.TypeA); err != nil {
				t.Errorf("got %v", err)
			}
		}
	})
}

// A server that has to be asked over TLS by its address has failed without TLS, and the next one is
// asked, which may be in clear. Any zone that leads to the address is asked so.
func TestRequireTLSOfAddress(t *testing.T) {
	for _, works := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := newTLSNet(t, tlsWorld)
			if !works {
				n.fronts = nil
			}
			r := n.resolver(t, func(o *resolver.Options) {
				o.RequireTLS = []resolver.TLSRequirement{
					{Servers: netip.MustParsePrefix("198.51.100.0/24"), Name: "nowhere.example", TLSConfig: &tls.Config{RootCAs: n.roots}},
					{Servers: netip.MustParsePrefix("198.51.100.9/32"), Name: "ns1.bank.example", TLSConfig: &tls.Config{RootCAs: n.roots}},
					{Servers: netip.MustParsePrefix("198.51.100.11/32"), Name: "ns1.pay.bank.example.", TLSConfig: &tls.Config{RootCAs: n.roots}},
				}
			})
			_, err := r.Resolve(t.Context(), "to.bank.example.", dns.TypeA)
			if works != (err == nil) || !works && !errors.Is(err, resolver.ErrTLSRequired) {
				t.Errorf("with TLS %t: got %v", works, err)
			}
			if clear := n.clearOf(bankServers...); len(clear) > 0 {
				t.Errorf("asked in clear: %v", clear)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		n := newTLSNet(t, tlsWorld)
		n.fronts = nil
		r := n.resolver(t, func(o *resolver.Options) {
			o.RequireTLS = []resolver.TLSRequirement{{Servers: netip.MustParsePrefix("198.51.100.9/32")}}
		})
		result := n.resolve(t, r, "www.bank.example.", "192.0.2.80")
		if clear := n.clearOf("198.51.100.9"); len(clear) > 0 || result.QueriesTLS != 0 {
			t.Errorf("asked in clear: %v; %d queries over TLS", clear, result.QueriesTLS)
		}
	})
}

// pinOf returns the pin of a certificate's key.
func pinOf(c tls.Certificate) string {
	digest := sha256.Sum256(c.Leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(digest[:])
}

// A pinned key is enough without a name, but has to be the server's own: a chain that nobody has
// verified may have any certificate. With a name, both have to be right (RFC 8310 §6.6).
func TestRequireTLSPins(t *testing.T) {
	for _, tt := range []struct {
		what string
		ok   bool
		req  func(n *tlsNet, own, other tls.Certificate) resolver.TLSRequirement
	}{
		{"own key", true, func(_ *tlsNet, own, other tls.Certificate) resolver.TLSRequirement {
			return resolver.TLSRequirement{Pins: []string{pinOf(other), pinOf(own)}}
		}},
		{"another key", false, func(_ *tlsNet, _, other tls.Certificate) resolver.TLSRequirement {
			return resolver.TLSRequirement{Pins: []string{pinOf(other)}}
		}},
		{"name and own key", true, func(n *tlsNet, own, _ tls.Certificate) resolver.TLSRequirement {
			return resolver.TLSRequirement{Name: "all.example", Pins: []string{pinOf(own)}, TLSConfig: &tls.Config{RootCAs: n.roots}}
		}},
		{"name and another key", false, func(n *tlsNet, _, other tls.Certificate) resolver.TLSRequirement {
			return resolver.TLSRequirement{Name: "all.example", Pins: []string{pinOf(other)}, TLSConfig: &tls.Config{RootCAs: n.roots}}
		}},
		{"another name and own key", false, func(n *tlsNet, own, _ tls.Certificate) resolver.TLSRequirement {
			return resolver.TLSRequirement{Name: "other.example", Pins: []string{pinOf(own)}, TLSConfig: &tls.Config{RootCAs: n.roots}}
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newTLSNet(t, tlsWorld)
			own, other := testcert.For(t, 20, time.Now().Add(time.Hour), "all.example"), testcert.For(t, 21, time.Now().Add(time.Hour), "all.example")
			n.trust(own)
			shown := own
			shown.Certificate = append(slices.Clone(own.Certificate), other.Certificate[0]) // which proves nothing
			for _, server := range bankServers {
				n.fronts[server] = tlsFront{cert: shown, does: tlsCloses}
			}
			r := n.resolver(t, func(o *resolver.Options) {
				q := tt.req(n, own, other)
				q.Zone = "bank.example."
				o.RequireTLS = []resolver.TLSRequirement{q}
			})
			for _, name := range []string{"www.bank.example.", "a.bank.example.", "b.bank.example."} { // of later ones the session is resumed
				if _, err := r.Resolve(t.Context(), name, dns.TypeA); tt.ok != (err == nil) || !tt.ok && !errors.Is(err, resolver.ErrTLSRequired) {
					t.Errorf("%s: %s: got %v, want success: %t", tt.what, name, err, tt.ok)
				}
			}
			synctest.Wait() // what is asked beside the questions opens connections too
			if tt.ok && n.resumed == 0 {
				t.Errorf("%s: no session was resumed", tt.what)
			}
			if clear := n.clearOf(bankServers...); len(clear) > 0 {
				t.Errorf("%s: asked in clear: %v", tt.what, clear)
			}
		})
	}
}

// Servers above a zone that has to be asked over TLS are not believed about its names, neither where
// they have the zone too, nor at the end of an alias.
func TestRequireTLSNotInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newTLSNet(t, strings.NewReplacer("198.51.100.9 198.51.100.10 --", "198.18.0.2 --").Replace(tlsWorld))
		for _, name := range []string{"www.bank.example.", "bank.example.", "tobank.example.", "a.pay.bank.example."} {
			r := n.resolver(t)
			result, err := r.Resolve(t.Context(), name, dns.TypeA)
			if !errors.Is(err, resolver.ErrTLSRequired) || !strings.Contains(err.Error(), "do not refer to bank.example.") {
				t.Errorf("%s: got %+v, %v", name, result, err)
			}
		}
		for _, q := range n.in.Log() {
			if strings.HasSuffix(strings.ToLower(q.Name), ".bank.example.") {
				t.Errorf("asked in clear: %v", q)
			}
		}
	})
}

// Servers above are not believed either that there is no such zone: that came in clear.
func TestRequireTLSDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newTLSNet(t, "-- zone . at 198.18.0.1 signed --\n-- zone example. at 198.18.0.2 --\nwww A 192.0.2.1\n")
		for _, zone := range []string{"bank.example", "a.bank.example"} {
			for _, minimise := range []resolver.Minimise{resolver.MinimiseRelaxed, resolver.MinimiseStrict, resolver.MinimiseOff} {
				r := n.resolver(t, func(o *resolver.Options) {
					o.RequireTLS, o.Minimise = []resolver.TLSRequirement{{Zone: zone}}, minimise
				})
				if result, err := r.Resolve(t.Context(), "www.a.bank.example.", dns.TypeA); !errors.Is(err, resolver.ErrTLSRequired) {
					t.Errorf("%s: got %+v, %v", zone, result, err)
				}
			}
		}
	})
}

// Connections that zones lead to are bounded for each zone, so that one of them leaves some to others.
func TestRequireTLSConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newTLSNet(t, tlsWorld)
		for _, server := range bankServers {
			n.fronts[server] = tlsFront{does: tlsSilent}
		}
		r := n.resolver(t, func(o *resolver.Options) { o.Limits.Connections = 4 })
		var ended sync.WaitGroup
		for i := range 8 {
			ended.Go(func() {
				name := "b" + string(rune('a'+i)) + ".bank.example."
				if _, err := r.Resolve(t.Context(), name, dns.TypeA); err == nil {
					t.Errorf("%s: got an answer of a silent server", name)
				}
			})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.Stats().Connections; got != 1 {
			t.Errorf("got %d connections, want a quarter of those allowed", got)
		}
		ended.Wait()
	})
}

// Options.Fallback is not asked for names of a zone that requires TLS, and not believed about them at the
// end of an alias.
func TestRequireTLSFallback(t *testing.T) {
	demand := func(o *resolver.Options) { o.RequireTLS = []resolver.TLSRequirement{{Zone: "shop.example"}} }
	const alias = "\n-- zone alias.example. at 198.51.100.90 --\nto CNAME www.shop.example.\n"
	withFallback(t, alias, demand, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Update(closedNetwork)
		if _, err := r.Resolve(t.Context(), "www.plain.example.", dns.TypeA); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"www.shop.example.", "shop.example.", "to.alias.example."} {
			if result, err := r.Resolve(t.Context(), name, dns.TypeA); err == nil {
				t.Errorf("%s: got %+v", name, result)
			}
		}
		for _, q := range in.Log(resolvertest.To(fallbackAddr)) {
			if strings.HasSuffix(strings.ToLower(q.Name), "shop.example.") {
				t.Errorf("the fallback was asked for %v", q)
			}
		}
	})
}

// What was learnt in clear answers no question of a resolver that requires TLS.
func TestRequireTLSKeepsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newTLSNet(t, tlsWorld)
		shared := cache.New(cache.Options{})
		plain := n.resolver(t, func(o *resolver.Options) { o.Cache, o.RequireTLS = shared, nil })
		n.resolve(t, plain, "www.bank.example.", "192.0.2.80")
		strict := n.resolver(t, func(o *resolver.Options) { o.Cache = shared })
		if result := n.resolve(t, strict, "www.bank.example.", "192.0.2.80"); result.FromCache || result.QueriesTLS == 0 {
			t.Errorf("got %+v, want it over TLS", result)
		}
	})
}

// The end of a question, or of the resolver, ends handshakes at once.
func TestRequireTLSEnds(t *testing.T) {
	for _, closes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n := newTLSNet(t, tlsWorld)
			for _, server := range bankServers {
				n.fronts[server] = tlsFront{does: tlsSilent}
			}
			r := n.resolver(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := r.Resolve(ctx, "www.bank.example.", dns.TypeA)
				done <- err
			}()
			time.Sleep(time.Second)
			synctest.Wait()
			if got := r.Stats().Connections; got == 0 {
				t.Fatal("no handshake is under way")
			}
			before := time.Now()
			if closes {
				r.Close()
			} else {
				cancel()
			}
			err := <-done
			synctest.Wait()
			if got := r.Stats().Connections; err == nil || got != 0 || time.Since(before) != 0 {
				t.Errorf("closes %t: got %v and %d connections after %v", closes, err, got, time.Since(before))
			}
		})
	}
}

// Requirements that make no sense, and routes that contradict them, are refused.
func TestRequireTLSOptions(t *testing.T) {
	prefix := netip.MustParsePrefix("192.0.2.0/24")
	pin := base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))
	for _, tt := range []struct {
		reqs []resolver.TLSRequirement
		text string
	}{
		{[]resolver.TLSRequirement{{}}, "either Zone or Servers"},
		{[]resolver.TLSRequirement{{Zone: ".", Servers: prefix}}, "either Zone or Servers"},
		{[]resolver.TLSRequirement{{Zone: "a..b"}}, "zone"},
		{[]resolver.TLSRequirement{{Zone: "a.example", Name: "a..b"}}, "name"},
		{[]resolver.TLSRequirement{{Zone: "a.example"}, {Zone: "A.example."}}, "number 1: zone \"A.example.\": given twice"},
		{[]resolver.TLSRequirement{{Servers: prefix}, {Servers: prefix}}, "given twice"},
		{[]resolver.TLSRequirement{{Servers: netip.PrefixFrom(netip.MustParseAddr("192.0.2.1"), 24)}}, "bits set"},
		{[]resolver.TLSRequirement{{Servers: netip.PrefixFrom(netip.MustParseAddr("192.0.2.1"), 33)}}, "bits set"},
		{[]resolver.TLSRequirement{{Zone: "a.example", Pins: []string{"abc"}}}, "SHA-256"},
		{[]resolver.TLSRequirement{{Zone: "a.example", Pins: []string{pin, pin[4:]}}}, "SHA-256"},
		{[]resolver.TLSRequirement{{Zone: "a.example", TLSConfig: &tls.Config{InsecureSkipVerify: true}}}, "verifies nothing"},
	} {
		_, err := resolver.New(resolver.Options{RequireTLS: tt.reqs})
		var option *resolver.OptionError
		if !errors.As(err, &option) || option.Option != "RequireTLS" || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%+v: got %v, want %q", tt.reqs, err, tt.text)
		}
	}
	zone := []resolver.TLSRequirement{{Zone: "bank.example"}, {Servers: prefix}}
	for _, tt := range []struct {
		route resolver.Route
		ok    bool
	}{
		{resolver.Route{Zone: ".", Servers: server("198.51.100.1")}, false},
		{resolver.Route{Zone: "bank.example", Kind: resolver.RouteStub, Servers: server("198.51.100.1")}, false},
		{resolver.Route{Zone: "pay.bank.example", Servers: server("198.51.100.1")}, false},
		{resolver.Route{Zone: "pay.bank.example", Kind: resolver.RouteIterate}, true},
		{resolver.Route{Zone: "shop.example", Servers: server("198.51.100.1")}, true},
		{resolver.Route{Zone: "shop.example", Servers: server("192.0.2.1")}, false},
		{resolver.Route{Zone: "shop.example", Servers: []resolver.RouteServer{{Addr: netip.MustParseAddrPort("192.0.2.1:853"), Transport: resolver.TransportTLS}}}, true},
	} {
		r, err := resolver.New(resolver.Options{RequireTLS: zone, Routes: []resolver.Route{tt.route}})
		if err == nil {
			r.Close()
		}
		var option *resolver.OptionError
		if tt.ok != (err == nil) || !tt.ok && (!errors.As(err, &option) || option.Option != "Routes") {
			t.Errorf("%+v: got %v, want success: %t", tt.route, err, tt.ok)
		}
	}
	if _, err := resolver.New(resolver.Options{RequireTLS: zone, Exchanger: exchangesNothing{}}); err == nil {
		t.Error("an Exchanger is accepted beside RequireTLS")
	}
}

// The text of a requirement, as flags have it.
func TestParseTLSRequirement(t *testing.T) {
	for text, want := range map[string]resolver.TLSRequirement{
		"corp.example":                    {Zone: "corp.example"},
		".":                               {Zone: "."},
		"corp.example#dns.corp.example":   {Zone: "corp.example", Name: "dns.corp.example"},
		"192.0.2.53#ns1.example.net":      {Servers: netip.MustParsePrefix("192.0.2.53/32"), Name: "ns1.example.net"},
		"2001:db8::1":                     {Servers: netip.MustParsePrefix("2001:db8::1/128")},
		"2001:db8::/64,pin=YQ==,pin=Yg==": {Servers: netip.MustParsePrefix("2001:db8::/64"), Pins: []string{"YQ==", "Yg=="}},
	} {
		if got, err := resolver.ParseTLSRequirement(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a..b", "corp.example,unsigned", "192.0.2.0/33", "#name", "corp.example,pin"} {
		if got, err := resolver.ParseTLSRequirement(text); err == nil || !strings.Contains(err.Error(), "ZONE[#NAME]") {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

// exchangesNothing is an Exchanger that brings no reply.
type exchangesNothing struct{}

func (exchangesNothing) Exchange(context.Context, string, netip.AddrPort, []byte) ([]byte, error) {
	return nil, net.ErrClosed
}
