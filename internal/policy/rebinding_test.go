package policy

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

func TestIsPrivate(t *testing.T) {
	for addr, want := range map[string]bool{
		"0.0.0.0": true, "0.1.2.3": true, "10.0.0.0": true, "10.255.255.255": true, "11.0.0.0": false, "9.255.255.255": false,
		"100.63.255.255": false, "100.64.0.0": true, "100.127.255.255": true, "100.128.0.0": false,
		"127.0.0.1": true, "127.255.255.255": true, "128.0.0.0": false,
		"169.254.169.254": true, "169.253.255.255": false,
		"172.15.255.255": false, "172.16.0.0": true, "172.31.255.255": true, "172.32.0.0": false,
		"192.167.255.255": false, "192.168.0.0": true, "192.168.255.255": true, "192.169.0.0": false,
		"255.255.255.255": true, "192.0.2.1": false, "224.0.0.251": false, "192.0.0.170": false,
		"::": true, "::1": true, "::2": true, "::ffff:10.0.0.1": true, "::ffff:192.0.2.1": false, "::10.0.0.1": true, "::192.0.2.1": false,
		"64:ff9b::10.0.0.1": true, "64:ff9b::192.0.2.1": false, "64:ff9b::7f00:1": true,
		"64:ff9b:1::192.0.2.1": true, "64:ff9b:2::10.0.0.1": false,
		"2002:a00:1::": true, "2002:c000:201::1": false, "2002:c0a8:101::": true,
		"2001:0:c000:201::f5ff:fffe": true,  // Teredo, client 10.0.0.1
		"2001:0:c000:201::3fff:fdfe": false, // Teredo, client 192.0.2.1
		"2001:1::a00:1":              false, "2001:db8::1": false, "2600::1": false,
		"fbff::1": false, "fc00::": true, "fdff::1": true, "fe00::1": false,
		"fe80::1": true, "fe80::1%eth0": true, "febf::1": true, "fec0::1": true, "feff::1": true, "ff02::fb": false,
	} {
		if got := IsPrivate(netip.MustParseAddr(addr)); got != want {
			t.Errorf("IsPrivate(%s) = %t, want %t", addr, got, want)
		}
	}
}

// svcbRdata is the RDATA of a record in presentation format.
func svcbRdata(t testing.TB, text string) string {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	s, err := dnssec.NewRRset(rr)
	if err != nil {
		t.Fatal(err)
	}
	for rdata := range s.Records.All() {
		return rdata
	}
	return ""
}

func TestHintsIn(t *testing.T) {
	whole := svcbRdata(t, `www.example. HTTPS 1 a.very.long.target.example. alpn=h2 port=8443 ipv4hint=192.0.2.1,10.0.0.1 ipv6hint=2001:db8::1`)
	for _, test := range []struct {
		name  string
		rdata string
		want  []string
		ok    bool
	}{
		{"all", whole, []string{"192.0.2.1", "10.0.0.1", "2001:db8::1"}, true},
		{"none", svcbRdata(t, "www.example. HTTPS 1 . alpn=h2"), nil, true},
		{"alias", svcbRdata(t, "www.example. SVCB 0 host.example."), nil, true},
		{"empty", "", nil, false},
		{"no target", "\x00\x01", nil, false},
		{"target cut off", "\x00\x01\x05ho", nil, false},
		{"parameter cut off", "\x00\x01\x00\x00\x04", nil, false},
		{"value cut off", "\x00\x01\x00\x00\x04\x00\x04\x0a\x00\x00", nil, false},
		{"three bytes of address", "\x00\x01\x00\x00\x04\x00\x03\x0a\x00\x00", nil, false},
		{"empty hint", "\x00\x01\x00\x00\x04\x00\x00", nil, true},
		{"hint twice", "\x00\x01\x00\x00\x04\x00\x04\x0a\x00\x00\x01\x00\x04\x00\x04\x0a\x00\x00\x02", []string{"10.0.0.1", "10.0.0.2"}, true},
	} {
		addrs, ok := hintsIn(test.rdata)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		if ok != test.ok || ok && !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v %t, want %v %t", test.name, got, ok, test.want, test.ok)
		}
	}
}

// FuzzHintsIn: what miekg/dns reads as hints, hintsIn finds too.
func FuzzHintsIn(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x04\x00\x04\x0a\x00\x00\x01"))                          // one IPv4 hint
	f.Add([]byte(svcbRdata(f, "www.example. HTTPS 1 . alpn=h2 ipv6hint=fd00::1,fd00::2"))) // two of IPv6
	f.Add([]byte("\x00\x00\x01a\x00"))                                                     // alias
	f.Add([]byte("\x00\x01\x00\x00\x04\x00\x05\x0a\x00\x00\x01\x00"))                      // odd length
	f.Fuzz(func(t *testing.T, rdata []byte) {
		got, ok := hintsIn(string(rdata))
		h := dns.RR_Header{Name: "www.example.", Rrtype: dns.TypeHTTPS, Class: dns.ClassINET, Rdlength: uint16(len(rdata))}
		if len(rdata) == 0 || len(rdata) > 0xFFFF {
			return
		}
		rr, end, err := dns.UnpackRRWithHeader(h, rdata, 0)
		if err != nil || end != len(rdata) {
			return
		}
		var want []netip.Addr
		for _, param := range rr.(*dns.HTTPS).Value {
			switch p := param.(type) {
			case *dns.SVCBIPv4Hint:
				for _, ip := range p.Hint {
					a, _ := netip.AddrFromSlice(ip.To4())
					want = append(want, a)
				}
			case *dns.SVCBIPv6Hint:
				for _, ip := range p.Hint {
					a, _ := netip.AddrFromSlice(ip)
					want = append(want, a)
				}
			}
		}
		if ok && !slices.Equal(got, want) || !ok && len(want) > 0 {
			t.Errorf("got %v %t, want %v, in %x", got, ok, want, rdata)
		}
	})
}
