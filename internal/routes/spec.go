package routes

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"time"
)

// Spec says what a route is to be. Its fields mean what those of resolver.Route do.
type Spec struct {
	Zone       string
	Kind       Kind
	Servers    []ServerSpec
	ResolvConf string
	Unsigned   bool
}

// Kind says what the servers of a route are. The numbers are those of
// resolver.RouteKind.
type Kind uint8

const (
	Forward Kind = iota // recursive servers
	Stub                // authoritative servers of the zone
	Iterate             // none: the zone is searched from the root
)

func (k Kind) String() string {
	switch k {
	case Forward:
		return "forward"
	case Stub:
		return "stub"
	case Iterate:
		return "iterate"
	}
	return "unknown"
}

// ServerSpec says what a server of a route is to be. Its fields mean what those of
// resolver.RouteServer do.
type ServerSpec struct {
	Addr      netip.AddrPort
	Name      string
	Transport Transport
	TLSConfig *tls.Config
	Sender    Sender // carries the queries instead; nil: the transport does
}

// String returns the server's name and address, for errors and logs.
func (s ServerSpec) String() string {
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

// Transport says how the servers of a route are asked. The numbers are those of
// resolver.RouteTransport.
type Transport uint8

const (
	transportUDP Transport = iota // and over TCP when a reply is truncated
	transportTCP
	transportTLS
)

func (t Transport) String() string {
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

// NegativeAnchorSpec says which zone is not to be validated, and until when. Its fields mean
// what those of resolver.NegativeTrustAnchor do.
type NegativeAnchorSpec struct {
	Zone  string
	Until time.Time
}
