package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/iterdns/iterdns/resolver"
)

// routeList is the flag for routes.
type routeList []resolver.Route

func (l *routeList) String() string { return "" }

// Set adds a route: ZONE=WORD,…. A word is a server, a file in the form of resolv.conf,
// or says what is special about the route.
func (l *routeList) Set(text string) error {
	zone, words, ok := strings.Cut(text, "=")
	if !ok || zone == "" || words == "" {
		return errors.New("want ZONE=SERVER,…")
	}
	route := resolver.Route{Zone: zone}
	for word := range strings.SplitSeq(words, ",") {
		switch {
		case word == "stub":
			route.Kind = resolver.RouteStub
		case word == "iterate":
			route.Kind = resolver.RouteIterate
		case word == "unsigned":
			route.Unsigned = true
		case strings.HasPrefix(word, "/"):
			route.ResolvConf = word
		default:
			server, err := parseServer(word)
			if err != nil {
				return err
			}
			route.Servers = append(route.Servers, server)
		}
	}
	*l = append(*l, route)
	return nil
}

// setFallback is the flag for the route that is used while no root server can be asked.
func (c *config) setFallback(words string) error {
	var one routeList
	if err := one.Set(".=" + words); err != nil {
		return err
	}
	c.fallback = &one[0]
	return nil
}

// addRequireTLS is the flag for servers that are asked over TLS only.
func (c *config) addRequireTLS(text string) error {
	q, err := resolver.ParseTLSRequirement(text)
	if err == nil {
		c.requireTLS = append(c.requireTLS, q)
	}
	return err
}

// parseServer reads [TRANSPORT://]IP[:PORT][#NAME].
func parseServer(text string) (resolver.RouteServer, error) {
	var s resolver.RouteServer
	transport, rest, ok := strings.Cut(text, "://")
	if !ok {
		transport, rest = "udp", text
	}
	switch transport {
	case "udp":
	case "tcp":
		s.Transport = resolver.TransportTCP
	case "tls":
		s.Transport = resolver.TransportTLS
	default:
		return s, fmt.Errorf("%q: want udp, tcp or tls before ://", text)
	}
	address, name, _ := strings.Cut(rest, "#")
	s.Name = name
	addr, err := netip.ParseAddr(strings.Trim(address, "[]"))
	if err == nil {
		s.Addr = netip.AddrPortFrom(addr, 0) // the transport's port
		return s, nil
	}
	if s.Addr, err = netip.ParseAddrPort(address); err != nil {
		return s, fmt.Errorf("%q: want [TRANSPORT://]IP[:PORT][#NAME], a file, stub, iterate or unsigned", text)
	}
	return s, nil
}
