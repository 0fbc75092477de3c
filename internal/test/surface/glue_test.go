package main

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/glue"
	roothints "github.com/iterdns/iterdns/rootHints"
)

func TestReferral(t *testing.T) {
	var names [3]glue.Name
	for i, s := range []string{"example.", "shop.example.", "ns1.shop.example."} {
		var err error
		if names[i], err = glue.ParseName(s); err != nil {
			t.Fatal(err)
		}
	}
	parent, zone, host := names[0], names[1], names[2]
	r := glue.Referral{
		Zone: parent, Name: host,
		NS:        []glue.NS{{Owner: zone, Target: host, TTL: 300}},
		Addresses: []glue.Address{{Owner: host, Addr: netip.MustParseAddr("198.51.100.3"), TTL: 300}},
	}
	d, err := r.Delegation()
	if err != nil || d.Zone != zone || !d.InDomain(host) {
		t.Fatal(d, err)
	}
	server, ok := d.Server(host)
	if !ok || len(server.Addrs) != 1 || server.Bailiwick != glue.BailiwickOf(host, parent, zone) || server.Bailiwick.String() != "in-domain" {
		t.Error(server, ok)
	}
	if apex := r.Apex(); apex.Zone != parent {
		t.Error(apex)
	}
}

func TestRootHints(t *testing.T) {
	root := roothints.Default()
	if len(root.Servers) != 13 || !root.Zone.IsRoot() || roothints.Date().IsZero() {
		t.Error(root, roothints.Date())
	}
	own, err := roothints.Parse(strings.NewReader(". NS ns.example.\nns.example. A 192.0.2.1\n"))
	if err != nil || len(own.Servers) != 1 || own.Servers[0].Name.String() != "ns.example." {
		t.Error(own, err)
	}
	_, err = roothints.Parse(bytes.NewReader([]byte("\nns.example. A 192.0.2.256\n")))
	var at *roothints.ParseError
	if !errors.As(err, &at) || at.Line != 2 || !errors.Is(at.Unwrap(), roothints.ErrAddress) || !strings.Contains(at.Error(), "2") {
		t.Error(err)
	}
}
