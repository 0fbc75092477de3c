package resolver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/stub"
)

// Route sends questions for the names at and below a zone to other servers than those found from the root
// down. Of several routes the one with the longest Zone decides; each name of an alias chain has its own
// route.
//
// What is learnt over a route (records, delegations, addresses of name servers, denials, failures) is kept
// separate: it answers nothing that is outside its zone or has a longer route, and what iteration learnt
// answers nothing inside it (MaginotDNS). The DS records of Zone itself belong to the zone above, and are
// asked for there.
//
// A route takes precedence over the special-use names that are answered locally when its
// zone is as long as theirs or longer: a route for 10.in-addr.arpa. gets the questions for
// names of network 10, one for the root does not.
//
// Common mistakes:
//
//   - A zone that exists in your own network only, such as cluster.local. or corp., needs
//     Unsigned: the signed root proves that it does not exist, so that anything its servers
//     say is bogus. A zone that is public too, and signed, does not need it if the inner
//     servers have it signed with the same keys.
//   - The reverse zones of the network need routes of their own: a route for corp. does not
//     make LookupAddr work for 10.0.0.0/8; one for 10.in-addr.arpa. does.
//   - Servers at private addresses that a stub zone's referrals lead to have to be allowed
//     by Options.AllowServer; the route's own servers do not.
//   - A forwarder that strips signatures makes every signed name bogus. The only ways to
//     trust it without validation are Unsigned, for all names of the route, or ValidateOff.
//   - A forwarder that asks this resolver, perhaps by way of others, makes a loop. Loops
//     are noticed and end with ErrRouteLoop; CheckRoutes finds them before the first
//     question does.
type Route struct {
	// Zone is the zone, with or without trailing dot; "." is every name.
	Zone string
	// Kind says what the servers are. Zero: recursive ones.
	Kind RouteKind
	// Servers are the servers to ask: the fastest first, another when it is late or fails.
	// RouteIterate has none.
	Servers []RouteServer
	// ResolvConf is the path of a file in the form of resolv.conf(5), such as
	// /etc/resolv.conf, whose nameserver lines are servers too. It is read again when it
	// changes; if it then cannot be read or has none, the servers read before stay. "":
	// none.
	ResolvConf string
	// Unsigned makes the answers of the route Insecure instead of validating them: for
	// private zones, which no chain of trust leads to. It works like a negative trust
	// anchor (RFC 7646) at Zone for this route's names.
	Unsigned bool
}

// RouteKind says what the servers of a Route are.
type RouteKind uint8

const (
	// RouteForward: recursive servers. They get every question of the route, its name not
	// minimised, with RD set, and with DO and CD where this resolver validates.
	RouteForward RouteKind = iota
	// RouteStub: authoritative servers of the zone. They are asked as if a delegation
	// had led to them, and further delegations are followed.
	RouteStub
	// RouteIterate: no servers. The zone is exempt from a shorter route, and searched
	// from the root.
	RouteIterate
)

// String returns the kind in lower case, "unknown" for a value that is none.
func (k RouteKind) String() string { return routes.Kind(k).String() }

// RouteServer is a server of a Route. Options.AllowServer and Options.Family do not apply
// to its address.
type RouteServer struct {
	// Addr is the address and port at which it listens. Port 0: 853 over TLS, else
	// Options.Port. Without an address, that of Name is looked up.
	Addr netip.AddrPort
	// Name is the host name. With an address it is the name that the certificate is
	// verified for, and appears in traces. Without one, the name must not be inside the
	// route, and the server is asked over UDP at Options.Port.
	Name string
	// Transport says how it is asked. Zero: over UDP, and over TCP when a reply is
	// truncated.
	Transport RouteTransport
	// TLSConfig is used for TransportTLS, with ServerName filled in from Name or, without
	// that, Addr, which the certificate must then have as an IP address (RFC 7858 §3.2,
	// RFC 8310 §5.1). Nil: the system's roots.
	TLSConfig *tls.Config
	// Exchanger carries the queries instead, for transports like DNS over HTTPS (RFC 8484).
	// Its network argument is "tcp" and its server argument Addr, which may be zero. Nil:
	// the built-in transports, or Options.Exchanger.
	//
	// Where Options.ViewName is "", what is cached of the route is used for as long as
	// SetRoutes is called with the very same Exchanger and TLSConfig (or until the next
	// SetRoutes, if the Exchangers cannot be compared with ==). A ViewName says that
	// Exchangers and TLSConfigs of servers with equal Addr and Name may stand for each
	// other.
	Exchanger Exchanger
}

// String returns the server's name and address, for errors and logs.
func (s RouteServer) String() string { return s.spec().String() }

// RouteTransport says how the servers of a Route are asked.
type RouteTransport uint8

const (
	// TransportUDP: over UDP, and over TCP when a reply is truncated.
	TransportUDP RouteTransport = iota
	// TransportTCP: over TCP only, on connections that are kept for a while (RFC 7766).
	TransportTCP
	// TransportTLS: DNS over TLS (RFC 7858), on connections that are kept for a while. It
	// never falls back to anything unencrypted. The queries are padded (RFC 8467).
	TransportTLS
)

// String returns the name of the transport in lower case, "unknown" for a value that is
// none.
func (t RouteTransport) String() string { return routes.Transport(t).String() }

// TLSRequirement says which authoritative servers are asked over TLS only (RFC 7858), wherever
// delegations lead to them. It has either a Zone or Servers. Connections are kept for a while, and
// queries padded (RFC 8467). A server that cannot be reached over TLS, or whose certificate is not
// the one required, has failed: it is never asked in clear, and the next server is asked instead.
// Where no other is left, the error wraps ErrTLSRequired. Such a server is marked down for a second, twice
// as long each further time, up to 15 s: others are asked meanwhile, and after three failures in a
// row it is not asked at all during that time.
//
// A zone's names are then learnt from no other servers: those above it may refer to it, be asked
// for its DS, and see what query minimisation shows them. If they answer for its names
// themselves, as where one server has both zones, the error is ErrTLSRequired too: require it of
// the zone above as well. What they refer to is not secret, and not
// signed: somebody who can change their replies can name other servers, with valid certificates. Only
// Name or Pins, or DNSSEC, are safe from that.
//
// Where an address and a zone both require it, the requirement for the address says how; of several
// zones or prefixes, the longest does. New and SetRoutes refuse routes for names of such zones, and
// routes that ask such addresses in clear, apart from RouteIterate. Options.LocalRoot, if it
// transfers the zone, is not affected.
type TLSRequirement struct {
	// Zone is a zone whose servers are asked over TLS, and those of the zones below it.
	Zone string
	// Servers are addresses of servers: netip.PrefixFrom(addr, addr.BitLen()) is one. Whatever zone
	// leads to them is asked over TLS there; its other servers may be asked in clear.
	Servers netip.Prefix
	// Name is the host name that the certificates have to be for. "": the name of the NS record for
	// a Zone, and the address for Servers (RFC 8310 §5.1); with Pins, no name is verified.
	Name string
	// Pins are public keys of which the server has to have one, as the base64 of the SHA-256 of its
	// SubjectPublicKeyInfo (RFC 7858 §4.2 and appendix A). With a name to verify, which is Name or
	// that of TLSConfig, any key of the verified chain will do. Without one only the
	// server's own key is looked at, and neither authority nor dates. Nil: none.
	Pins []string
	// Port is the port for TLS. 0: 853.
	Port uint16
	// TLSConfig is used as a Route's is. Its ServerName is used where Name is "", and its
	// MinVersion is 1.2 at least; InsecureSkipVerify takes Pins or VerifyConnection. As with the other
	// functions, Options.ViewName stands for it between resolvers that share a cache.
	// Nil: the system's roots.
	TLSConfig *tls.Config
}

// ParseTLSRequirement parses the text of a TLSRequirement, as flags and configuration files have it: a
// zone or addresses, a name behind #, and pins.
//
//	corp.example                                 the zone, by the names of its name servers
//	corp.example#dns.corp.example                the zone, by that name
//	192.0.2.53#ns1.example.net                   an address
//	2001:db8::/64,pin=BASE64,pin=BASE64          all of these addresses, by keys
//
// The error says which part is wrong. New checks the rest.
func ParseTLSRequirement(text string) (TLSRequirement, error) {
	scope, pins, pinned := strings.Cut(text, ",")
	var q TLSRequirement
	scope, q.Name, _ = strings.Cut(scope, "#")
	if addr, err := netip.ParseAddr(scope); err == nil {
		q.Servers = netip.PrefixFrom(addr, addr.BitLen())
	} else if prefix, err := netip.ParsePrefix(scope); err == nil {
		q.Servers = prefix
	} else if _, err := dnsname.Parse(scope); err != nil || scope == "" || strings.Contains(scope, "/") {
		return TLSRequirement{}, badText("TLS requirement %q: %w", text, errTLSForm)
	} else {
		q.Zone = scope
	}
	if !pinned {
		return q, nil
	}
	for part := range strings.SplitSeq(pins, ",") {
		pin, ok := strings.CutPrefix(part, "pin=")
		if !ok {
			return TLSRequirement{}, badText("TLS requirement %q: %q: %w", text, part, errTLSForm)
		}
		q.Pins = append(q.Pins, pin)
	}
	return q, nil
}

var errTLSForm = errors.New(`not of the form ZONE[#NAME][,pin=BASE64…] or ADDRESS[/BITS][#NAME][,pin=BASE64…]`)

// tlsRules returns the engine's form of Options.RequireTLS.
func (o *Options) tlsRules() (*routes.TLSRules, error) {
	if len(o.RequireTLS) > 0 && o.Exchanger != nil {
		return nil, optionError("RequireTLS", "an Options.Exchanger carries all queries, and knows no TLS")
	}
	specs := make([]routes.TLSSpec, len(o.RequireTLS))
	for i, q := range o.RequireTLS {
		specs[i] = routes.TLSSpec(q)
	}
	rules, err := routes.NewTLSRules(specs)
	if err != nil {
		return nil, &OptionError{"RequireTLS", err}
	}
	return rules, nil
}

// SetRoutes replaces Options.Routes. Questions asked from then on use the new routes; those
// under way may end by either. Names that keep their route keep what is cached of them; the
// cached data of other names is used again when they get their route back. On an error
// nothing changes. SetRoutes may be called concurrently with everything else.
func (r *Resolver) SetRoutes(routes []Route) error {
	return asOptionError(r.routes.SetRoutes(routeSpecs(routes)))
}

// SetNegativeTrustAnchors replaces Options.NegativeTrustAnchors, as SetRoutes does with
// routes.
func (r *Resolver) SetNegativeTrustAnchors(anchors []NegativeTrustAnchor) error {
	return asOptionError(r.routes.SetNegativeAnchors(negativeAnchorSpecs(anchors)))
}

// routeSpecs returns the engine's form of routes. It is a copy: the engine reads it again
// when something else changes, and the caller may modify the slices.
func routeSpecs(table []Route) []routes.Spec {
	specs := make([]routes.Spec, len(table))
	for i, rt := range table {
		specs[i] = routes.Spec{
			Zone: rt.Zone, Kind: routes.Kind(rt.Kind), ResolvConf: rt.ResolvConf, Unsigned: rt.Unsigned,
			Servers: make([]routes.ServerSpec, len(rt.Servers)),
		}
		for j, s := range rt.Servers {
			specs[i].Servers[j] = s.spec()
		}
	}
	return specs
}

// fallbackSpec returns the engine's form of Options.Fallback.
func fallbackSpec(fallback *Route) *routes.Spec {
	if fallback == nil {
		return nil
	}
	return &routeSpecs([]Route{*fallback})[0]
}

// spec returns the engine's form of a server.
func (s RouteServer) spec() routes.ServerSpec {
	spec := routes.ServerSpec{Addr: s.Addr, Name: s.Name, Transport: routes.Transport(s.Transport), TLSConfig: s.TLSConfig}
	if s.Exchanger != nil {
		spec.Sender = checked{s.Exchanger}
	}
	return spec
}

// negativeAnchorSpecs returns the engine's form of negative trust anchors, as routeSpecs
// does.
func negativeAnchorSpecs(anchors []NegativeTrustAnchor) []routes.NegativeAnchorSpec {
	specs := make([]routes.NegativeAnchorSpec, len(anchors))
	for i, a := range anchors {
		specs[i] = routes.NegativeAnchorSpec(a)
	}
	return specs
}

// CheckRoutes asks every server of every route for a name made up at random, and reports the
// routes by which that question came back to Exchange or ServeDNS, as CoreDNS's plugin loop
// does: a *RouteError each, joined, that wraps ErrRouteLoop. It is to be called when the
// resolver is being served. Servers that do not answer are no error here; nor are routes to
// servers that answer without asking others.
//
// Without it a loop is noticed when a question that is forwarded comes in again while the
// forwarder's reply is waited for: the same test is made then. Servers found to lead back
// are not asked for 30 s, and questions for whose names there is no other server fail with
// ErrRouteLoop.
func (r *Resolver) CheckRoutes(ctx context.Context) error {
	return shown(r.iterate.CheckRoutes(ctx))
}

// The reasons why a text is not a route.
var (
	errRouteForm = errors.New(`not of the form ZONE=SERVER[,SERVER…], such as "corp.example=192.0.2.53" or ".=tls://192.0.2.53#dns.example"`)
	errRouteWord = errors.New("neither a word (stub, iterate, unsigned), nor an address, nor a host name with a dot (a name of one label takes one at its end)")
	errTLSName   = errors.New("only tls:// takes a name to verify")
	errHTTPS     = errors.New("DNS over HTTPS takes a transport of the program's own: add a RouteServer with an Exchanger to Route.Servers")
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
// DNS over HTTPS has no text: its Route is made in the program, with an Exchanger that carries the queries.
// The zone may have one label; a server's name of one label needs its final dot, so that an unknown word is
// an error. The error says which part is wrong, and why. New and SetRoutes check the rest.
func ParseRoute(text string) (Route, error) {
	zone, list, ok := strings.Cut(text, "=")
	zone = strings.TrimSpace(zone)
	if !ok || zone == "" || list == "" {
		return Route{}, badText("route %q: %w", text, errRouteForm)
	}
	if _, err := dnsname.Parse(zone); err != nil {
		return Route{}, badText("route %q: %w", text, err)
	}
	rt := Route{Zone: zone}
	for part := range strings.SplitSeq(list, ",") {
		if err := rt.add(strings.TrimSpace(part)); err != nil {
			return Route{}, badText("route %q: %q: %w", text, part, err)
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
	case "https":
		return s, errHTTPS
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
	if !strings.Contains(address, ".") {
		return s, errRouteWord // a slip in one of the words would become a server that nobody finds
	}
	s.Name = address
	return s, nil
}
