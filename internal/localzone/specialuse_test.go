package localzone

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestSpecialUseOf(t *testing.T) {
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
		zone, ok := SpecialUseOf(dnsname.MustParse(test.name))
		if got := zone.Name.String(); got != test.want || ok != (test.want != "") {
			t.Errorf("SpecialUseOf(%s) = %q, %t, want %q", test.name, got, ok, test.want)
		}
	}
}

func TestSpecialUsesComplete(t *testing.T) {
	// Whatever is lost in an edit shows here.
	const named, private172, shared100, reverse, undefined = 7, 16, 64, 17, 1
	if got, want := len(specialUses), named+private172+shared100+reverse+undefined; got != want {
		t.Errorf("got %d special-use names, want %d", got, want)
	}
	for name, zone := range specialUses {
		if name != zone.Name || zone.RFC == "" {
			t.Errorf("zone %s is kept as %s, with %q as its reason", zone.Name, name, zone.RFC)
		}
	}
}

func TestSpecialUseFind(t *testing.T) {
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
		name := dnsname.MustParse(test.name)
		zone, ok := SpecialUseOf(name)
		if !ok {
			t.Fatalf("%s is not special", test.name)
		}
		a := zone.find(name, test.rrtype, test.direct)
		var got strings.Builder
		if a.Exists {
			got.WriteString("NOERROR")
		} else {
			got.WriteString("NXDOMAIN")
		}
		for _, s := range a.Sets {
			got.WriteString(" " + dns.TypeToString[s.Type])
		}
		if got.String() != test.want {
			t.Errorf("%s %s: got %s, want %s", test.name, dns.TypeToString[test.rrtype], got.String(), test.want)
		}
		if negative := len(a.Sets) == 0; negative != (a.SOA != nil) {
			t.Errorf("%s %s: got SOA %v", test.name, dns.TypeToString[test.rrtype], a.SOA)
		}
	}
}

func TestSpecialUseDSIsTheParents(t *testing.T) {
	for name, want := range map[string]bool{
		"home.arpa.": true, "10.in-addr.arpa.": true, "resolver.arpa.": true, "d.f.ip6.arpa.": true,
		"x.home.arpa.": false, "localhost.": false, "onion.": false,
	} {
		n := dnsname.MustParse(name)
		zone, _ := SpecialUseOf(n)
		if got := zone.IsParents(n, dns.TypeDS); got != want {
			t.Errorf("DS of %s is the parent's: got %t, want %t", name, got, want)
		}
		if zone.IsParents(n, dns.TypeDNSKEY) {
			t.Errorf("DNSKEY of %s is the parent's", name)
		}
	}
}

func BenchmarkSpecialUseOf(b *testing.B) {
	for _, name := range []string{"www.shop.example.", "80.2.0.193.in-addr.arpa.", "x.localhost."} {
		b.Run(name, func(b *testing.B) {
			n := dnsname.MustParse(name)
			b.ReportAllocs()
			for b.Loop() {
				SpecialUseOf(n)
			}
		})
	}
}
