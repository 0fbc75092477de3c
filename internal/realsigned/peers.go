package realsigned

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/realserver"
)

// peer is another validating resolver.
type peer struct {
	name, program string
	// config gives the configuration and the command line for it.
	config    func(w *world, dir string, addr netip.AddrPort) string
	arguments []string
}

const peerConfig = "resolver.conf"

var unbound = peer{"Unbound", "unbound", unboundConfig, []string{"-d", "-c", peerConfig}}

func unboundConfig(w *world, dir string, addr netip.AddrPort) string {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
	directory: %[1]q
	interface: %[2]s@%[3]d
	access-control: 127.0.0.0/8 allow
	chroot: ""
	username: ""
	pidfile: ""
	use-syslog: no
	logfile: ""
	do-daemonize: no
	do-ip6: no
	num-threads: 1
	do-not-query-localhost: no
	module-config: "validator iterator"
`, dir, addr.Addr(), addr.Port())
	for _, z := range w.zones {
		for _, anchor := range z.anchors {
			fmt.Fprintf(&b, "\ttrust-anchor: %q\n", anchor)
		}
	}
	b.WriteString("remote-control:\n\tcontrol-enable: no\n")
	for _, z := range w.zones {
		at := w.addrs[z.product]
		for _, zone := range []string{z.origin, "plain." + z.origin, "plain2." + z.origin} {
			fmt.Fprintf(&b, "stub-zone:\n\tname: %q\n\tstub-addr: %s@%d\n", zone, at.Addr(), at.Port())
		}
	}
	return b.String()
}

var knotResolver = peer{"Knot Resolver", "kresd", knotResolverConfig, []string{"-n", "-q", "-c", peerConfig, "."}}

func knotResolverConfig(w *world, _ string, addr netip.AddrPort) string {
	var b strings.Builder
	fmt.Fprintf(&b, "net.listen('%s', %d, { kind = 'dns' })\nnet.ipv6 = false\ncache.size = 10 * MB\n", addr.Addr(), addr.Port())
	b.WriteString("modules = { 'policy' }\ntrust_anchors.remove('.')\n")
	for _, z := range w.zones {
		for _, anchor := range z.anchors {
			fmt.Fprintf(&b, "trust_anchors.add([[%s]])\n", anchor)
		}
		at := w.addrs[z.product]
		fmt.Fprintf(&b, "policy.add(policy.suffix(policy.FORWARD('%s@%d'), policy.todnames({'%s'})))\n", at.Addr(), at.Port(), z.origin)
	}
	return b.String()
}

// start runs a peer until the test ends.
func (w *world) start(t *testing.T, p peer) netip.AddrPort {
	t.Helper()
	realserver.Program(t, p.program)
	dir, addr := realserver.TempDir(t), realserver.FreeAddr(t)
	writeFile(t, dir, peerConfig, p.config(w, dir, addr))
	process, err := realserver.Run(dir, p.program, p.arguments...)
	if err != nil {
		t.Fatal(err)
	}
	process.EndWith(t)
	awaitPeer(t, process, addr, w.zones[0].origin)
	return addr
}

// awaitPeer returns when the resolver answers.
func awaitPeer(t *testing.T, process *realserver.Process, addr netip.AddrPort, zone string) {
	t.Helper()
	client := dns.Client{Timeout: time.Second}
	err := process.Await(func(ctx context.Context) error {
		reply, _, err := client.ExchangeContext(ctx, verdictQuery(zone, dns.TypeSOA), addr.String())
		if err == nil && reply.Rcode != dns.RcodeSuccess {
			err = fmt.Errorf("got %s", dns.RcodeToString[reply.Rcode])
		}
		return err
	})
	if err != nil {
		t.Fatalf("the resolver at %v does not answer: %v", addr, err)
	}
}
