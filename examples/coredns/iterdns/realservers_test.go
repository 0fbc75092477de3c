package iterdns

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realserver"
)

// A walk from the root over three products: NSD has the root, Knot DNS a zone below it,
// BIND one below that.
func TestWalkOverProducts(t *testing.T) {
	realserver.Need(t, realserver.NSD, realserver.Knot, realserver.BIND)
	const apex = "$TTL 300\n@ SOA ns.example. hostmaster.example. 1 7200 3600 86400 300\n"
	zones := []struct {
		product realserver.Product
		addr    string
		zone    realserver.Zone
	}{
		{realserver.NSD, "192.0.2.1", realserver.Zone{Origin: ".", Text: apex + "@ NS a.root.example.\na.root.example. A 192.0.2.1\nexample. NS ns.example.\nns.example. A 192.0.2.2\n"}},
		{realserver.Knot, "192.0.2.2", realserver.Zone{Origin: "example.", Text: apex + "@ NS ns\nns A 192.0.2.2\na.root A 192.0.2.1\nshop NS ns.shop\nns.shop A 192.0.2.3\nalias CNAME www.shop\n"}},
		{realserver.BIND, "192.0.2.3", realserver.Zone{Origin: "shop.example.", Text: apex + "@ NS ns\nns A 192.0.2.3\nwww A 192.0.2.80\n"}},
	}
	router := realserver.NewRouter(netip.AddrPort{})
	for _, z := range zones {
		router.Route(realserver.Start(t, z.product, z.zone).Addr(), netip.MustParseAddr(z.addr))
	}
	hints := write(t, "hints", ". 3600 NS a.root.example.\na.root.example. 3600 A 192.0.2.1\n")
	h := &Iterdns{config: parseOne(t, "iterdns {\nhints "+hints+"\ndnssec off\nallow_server 192.0.2.0/24\n}")}
	h.config.options.Dial = router.Dial
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	tests := []struct {
		qname   string
		rcode   int
		answers int
	}{
		{"www.shop.example.", dns.RcodeSuccess, 1},
		{"alias.example.", dns.RcodeSuccess, 2},
		{"nosuch.shop.example.", dns.RcodeNameError, 0},
		{"nosuch.", dns.RcodeNameError, 0},
	}
	for _, test := range tests {
		reply, _, err := ask(h, test.qname, dns.TypeA)
		if err != nil || reply.Rcode != test.rcode || len(reply.Answer) != test.answers {
			t.Errorf("%s: got %v and %v, want %s and %d records", test.qname, reply, err, dns.RcodeToString[test.rcode], test.answers)
		}
	}
	asked := make(map[string]bool)
	for _, q := range router.Queries(0) {
		asked[q.Server.String()] = true
		if q.Server.String() == "192.0.2.1" && strings.Contains(q.Name, "shop") {
			t.Errorf("the root was asked %v, want no more of the name than it needs", q)
		}
	}
	if len(asked) != len(zones) {
		t.Errorf("got queries to %v, want all three servers", asked)
	}
}
