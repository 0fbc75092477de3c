package resolver

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestParseRoute(t *testing.T) {
	at := func(addr string, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(addr), port)
	}
	for text, want := range map[string]Route{
		"cluster.local=10.96.0.10,unsigned": {
			Zone: "cluster.local", Unsigned: true, Servers: []RouteServer{{Addr: at("10.96.0.10", 0)}},
		},
		"corp.example. = 192.0.2.53, [2001:db8::53]:5353": {
			Zone: "corp.example.", Servers: []RouteServer{{Addr: at("192.0.2.53", 0)}, {Addr: at("2001:db8::53", 5353)}},
		},
		"example=2001:db8::53":  {Zone: "example", Servers: []RouteServer{{Addr: at("2001:db8::53", 0)}}},
		"example=[2001:db8::1]": {Zone: "example", Servers: []RouteServer{{Addr: at("2001:db8::1", 0)}}},
		".=tls://192.0.2.53:8853#dns.example": {
			Zone: ".", Servers: []RouteServer{{Addr: at("192.0.2.53", 8853), Name: "dns.example", Transport: TransportTLS}},
		},
		".=tls://192.0.2.53":         {Zone: ".", Servers: []RouteServer{{Addr: at("192.0.2.53", 0), Transport: TransportTLS}}},
		"a.example=tcp://192.0.2.53": {Zone: "a.example", Servers: []RouteServer{{Addr: at("192.0.2.53", 0), Transport: TransportTCP}}},
		"corp=/etc/resolv.conf":      {Zone: "corp", ResolvConf: "/etc/resolv.conf"},
		"corp=192.0.2.53,stub":       {Zone: "corp", Kind: RouteStub, Servers: []RouteServer{{Addr: at("192.0.2.53", 0)}}},
		"corp=ns.example.net,stub":   {Zone: "corp", Kind: RouteStub, Servers: []RouteServer{{Name: "ns.example.net"}}},
		"corp=ns.,stub":              {Zone: "corp", Kind: RouteStub, Servers: []RouteServer{{Name: "ns."}}},
		"pub.corp.example=iterate":   {Zone: "pub.corp.example", Kind: RouteIterate},
	} {
		got, err := ParseRoute(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                           "ZONE=SERVER",
		"192.0.2.53":                 "ZONE=SERVER",
		"=192.0.2.53":                "ZONE=SERVER",
		"example=":                   "ZONE=SERVER",
		"a..b=192.0.2.53":            "label",
		"example=192.0.2.53:x":       "192.0.2.53:x",
		"example=192.0.2.53,":        `""`,
		"example=https://192.0.2.53": "a RouteServer with an Exchanger",
		"example=quic://192.0.2.53":  "unknown transport",
		"example=192.0.2.53#name":    "tls://",
		"example=tls://192.0.2.999":  "",
		"corp=192.0.2.53,stubb":      `"stubb": neither a word (stub, iterate, unsigned), nor an address, nor a host name with a dot`,
		"corp=192.0.2.53,Stub":       `"Stub": neither a word`,
		"corp=resolver":              `"resolver": neither a word`,
		"corp=tcp://resolver":        `neither a word`,
	} {
		if got, err := ParseRoute(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %+v, %v, want an error with %q", text, got, err, want)
		}
	}
}
