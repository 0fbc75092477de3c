package realsigned

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/resolver"
)

// world is the signed zones on their servers.
type world struct {
	options Options
	zones   []*zone
	addrs   map[realserver.Product]netip.AddrPort
	router  *realserver.Router
}

// newWorld signs the zones and starts the servers. The root above them is not
// signed: the trust anchors are at the zones.
func newWorld(t *testing.T, o Options) *world {
	t.Helper()
	realserver.Need(t, realserver.Products()...)
	w := &world{options: o, zones: signAll(t, o.Algorithms), addrs: make(map[realserver.Product]netip.AddrPort)}
	hosted := make(map[realserver.Product][]realserver.Zone)
	var root strings.Builder
	root.WriteString("$TTL 300\n. SOA ns. hostmaster. 1 3600 600 604800 300\n. NS ns.\nns. A 198.18.0.1\n")
	for _, z := range w.zones {
		hosted[z.product] = append(hosted[z.product], realserver.Zone{Origin: z.origin, Text: z.text})
		for _, label := range []string{"plain", "plain2"} {
			origin := label + "." + z.origin
			hosted[z.product] = append(hosted[z.product], realserver.Zone{Origin: origin, Text: fmt.Sprintf(
				"$TTL 300\n@ SOA ns.%[1]s hostmaster 1 3600 600 604800 300\n@ NS ns.%[1]s\nwww A 192.0.2.84\n", z.origin)})
		}
		fmt.Fprintf(&root, "%[1]s NS ns.%[1]s\nns.%[1]s A %[2]s\n", z.origin, serverAddr(z.product))
	}
	rootServer := realserver.Start(t, realserver.NSD, realserver.Zone{Origin: ".", Text: root.String()})
	w.router = realserver.NewRouter(rootServer.Addr())
	for product, zones := range hosted {
		server := realserver.Start(t, product, zones...)
		w.addrs[product] = server.Addr()
		w.router.Route(server.Addr(), serverAddr(product))
	}
	return w
}

// anchors are those of all zones.
func (w *world) anchors() []dnssec.Anchor {
	var anchors []dnssec.Anchor
	for _, z := range w.zones {
		anchors = append(anchors, z.anchors...)
	}
	return anchors
}

// ours returns a resolver of this library with anchors at the zones.
func (w *world) ours(t *testing.T) *resolver.Resolver {
	t.Helper()
	r, err := resolver.New(resolver.Options{
		RootHints: &glue.Delegation{Zone: dnsname.Root, Servers: []glue.Server{{
			Name: dnsname.MustParse("ns."), Bailiwick: glue.InDomain, Addrs: []netip.Addr{netip.MustParseAddr("198.18.0.1")},
		}}},
		TrustAnchors: w.anchors(),
		Algorithms:   w.options.Added,
		AllowServer:  func(netip.Addr) bool { return true },
		Dial:         w.router.Dial,
		// The zones are below example., which is answered locally otherwise.
		DisableLocalZones: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}
