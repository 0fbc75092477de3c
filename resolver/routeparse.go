package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/stub"
)

// The reasons why a text is not a route.
var (
	errRouteForm = errors.New(`not of the form ZONE=SERVER[,SERVER…], such as "corp.example=192.0.2.53" or ".=tls://192.0.2.53#dns.example"`)
	errTLSName   = errors.New("only tls:// takes a name to verify")
)

// ParseRoute parses the text of a Route, as flags and configuration files have it:
//
//	cluster.local=10.96.0.10,unsigned            forward, and do not validate
//	corp.example=192.0.2.53,[2001:db8::53]:5353  forward, at these addresses and ports
//	.=tls://192.0.2.53#dns.example               forward everything, over TLS, with that name in the certificate
//	example.net=tcp://192.0.2.53                 over TCP only
//	corp.example=/etc/resolv.conf                the servers of that file
//	corp.example=192.0.2.53,stub                 authoritative servers
//	corp.example=ns.example.net,stub             the same, by name
//	pub.corp.example=iterate                     exempt from the route above it
//
// The error says which part is wrong, and why. New and SetRoutes check the rest.
func ParseRoute(text string) (Route, error) {
	zone, list, ok := strings.Cut(text, "=")
	zone = strings.TrimSpace(zone)
	if !ok || zone == "" || list == "" {
		return Route{}, fmt.Errorf("resolver: route %q: %w", text, errRouteForm)
	}
	if _, err := dnsname.Parse(zone); err != nil {
		return Route{}, fmt.Errorf("resolver: route %q: %w", text, err)
	}
	rt := Route{Zone: zone}
	for part := range strings.SplitSeq(list, ",") {
		if err := rt.add(strings.TrimSpace(part)); err != nil {
			return Route{}, fmt.Errorf("resolver: route %q: %q: %w", text, part, err)
		}
	}
	return rt, nil
}

// add parses one part of a route's text, between commas.
func (rt *Route) add(part string) error {
	switch {
	case part == "unsigned":
		rt.Unsigned = true
	case part == "stub":
		rt.Kind = RouteStub
	case part == "iterate":
		rt.Kind = RouteIterate
	case strings.HasPrefix(part, "/"):
		rt.ResolvConf = part
	default:
		s, err := parseRouteServer(part)
		if err != nil {
			return err
		}
		rt.Servers = append(rt.Servers, s)
	}
	return nil
}

// parseRouteServer parses [SCHEME://]ADDRESS[:PORT][#NAME], or a host name.
func parseRouteServer(text string) (RouteServer, error) {
	var s RouteServer
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		scheme, rest = "udp", text
	}
	switch scheme {
	case "udp":
	case "tcp":
		s.Transport = TransportTCP
	case "tls":
		s.Transport = TransportTLS
	default:
		return s, fmt.Errorf("unknown transport %q: udp, tcp or tls", scheme)
	}
	address, name, named := strings.Cut(rest, "#")
	if named && s.Transport != TransportTLS {
		return s, errTLSName
	}
	s.Name = name
	if a, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		s.Addr = netip.AddrPortFrom(a, 0)
		return s, nil
	}
	addr, err := netip.ParseAddrPort(address)
	if err == nil {
		s.Addr = addr
		return s, nil
	}
	if _, nameErr := dnsname.Parse(address); nameErr != nil || strings.Contains(address, ":") || !stub.IsHostName(address) {
		return s, err
	}
	s.Name = address
	return s, nil
}
