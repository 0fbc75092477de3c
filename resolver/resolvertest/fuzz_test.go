package resolvertest

import (
	"errors"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/scenario"
)

// FuzzText takes any text as New's. It is refused with a line number, or makes an
// Internet whose servers answer every question with a message or silence.
func FuzzText(f *testing.F) {
	f.Add(shop, "www.shop.example.", uint16(dns.TypeA))
	f.Add(answers, "www.old.shop.example.", uint16(dns.TypeA))                               // DNAME
	f.Add(answers, "x.y.wild.shop.example.", uint16(dns.TypeANY))                            // wildcard
	f.Add(signedZone, "nx.example.", uint16(dns.TypeA))                                      // NSEC
	f.Add("-- zone . --\n@ NS ns.\n* DNAME .", "a.b.", uint16(dns.TypeA))                    // a wildcard DNAME to the root
	f.Add("-- zone . --\n@ CNAME a.\n", "a.", uint16(dns.TypeA))                             // CNAME at the apex
	f.Add("-- zone a. --\n@ DNAME b.a.", "x.a.", uint16(dns.TypeA))                          // DNAME into itself
	f.Add("-- zone a. --\n* NS b.\n*.b CNAME c", "x.a.", uint16(dns.TypeDS))                 // a wildcard delegation
	f.Add("-- zone a. --\nb TYPE2 \\# 0\nb TYPE5 \\# 1 00", "b.a.", uint16(dns.TypeA))       // names in generic form, one malformed
	f.Add("-- zone a. --\nb TYPE65280 \\# 0", "b.a.", uint16(65280))                         // no data at all
	f.Add("-- zone a. --\n$ORIGIN .\n\\000.a 4294967295 A 192.0.2.1", "\\000.a.", uint16(1)) // odd bytes, the longest TTL
	f.Add("-- zone a. --\n$GENERATE 1-9 n$ A 192.0.2.$", "n1.a.", uint16(1))                 // many at once
	f.Add("-- zone a. at 192.0.2.1 --\n-- zone b.a. at 192.0.2.1 --", "b.a.", uint16(dns.TypeDS))
	f.Add("-- zone a. at 192.0.2.1 --\n-- fault * --\nforge 3 oversize 9000; cut 11\nreplace NXDOMAIN", "a.", uint16(1))
	f.Add("-- intercept --\nset ra\nwhen first 1: garbage", ".", uint16(dns.TypeNS))
	f.Fuzz(func(t *testing.T, text, name string, qtype uint16) {
		in, err := NewInternet(text)
		if err != nil {
			var e *scenario.Error
			if !errors.As(err, &e) && !errors.Is(err, errNoSuchZone) {
				t.Logf("error without a line: %v", err)
			}
			return
		}
		defer in.Close()
		q := query(name, qtype)
		q.IsEdns0().SetDo()
		wire, err := q.Pack()
		if err != nil {
			return
		}
		for _, server := range in.Servers("") {
			for _, network := range []string{"udp", "tcp"} {
				for _, p := range in.handle(mustAddrPort(server.String()), network, mustAddrPort("192.0.2.99"), wire) {
					if len(p.wire) > maxMessage {
						t.Errorf("a reply of %d bytes", len(p.wire))
					}
				}
			}
		}
	})
}

// FuzzQuery takes any bytes as a query.
func FuzzQuery(f *testing.F) {
	plain, err := query("www.shop.example.", dns.TypeA).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(plain)
	f.Add(plain[:12])                                                       // the header alone
	f.Add([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1}) // a name that points at itself
	f.Add([]byte{0, 1, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 1})     // an update
	f.Add([]byte{0, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0})                 // more questions than bytes
	in, err := NewInternet(answers + "-- fault * --\ncookies\n")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		for _, server := range in.Servers("shop.example.") {
			for _, p := range in.handle(mustAddrPort(server.String()), "udp", mustAddrPort("192.0.2.99"), wire) {
				if len(p.wire) > serverUDPSize {
					t.Errorf("a reply of %d bytes over UDP", len(p.wire))
				}
				if err := new(dns.Msg).Unpack(p.wire); err != nil {
					t.Errorf("reply %x: %v", p.wire, err)
				}
			}
		}
		in.ResetLog()
	})
}
