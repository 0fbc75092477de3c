package realsigned

import (
	"net/netip"
	"testing"

	"github.com/iterdns/iterdns/internal/test/realresolver"
	"github.com/iterdns/iterdns/internal/test/realserver"
)

// start runs another validating resolver until the test ends, and returns its address. It is
// told who serves each zone, and has anchors at the zones, as ours has.
func (w *world) start(t *testing.T, product realresolver.Product) netip.AddrPort {
	t.Helper()
	s := realresolver.Setting{Listen: realserver.FreeAddr(t), Anchors: w.anchors()}
	for _, z := range w.zones {
		for _, zone := range []string{z.origin, "plain." + z.origin, "plain2." + z.origin} {
			s.Upstreams = append(s.Upstreams, realresolver.Upstream{Zone: zone, Addr: w.addrs[z.product], Authoritative: true})
		}
	}
	realresolver.Start(t, product, s, w.zones[0].origin)
	return s.Listen
}
