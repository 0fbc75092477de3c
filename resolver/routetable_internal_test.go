package resolver

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"testing"
)

// However often routes change, no more is remembered of them than what is in use; and what
// stays in use keeps its number.
func TestRoutingForgets(t *testing.T) {
	r, err := New(Options{DisableHostsFile: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	iteration := r.current().iteration.id
	seen := map[uint32]bool{iteration: true}
	for i := range 100 {
		err := r.SetRoutes([]Route{{Zone: fmt.Sprintf("n%d.example", i), Servers: []RouteServer{{
			Addr: netip.MustParseAddrPort("192.0.2.1:853"), Transport: TransportTLS, TLSConfig: new(tls.Config),
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		g := r.current()
		if len(g.numbers) != 2 || len(g.functions) != 1 {
			t.Fatalf("change %d: %d realms and %d functions are remembered, want 2 and 1", i, len(g.numbers), len(g.functions))
		}
		if g.iteration.id != iteration {
			t.Fatalf("change %d: iteration has become realm %d", i, g.iteration.id)
		}
		for _, rt := range g.routes {
			if seen[rt.realm.id] {
				t.Fatalf("change %d: number %d given twice", i, rt.realm.id)
			}
			seen[rt.realm.id] = true
		}
	}
}
