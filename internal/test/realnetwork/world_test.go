package realnetwork

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/netns"
	"github.com/iterdns/iterdns/internal/test/realresolver"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/internal/test/realsigned"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/internal/test/testcert"
	"github.com/iterdns/iterdns/resolver"
)

// Addresses of the namespace. What comes from those of beyond is neither blocked nor intercepted.
const (
	here      = "198.18.8.1"
	elsewhere = "198.18.8.2"
	beyond    = "198.18.9.0/24"
	unbound   = "198.18.9.9"
	liar      = "198.18.9.10"
)

var (
	rootServers = []string{"198.18.0.1", "198.18.0.2", "198.18.0.3", "198.18.0.4"}
	tldServers  = []string{"198.18.1.1", "198.18.1.2"}
)

// topLevels is how many unsigned zones are below the root, beside one that is signed, alpha.
const topLevels = 60

// world is the servers of the namespace.
type world struct {
	root   string // the zone
	anchor dnssec.Anchor
	cert   *x509.CertPool // of the fallback
	asked  int
	late   atomic.Int64 // how far the resolver's clock is ahead, in nanoseconds
}

// newWorld starts the servers, or skips the test.
func newWorld(t *testing.T) *world {
	t.Helper()
	if noNamespace != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(noNamespace)
		}
		t.Skip(noNamespace)
	}
	realserver.Program(t, "nft")
	realserver.Program(t, "ip")
	realserver.Program(t, "unbound")
	realserver.Need(t, realserver.NSD, realserver.Knot)
	if err := netns.Claim("198.18.0.0/16"); err != nil && !strings.Contains(err.Error(), "File exists") {
		t.Fatal(err)
	}
	w := new(world)
	w.move(t, here)
	setRules(t, rules{})
	t.Cleanup(func() { setRules(t, rules{}) })
	w.startServers(t)
	return w
}

// move gives this host another address.
func (*world) move(t *testing.T, addr string) {
	t.Helper()
	command(t, "", "ip", "route", "replace", "local", "198.18.0.0/16", "dev", "lo", "src", addr)
}

func (w *world) startServers(t *testing.T) {
	t.Helper()
	alpha := realsigned.Sign(t, "knot", "alpha.", "nsec", "$TTL 300\n@ SOA ns hostmaster 1 3600 600 604800 300\n@ NS ns\n"+addrsOf("ns", tldServers)+"www A 192.0.2.80\nmail A 192.0.2.81\n*.wild A 192.0.2.82\n")
	var root strings.Builder
	fmt.Fprintf(&root, ". 300 NS ns.root.\n%salpha. 300 NS ns.alpha.\n%s%s", addrsOf("ns.root. 300", rootServers), addrsOf("ns.alpha. 300", tldServers), alpha.DS())
	below := []realserver.Zone{{Origin: "alpha.", Text: alpha.Text}}
	for i := range topLevels {
		origin := topLevel(i)
		fmt.Fprintf(&root, "%[1]s 300 NS ns.%[1]s\n%[2]s", origin, addrsOf("ns."+origin+" 300", tldServers))
		below = append(below, realserver.Zone{Origin: origin, Text: "$TTL 300\n@ SOA ns hostmaster 1 3600 600 604800 300\n@ NS ns\n" + addrsOf("ns", tldServers) + "www A 192.0.2.90\n"})
	}
	w.root = rootsigner.Sign(t, root.String(), rootsigner.Options{Signed: time.Now().Add(-time.Hour)})
	var err error
	if w.anchor, err = dnssec.NewAnchor(rootsigner.Key(0)); err != nil {
		t.Fatal(err)
	}
	realserver.StartAt(t, realserver.NSD, ports(rootServers), realserver.Zone{Origin: ".", Text: w.root})
	realserver.StartAt(t, realserver.Knot, ports(tldServers), below...)
	w.startUnbound(t)
}

// startUnbound runs Unbound beyond what blocks and intercepts, with DNS over TLS too.
func (w *world) startUnbound(t *testing.T) {
	t.Helper()
	dir := realserver.TempDir(t)
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	testcert.Write(t, certFile, keyFile, 1)
	text, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	w.cert = x509.NewCertPool()
	w.cert.AppendCertsFromPEM(text)
	realresolver.Start(t, realresolver.Unbound, realresolver.Setting{
		Listen: netip.AddrPortFrom(netip.MustParseAddr(unbound), 53),
		Hints:  ". 300 NS ns.root.\n" + addrsOf("ns.root. 300", rootServers),
		Extra: fmt.Sprintf("\tinterface: %[1]s@853\n\tinterface: %[1]s@5353\n\ttls-port: 853\n\ttls-service-pem: %[2]q\n\ttls-service-key: %[3]q\n"+
			"\toutgoing-interface: %[1]s\n\taccess-control: 198.18.0.0/16 allow", unbound, certFile, keyFile),
	}, "alpha.")
}

// fallback is Unbound, over TLS or over TCP at another port.
func (w *world) fallback(transport resolver.RouteTransport) *resolver.Route {
	port := uint16(5353)
	if transport == resolver.TransportTLS {
		port = 853
	}
	return &resolver.Route{Servers: []resolver.RouteServer{{
		Addr: netip.AddrPortFrom(netip.MustParseAddr(unbound), port), Name: testcert.Name,
		Transport: transport, TLSConfig: tlsConfig(transport, w.cert),
	}}}
}

// resolver returns one with this world's root, whose clock is the world's.
func (w *world) resolver(t *testing.T, change func(*resolver.Options)) *resolver.Resolver {
	t.Helper()
	w.late.Store(0)
	hint := glue.Server{Name: dnsname.MustParse("ns.root."), Bailiwick: glue.InDomain}
	for _, a := range rootServers {
		hint.Addrs = append(hint.Addrs, netip.MustParseAddr(a))
	}
	o := resolver.Options{
		RootHints:         &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{hint}},
		TrustAnchors:      []dnssec.Anchor{w.anchor},
		AllowServer:       func(netip.Addr) bool { return true },
		DisableLocalZones: true,
		Now:               func() time.Time { return time.Now().Add(time.Duration(w.late.Load())) },
	}
	if change != nil {
		change(&o)
	}
	r, err := resolver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	if o.LocalRoot != nil {
		if err := r.AwaitLocalRoot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// fresh returns a name that was not asked for yet, in a zone whose servers only the root servers know.
func (w *world) fresh() string {
	w.asked++
	return "www." + topLevel(w.asked%topLevels)
}

func topLevel(i int) string { return fmt.Sprintf("t%d.", i) }

func addrsOf(owner string, addrs []string) string {
	var b strings.Builder
	for _, a := range addrs {
		fmt.Fprintf(&b, "%s A %s\n", owner, a)
	}
	return b.String()
}

func ports(addrs []string) (all []netip.AddrPort) {
	for _, a := range addrs {
		all = append(all, netip.AddrPortFrom(netip.MustParseAddr(a), 53))
	}
	return all
}

// rules is what is done to packets for port 53 that do not come from beyond.
type rules struct {
	leaving  string // where this host sends them: an error of the socket
	arriving string // on their way
	led      string // to another address
}

var (
	droppedUDP = rules{arriving: "udp dport 53 drop"}
	droppedAll = rules{arriving: "meta l4proto { udp, tcp } th dport 53 drop"}
)

func ledTo(addr string) rules { return rules{led: "udp dport 53 dnat to " + addr} }

// setRules puts them in the place of those before, and counts from 0.
func setRules(t *testing.T, r rules) {
	t.Helper()
	command(t, fmt.Sprintf(`flush ruleset
table ip test {
	counter datagrams { }
	counter connections { }
	chain counting {
		type filter hook output priority -200;
		ip saddr %[1]s accept
		udp dport 53 counter name datagrams
		tcp dport 53 tcp flags & (syn | ack) == syn counter name connections
	}
	chain lead { type nat hook output priority -100; ip saddr != %[1]s jump led; }
	chain leave { type filter hook output priority 0; ip saddr != %[1]s jump leaving; }
	chain arrive { type filter hook input priority 0; ip saddr != %[1]s jump arriving; }
	chain led { %[2]s
	}
	chain leaving { %[3]s
	}
	chain arriving { %[4]s
	}
}
`, beyond, r.led, r.leaving, r.arriving), "nft", "-f", "-")
}

// sent returns how many packets over UDP, and how many connections, this host sent to port 53 since
// the rules were set.
func sent(t *testing.T) (udp, tcp int) {
	t.Helper()
	count := func(name string) int {
		words := strings.Fields(command(t, "", "nft", "list", "counter", "ip", "test", name))
		for i, word := range words[:len(words)-1] {
			if word == "packets" {
				n, err := strconv.Atoi(words[i+1])
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatalf("no count in %q", words)
		return 0
	}
	return count("datagrams"), count("connections")
}

func command(t *testing.T, stdin, program string, arguments ...string) string {
	t.Helper()
	// Not the test's context, which has ended when it cleans up.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, realserver.Program(t, program), arguments...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, arguments, err, stderr.String())
	}
	return string(out)
}

// startLiar answers every query at the liar's address over UDP and TCP, until the test ends.
func startLiar(t *testing.T, answer func(*dns.Msg) *dns.Msg) {
	t.Helper()
	for _, network := range []string{"udp", "tcp"} {
		started := make(chan struct{})
		s := &dns.Server{Addr: liar + ":53", Net: network, NotifyStartedFunc: func() { close(started) }}
		s.Handler = dns.HandlerFunc(func(to dns.ResponseWriter, q *dns.Msg) {
			if m := answer(q); m != nil {
				_ = to.WriteMsg(m) // the client may have gone
			}
		})
		failed := make(chan error, 1)
		go func() { failed <- s.ListenAndServe() }()
		select {
		case <-started:
		case err := <-failed:
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = s.Shutdown()
			<-failed
		})
	}
}
