//go:build unix

package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realserver"
)

// Zones that NSD, Knot DNS and BIND serve, behind CoreDNS: data, aliases from one
// product's zone into the next one's, and what is not there.
func TestRealServers(t *testing.T) {
	products := realserver.Products()
	realserver.Need(t, products...)
	var routes strings.Builder
	for i, product := range products {
		server := realserver.Start(t, product, realserver.Zone{Origin: zoneOf(product), Text: fmt.Sprintf(`
$TTL 300
@     SOA   ns1 hostmaster 1 7200 3600 86400 300
@     NS    ns1
ns1   A     192.0.2.53
www   A     192.0.2.%d
next  CNAME www.%s.
*.w   TXT   "%s"
`, i+1, zoneOf(products[(i+1)%len(products)]), product)})
		fmt.Fprintf(&routes, "route %s %s stub unsigned\n", zoneOf(product), server.Addr())
	}
	s := start(t, ".:5353 {\nbind HOST\nerrors\niterdns {\nmock\n"+routes.String()+"}\n}")
	for i, product := range products {
		zone := zoneOf(product)
		for _, network := range []string{"udp", "tcp"} {
			reply, err := s.ask(network, "www."+zone+".", dns.TypeA)
			if want := fmt.Sprintf("192.0.2.%d", i+1); err != nil || sorted(addresses(reply)) != want {
				t.Errorf("%v over %s: got %v and %v, want %s", product, network, reply, err, want)
			}
		}
		reply := s.mustAsk(t, "next."+zone+".", dns.TypeA)
		if want := fmt.Sprintf("192.0.2.%d", (i+1)%len(products)+1); sorted(addresses(reply)) != want || len(reply.Answer) != 2 {
			t.Errorf("%v: got %v behind the alias, want %s", product, reply, want)
		}
		if reply = s.mustAsk(t, "a.w."+zone+".", dns.TypeTXT); len(reply.Answer) != 1 || !strings.Contains(reply.Answer[0].String(), product.String()) {
			t.Errorf("%v: got %v for the wildcard", product, reply)
		}
		if reply = s.mustAsk(t, "nosuch."+zone+".", dns.TypeA); reply.Rcode != dns.RcodeNameError || len(reply.Ns) != 1 {
			t.Errorf("%v: got %v, want NXDOMAIN with SOA", product, reply)
		}
		if reply = s.mustAsk(t, "www."+zone+".", dns.TypeMX); reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 0 {
			t.Errorf("%v: got %v, want NODATA", product, reply)
		}
	}
}

func zoneOf(p realserver.Product) string {
	return strings.ToLower(strings.Fields(p.String())[0]) + ".example"
}
