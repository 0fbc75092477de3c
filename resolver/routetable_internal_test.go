package resolver

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"testing"
)

// However often routes change, only those in use are remembered; and a view that stays in
// use keeps its number.
func TestRoutingForgets(t *testing.T) {
	r, err := New(Options{DisableHostsFile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	iteration := r.routes.currentRoutes().iteration.id
	seen := map[uint32]bool{iteration: true}
	for i := range 100 {
		err := r.SetRoutes([]Route{{Zone: fmt.Sprintf("n%d.example", i), Servers: []RouteServer{{
			Addr: netip.MustParseAddrPort("192.0.2.1:853"), Transport: TransportTLS, TLSConfig: new(tls.Config),
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		rt := r.routes.currentRoutes()
		if len(rt.numbers) != 2 || len(rt.functions) != 1 {
			t.Fatalf("change %d: %d realms and %d functions are remembered, want 2 and 1", i, len(rt.numbers), len(rt.functions))
		}
		if rt.iteration.id != iteration {
			t.Fatalf("change %d: iteration has become realm %d", i, rt.iteration.id)
		}
		for _, rt := range rt.routes {
			if seen[rt.view.id] {
				t.Fatalf("change %d: number %d used twice", i, rt.view.id)
			}
			seen[rt.view.id] = true
		}
	}
}
