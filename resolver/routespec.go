package resolver

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"time"
)

// routeSpec says what a route is to be. Its fields mean what those of resolver.Route do.
type routeSpec struct {
	Zone       string
	Kind       routeKind
	Servers    []serverSpec
	ResolvConf string
	Unsigned   bool
}

// routeKind says what the servers of a route are. The numbers are those of
// resolver.RouteKind.
type routeKind uint8

const (
	routeForward routeKind = iota // recursive servers
	routeStub                     // authoritative servers of the zone
	routeIterate                  // none: the zone is searched from the root
)

func (k routeKind) String() string {
	switch k {
	case routeForward:
		return "forward"
	case routeStub:
		return "stub"
	case routeIterate:
		return "iterate"
	}
	return "unknown"
}

// serverSpec says what a server of a route is to be. Its fields mean what those of
// resolver.RouteServer do.
type serverSpec struct {
	Addr      netip.AddrPort
	Name      string
	Transport serverTransport
	TLSConfig *tls.Config
	Sender    sender // carries the queries instead; nil: the transport does
}

// String returns the server's name and address, for errors and logs.
func (s serverSpec) String() string {
	var parts []string
	if s.Addr.Addr().IsValid() {
		parts = append(parts, s.Addr.String())
	}
	if s.Name != "" {
		parts = append(parts, s.Name)
	}
	switch {
	case s.Sender != nil:
		parts = append(parts, "over a hook")
	case s.Transport != transportUDP:
		parts = append(parts, "over "+s.Transport.String())
	}
	return strings.Join(parts, " ")
}

// serverTransport says how the servers of a route are asked. The numbers are those of
// resolver.RouteTransport.
type serverTransport uint8

const (
	transportUDP serverTransport = iota // and over TCP when a reply is truncated
	transportTCP
	transportTLS
)

func (t serverTransport) String() string {
	switch t {
	case transportUDP:
		return "udp"
	case transportTCP:
		return "tcp"
	case transportTLS:
		return "tls"
	}
	return "unknown"
}

// negativeAnchorSpec says which zone is not to be validated, and until when. Its fields mean
// what those of resolver.NegativeTrustAnchor do.
type negativeAnchorSpec struct {
	Zone  string
	Until time.Time
}
