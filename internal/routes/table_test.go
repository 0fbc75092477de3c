package routes

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
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

// Whether the root is validated follows the trust anchors and the negative ones as they change.
func TestValidatesRootFollowsAnchors(t *testing.T) {
	now := time.Now()
	at := func(zone string) []dnssec.Anchor {
		a, err := dnssec.ParseAnchors(strings.NewReader(zone + " IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	r := &Router{Env: env.New(env.Settings{
		Now: time.Now, Cache: cache.New(cache.Options{}), RootHints: new(glue.Delegation), Validates: true, TrustAnchors: at("example."),
	}, false, nil)}
	if err := r.Begin(nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	defer r.Running.Wait()
	defer r.Close()
	defer r.Flights.Stop(r.End)
	for i, step := range []struct {
		change func() error
		want   bool
	}{
		{func() error { return nil }, false},
		{func() error { return r.SetAnchors(at(".")) }, true},
		{func() error { return r.SetNegativeAnchors([]NegativeAnchorSpec{{Zone: "."}}) }, false},
		{func() error { return r.SetNegativeAnchors([]NegativeAnchorSpec{{Zone: ".", Until: now}}) }, false},
		{func() error { return r.SetNegativeAnchors(nil) }, true},
		{func() error { return r.SetRoutes([]Spec{{Zone: "example.", Kind: Iterate}}) }, true},
		{func() error { return r.SetAnchors(at("example.")) }, false},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		if got := r.CurrentRoutes().ValidatesRoot(now.Add(-time.Second)); got != step.want {
			t.Errorf("step %d: got %t", i, got)
		}
	}
	if err := r.SetAnchors(at(".")); err != nil {
		t.Fatal(err)
	}
	if err := r.SetNegativeAnchors([]NegativeAnchorSpec{{Zone: ".", Until: now}}); err != nil {
		t.Fatal(err)
	}
	if !r.CurrentRoutes().ValidatesRoot(now) {
		t.Error("not validated after the end of the negative trust anchor")
	}
}
