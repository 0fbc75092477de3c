package routes

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/env"
)

// However often routes change, only those in use are remembered; and a view that stays in
// use keeps its number.
func TestRoutingForgets(t *testing.T) {
	r := &Router{Env: env.New(env.Settings{Now: time.Now, Cache: cache.New(cache.Options{}), RootHints: new(glue.Delegation)}, false, nil)}
	if err := r.Begin(nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	defer r.Running.Wait()
	defer r.Close()
	defer r.Flights.Stop(r.End)
	iteration := r.CurrentRoutes().Iteration.ID
	seen := map[uint32]bool{iteration: true}
	for i := range 100 {
		err := r.SetRoutes([]Spec{{Zone: fmt.Sprintf("n%d.example", i), Servers: []ServerSpec{{
			Addr: netip.MustParseAddrPort("192.0.2.1:853"), Transport: transportTLS, TLSConfig: new(tls.Config),
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		rt := r.CurrentRoutes()
		if len(rt.numbers) != 2 || len(rt.functions) != 1 {
			t.Fatalf("change %d: %d views and %d functions are remembered, want 2 and 1", i, len(rt.numbers), len(rt.functions))
		}
		if rt.Iteration.ID != iteration {
			t.Fatalf("change %d: iteration has become view %d", i, rt.Iteration.ID)
		}
		for _, rt := range rt.Routes {
			if seen[rt.View.ID] {
				t.Fatalf("change %d: number %d used twice", i, rt.View.ID)
			}
			seen[rt.View.ID] = true
		}
	}
}
