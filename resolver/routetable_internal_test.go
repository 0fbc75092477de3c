package resolver

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
)

// However often routes change, only those in use are remembered; and a view that stays in
// use keeps its number.
func TestRoutingForgets(t *testing.T) {
	r := &router{env: newEnv(settings{Now: time.Now, Cache: cache.New(cache.Options{}), RootHints: new(glue.Delegation)}, false, nil)}
	if err := r.begin(nil, nil); err != nil {
		t.Fatal(err)
	}
	defer r.running.Wait()
	defer r.close()
	defer r.flights.stop(r.end)
	iteration := r.currentRoutes().iteration.id
	seen := map[uint32]bool{iteration: true}
	for i := range 100 {
		err := r.setRoutes([]routeSpec{{Zone: fmt.Sprintf("n%d.example", i), Servers: []serverSpec{{
			Addr: netip.MustParseAddrPort("192.0.2.1:853"), Transport: transportTLS, TLSConfig: new(tls.Config),
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		rt := r.currentRoutes()
		if len(rt.numbers) != 2 || len(rt.functions) != 1 {
			t.Fatalf("change %d: %d views and %d functions are remembered, want 2 and 1", i, len(rt.numbers), len(rt.functions))
		}
		if rt.iteration.id != iteration {
			t.Fatalf("change %d: iteration has become view %d", i, rt.iteration.id)
		}
		for _, rt := range rt.routes {
			if seen[rt.view.id] {
				t.Fatalf("change %d: number %d used twice", i, rt.view.id)
			}
			seen[rt.view.id] = true
		}
	}
}
