package resolver_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/resolver"
)

// TestLocalRootOverTCP: with a local root no root server is asked for names, and that a network drops
// UDP shows at the servers of top-level domains. The root servers tell then whether it is the network.
func TestLocalRootOverTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		r := newLocalRootResolver(t, w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}}))
		w.Update("-- fault * --\nwhen udp: drop")
		for _, zone := range []string{"example.", "test."} {
			result, err := r.Resolve(t.Context(), "www."+zone, dns.TypeA)
			if err != nil || len(result.Answer) == 0 || !strings.Contains(result.Answer[0].String(), "192.0.2.") {
				t.Errorf("%s: got %+v, %v", zone, result, err)
			}
		}
		if s := r.Stats(); s.Network != resolver.NetworkOnlyTCP {
			t.Errorf("got network %s", s.Network)
		}
	})
}
