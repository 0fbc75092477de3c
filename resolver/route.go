package resolver

import (
	"crypto/tls"
	"net/netip"
)

// Route says that the names at and below a zone are searched elsewhere than at the name
// servers found from the root down. Of several routes the one with the longest Zone
// decides; those of a name's aliases are their own names' routes.
//
// What a route teaches is kept apart: it answers nothing that is outside its zone or
// has a longer route, and what iteration learnt answers nothing inside it, be it records,
// delegations, addresses of name servers, denials or failures (MaginotDNS). The DS
// records of Zone itself belong to the zone above, and are asked for there.
//
// A route goes before the special-use names that are answered locally when its zone is
// as long as theirs or longer: one for 10.in-addr.arpa. is asked for the names of
// network 10, one for the root is not.
//
// What users get wrong:
//
//   - A zone that exists in one's own network only, such as cluster.local. or corp.,
//     needs Unsigned: the signed root proves that it does not exist, so that whatever
//     its servers say is bogus. A zone that is public too, and signed, does not need it
//     if the inner servers have it signed with the same keys.
//   - The reverse zones of the network are zones of their own: a route for corp. does not
//     make LookupAddr work for 10.0.0.0/8; one for 10.in-addr.arpa. does.
//   - Servers at private addresses that a stub zone's referrals lead to have to be
//     allowed by Options.AllowServer, which the route's own servers do not need.
//   - A forwarder that takes signatures out makes every signed name bogus. There is no
//     way to trust its word instead but Unsigned, for all names of the route, or
//     ValidateOff.
//   - A forwarder that asks us, perhaps by way of others, makes a loop. It is noticed and
//     ends with ErrRouteLoop; CheckRoutes finds it before the first question does.
type Route struct {
	// Zone is the zone, with or without trailing dot; "." is every name.
	Zone string
	// Kind says what the servers are. Zero: recursive ones.
	Kind RouteKind
	// Servers are asked, the fastest first, and the others when it is late or fails.
	// RouteIterate has none.
	Servers []RouteServer
	// ResolvConf is a file in the form of resolv.conf(5), such as /etc/resolv.conf,
	// whose nameserver lines are servers too. It is read again when it changes; when it
	// then cannot be read or has none, those read before stay. "": none.
	ResolvConf string
	// Unsigned makes the answers of the route Insecure instead of validating them: for
	// private zones, which no chain of trust leads to. It is a negative trust anchor
	// (RFC 7646) at Zone for this route's names.
	Unsigned bool
}

// RouteKind says what the servers of a Route are.
type RouteKind uint8

const (
	// RouteForward: recursive servers. They get every question of the route, its name
	// not minimised, with RD set, and with DO and CD where we validate ourselves.
	RouteForward RouteKind = iota
	// RouteStub: authoritative servers of the zone. They are asked as if a delegation
	// had led to them, and further delegations are followed.
	RouteStub
	// RouteIterate: no servers. The zone is exempt from a shorter route, and searched
	// from the root.
	RouteIterate
)

// String gives the kind in lower case.
func (k RouteKind) String() string {
	switch k {
	case RouteForward:
		return "forward"
	case RouteStub:
		return "stub"
	case RouteIterate:
		return "iterate"
	}
	return "unknown"
}

// RouteServer is a server of a Route. Options.AllowServer and Options.Family have no say
// on its address.
type RouteServer struct {
	// Addr is where it listens. Port 0: 853 over TLS, else Options.Port. Without an
	// address, Name's is looked up.
	Addr netip.AddrPort
	// Name is the host name. With an address it is what the certificate is verified
	// for, and of use in traces. Without one, the name must not be inside the route, and
	// the server is asked over UDP at Options.Port.
	Name string
	// Transport says how it is asked. Zero: over UDP, and over TCP when a reply is cut
	// off.
	Transport RouteTransport
	// TLSConfig is used for TransportTLS, with ServerName filled in from Name or, without
	// that, Addr, which the certificate must then have as an IP address (RFC 7858 §3.2,
	// RFC 8310 §5.1). Nil: the system's roots.
	TLSConfig *tls.Config
	// Exchanger carries the queries instead, for transports like DNS over HTTPS (RFC
	// 8484). It is given "tcp" as network, and Addr, which may be zero, for server. Nil:
	// the built-in transports, or Options.Exchanger.
	//
	// Where Options.ViewName is "", what is cached of the route is used for as long as
	// SetRoutes gives the very same Exchanger and TLSConfig (of Exchangers that == cannot
	// compare, until the next SetRoutes). A name says that those of servers with equal Addr
	// and Name are as good as each other.
	Exchanger Exchanger
}

// RouteTransport says how the servers of a Route are asked.
type RouteTransport uint8

const (
	// TransportUDP: over UDP, and over TCP what does not fit.
	TransportUDP RouteTransport = iota
	// TransportTCP: over TCP only, on connections that are kept for a while (RFC 7766).
	TransportTCP
	// TransportTLS: DNS over TLS (RFC 7858), on connections that are kept for a while. It
	// never falls back to anything unencrypted. The queries are padded (RFC 8467).
	TransportTLS
)

// String gives the name of the transport in lower case.
func (t RouteTransport) String() string {
	switch t {
	case TransportUDP:
		return "udp"
	case TransportTCP:
		return "tcp"
	case TransportTLS:
		return "tls"
	}
	return "unknown"
}
