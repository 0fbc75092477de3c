package resolver

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestLocalZoneOf(t *testing.T) {
	for _, test := range []struct {
		name string
		want string // "" none
	}{
		{"localhost.", "localhost."},
		{"a.b.localhost.", "localhost."},
		{"notlocalhost.", ""},
		{"localhost.example.", ""},
		{"invalid.", "invalid."},
		{"x.onion.", "onion."},
		{"x.alt.", "alt."},
		{"printer.local.", "local."},
		{"home.arpa.", "home.arpa."},
		{"nas.home.arpa.", "home.arpa."},
		{"xhome.arpa.", ""},
		{"_dns.resolver.arpa.", "resolver.arpa."},
		{"1.0.0.10.in-addr.arpa.", "10.in-addr.arpa."},
		{"10.in-addr.arpa.", "10.in-addr.arpa."},
		{"110.in-addr.arpa.", ""},
		{"1.0.15.172.in-addr.arpa.", ""},
		{"1.0.16.172.in-addr.arpa.", "16.172.in-addr.arpa."},
		{"1.0.31.172.in-addr.arpa.", "31.172.in-addr.arpa."},
		{"1.0.32.172.in-addr.arpa.", ""},
		{"1.0.168.192.in-addr.arpa.", "168.192.in-addr.arpa."},
		{"1.0.167.192.in-addr.arpa.", ""},
		{"1.0.63.100.in-addr.arpa.", ""},
		{"1.0.64.100.in-addr.arpa.", "64.100.in-addr.arpa."},
		{"1.0.127.100.in-addr.arpa.", "127.100.in-addr.arpa."},
		{"1.0.128.100.in-addr.arpa.", ""},
		{"255.255.255.255.in-addr.arpa.", "255.255.255.255.in-addr.arpa."},
		{"254.255.255.255.in-addr.arpa.", ""},
		{"1.0.0.127.in-addr.arpa.", "127.in-addr.arpa."},
		{strings.Repeat("0.", 32) + "ip6.arpa.", strings.Repeat("0.", 32) + "ip6.arpa."},
		{"2." + strings.Repeat("0.", 31) + "ip6.arpa.", ""},
		{"1.0.d.f.ip6.arpa.", "d.f.ip6.arpa."},
		{"1.c.f.ip6.arpa.", "c.f.ip6.arpa."},
		{"7.e.f.ip6.arpa.", ""},
		{"b.e.f.ip6.arpa.", "b.e.f.ip6.arpa."},
		{"c.e.f.ip6.arpa.", ""},
		{"f.ip6.arpa.", ""},
		{"0.8.b.d.0.1.0.0.2.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa."},
		{"arpa.", ""},
		{"in-addr.arpa.", ""},
		{"ipv4only.arpa.", ""},
		{"test.", ""},
		{"example.", ""},
		{"internal.", ""},
		{".", ""},
	} {
		zone, ok := specialZoneOf(dnsname.MustParse(test.name))
		if got := zone.name.String(); got != test.want || ok != (test.want != "") {
			t.Errorf("localZoneOf(%s) = %q, %t, want %q", test.name, got, ok, test.want)
		}
	}
}

func TestLocalZonesComplete(t *testing.T) {
	// Whatever is lost in an edit shows here.
	const named, private172, shared100, reverse, undefined = 7, 16, 64, 17, 1
	if got, want := len(specialZones), named+private172+shared100+reverse+undefined; got != want {
		t.Errorf("got %d local zones, want %d", got, want)
	}
	for name, zone := range specialZones {
		if name != zone.name || zone.rfc == "" {
			t.Errorf("zone %s is kept as %s, with %q as its reason", zone.name, name, zone.rfc)
		}
	}
}

func TestLocalZoneAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		rrtype uint16
		direct bool
		want   string // RCODE and types of the answer
	}{
		{"localhost.", dns.TypeA, true, "NOERROR A"},
		{"x.localhost.", dns.TypeAAAA, true, "NOERROR AAAA"},
		{"localhost.", dns.TypeANY, true, "NOERROR A AAAA"},
		{"localhost.", dns.TypeMX, true, "NOERROR"},
		{"localhost.", dns.TypeSOA, true, "NOERROR"},
		{"localhost.", dns.TypeDS, true, "NOERROR"},
		{"localhost.", dns.TypeA, false, "NOERROR"},
		{"localhost.", dns.TypeAAAA, false, "NOERROR"},
		{"invalid.", dns.TypeA, true, "NXDOMAIN"},
		{"x.invalid.", dns.TypeTXT, true, "NXDOMAIN"},
		{"onion.", dns.TypeSOA, true, "NXDOMAIN"},
		{"home.arpa.", dns.TypeSOA, true, "NOERROR SOA"},
		{"home.arpa.", dns.TypeNS, true, "NOERROR NS"},
		{"home.arpa.", dns.TypeANY, true, "NOERROR SOA NS"},
		{"home.arpa.", dns.TypeA, true, "NOERROR"},
		{"x.home.arpa.", dns.TypeSOA, true, "NXDOMAIN"},
		{"x.home.arpa.", dns.TypeDS, true, "NXDOMAIN"},
		{"resolver.arpa.", dns.TypeNS, true, "NOERROR NS"},
		{"_dns.resolver.arpa.", dns.TypeSVCB, true, "NOERROR"},
		{"1.0.0.10.in-addr.arpa.", dns.TypePTR, true, "NXDOMAIN"},
	} {
		q := question{dnsname.MustParse(test.name), test.rrtype}
		zone, ok := specialZoneOf(q.name)
		if !ok {
			t.Fatalf("%s is in no local zone", test.name)
		}
		f := zone.answer(q, test.direct)
		var got strings.Builder
		got.WriteString(dns.RcodeToString[f.rcode])
		for _, s := range f.sets {
			got.WriteString(" " + dns.TypeToString[s.Type])
		}
		if got.String() != test.want {
			t.Errorf("%s %s: got %s, want %s", test.name, dns.TypeToString[test.rrtype], got.String(), test.want)
		}
		if negative := len(f.sets) == 0; negative != (f.soa != nil) || negative != (f.extended.Text != "") {
			t.Errorf("%s %s: got SOA %v and extended error %q", test.name, dns.TypeToString[test.rrtype], f.soa, f.extended)
		}
	}
}

func TestLocalZoneDSIsTheParents(t *testing.T) {
	for name, want := range map[string]bool{
		"home.arpa.": true, "10.in-addr.arpa.": true, "resolver.arpa.": true, "d.f.ip6.arpa.": true,
		"x.home.arpa.": false, "localhost.": false, "onion.": false,
	} {
		q := question{dnsname.MustParse(name), dns.TypeDS}
		zone, _ := specialZoneOf(q.name)
		if got := zone.isParents(q); got != want {
			t.Errorf("DS of %s is the parent's: got %t, want %t", name, got, want)
		}
		if q.rrtype = dns.TypeDNSKEY; zone.isParents(q) {
			t.Errorf("DNSKEY of %s is the parent's", name)
		}
	}
}

func BenchmarkLocalZoneOf(b *testing.B) {
	for _, name := range []string{"www.shop.example.", "80.2.0.193.in-addr.arpa.", "x.localhost."} {
		b.Run(name, func(b *testing.B) {
			n := dnsname.MustParse(name)
			b.ReportAllocs()
			for b.Loop() {
				specialZoneOf(n)
			}
		})
	}
}
