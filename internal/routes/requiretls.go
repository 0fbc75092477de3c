package routes

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/transport"
)

// TLSSpec says which authoritative servers are asked over TLS only. Its fields mean what those of
// resolver.TLSRequirement do.
type TLSSpec struct {
	Zone      string
	Servers   netip.Prefix
	Name      string
	Pins      []string
	Port      uint16
	TLSConfig *tls.Config
}

// TLSRules are the requirements of Options.RequireTLS. They never change. Nil: none.
type TLSRules struct {
	zones    map[dnsname.Name]*tlsRule
	prefixes []*tlsRule // the longest first
	text     string
}

// tlsRule is one requirement, checked.
type tlsRule struct {
	prefix  netip.Prefix // invalid: of a zone
	name    string       // to verify, without trailing dot; "": see verifies
	pins    [][sha256.Size]byte
	port    uint16
	config  *tls.Config // with all but the name
	byNames bool        // of a zone, and the names of the name servers are verified
}

var (
	errTLSScope     = errors.New("want either Zone or Servers")
	errTLSPrefix    = errors.New("want a prefix with no bits set beyond its length")
	errTLSPin       = errors.New("not the base64 of a SHA-256 digest, as RFC 7858 appendix A has it")
	errTLSUnchecked = errors.New("TLSConfig.InsecureSkipVerify verifies nothing: want Pins, or a VerifyConnection function")
	errTLSTwice     = errors.New("given twice")
	errTLSRoute     = errors.New("Options.RequireTLS has the zone, or one above or below it; the servers of a route are asked as the route says")
	errPlainServer  = errors.New("Options.RequireTLS has its address, and the route asks it in clear")
	errNoPeer       = errors.New("no server over TLS is meant")
	errNoPin        = errors.New("no pinned key is in the certificates of the server")
)

// NewTLSRules checks requirements. The error says which of them is wrong.
func NewTLSRules(specs []TLSSpec) (*TLSRules, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	rules, text := &TLSRules{zones: make(map[dnsname.Name]*tlsRule)}, new(strings.Builder)
	for i := range specs {
		if err := rules.add(&specs[i], text); err != nil {
			return nil, fmt.Errorf("number %d: %w", i, err)
		}
	}
	slices.SortStableFunc(rules.prefixes, func(a, b *tlsRule) int { return b.prefix.Bits() - a.prefix.Bits() })
	rules.text = text.String()
	return rules, nil
}

// Text has all that decides which data is believed; "" without rules.
func (t *TLSRules) Text() string {
	if t == nil {
		return ""
	}
	return t.text
}

// add checks and adds one requirement.
func (t *TLSRules) add(s *TLSSpec, text *strings.Builder) error {
	rule := &tlsRule{port: s.Port}
	if rule.port == 0 {
		rule.port = tlsPort
	}
	if s.Name != "" {
		name, err := dnsname.Parse(s.Name)
		if err != nil {
			return fmt.Errorf("name %q: %w", s.Name, err)
		}
		rule.name = strings.TrimSuffix(name.String(), ".")
	}
	for _, pin := range s.Pins {
		digest, err := base64.StdEncoding.DecodeString(pin)
		if err != nil || len(digest) != sha256.Size {
			return fmt.Errorf("pin %q: %w", pin, errTLSPin)
		}
		rule.pins = append(rule.pins, [sha256.Size]byte(digest))
	}
	if err := rule.configure(s.TLSConfig); err != nil {
		return err
	}
	fmt.Fprintf(text, " tls zone %q servers %v name %q pins %q port %d config %t", s.Zone, s.Servers, rule.name, s.Pins, rule.port, s.TLSConfig != nil)
	switch {
	case (s.Zone == "") == (s.Servers == netip.Prefix{}):
		return errTLSScope
	case s.Zone != "":
		return t.addZone(s.Zone, rule)
	}
	return t.addPrefix(s.Servers, rule)
}

func (t *TLSRules) addZone(text string, rule *tlsRule) error {
	zone, err := dnsname.Parse(text)
	if err != nil {
		return fmt.Errorf("zone %q: %w", text, err)
	}
	if t.zones[zone] != nil {
		return fmt.Errorf("zone %q: %w", text, errTLSTwice)
	}
	rule.byNames = rule.name == "" && rule.config.ServerName == "" && !rule.config.InsecureSkipVerify
	t.zones[zone] = rule
	return nil
}

func (t *TLSRules) addPrefix(p netip.Prefix, rule *tlsRule) error {
	if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
		return fmt.Errorf("servers %v: %w", p, errTLSPrefix)
	}
	if slices.ContainsFunc(t.prefixes, func(r *tlsRule) bool { return r.prefix == p }) {
		return fmt.Errorf("servers %v: %w", p, errTLSTwice)
	}
	rule.prefix = p
	t.prefixes = append(t.prefixes, rule)
	return nil
}

// configure makes the TLS configuration of a rule, but for the name to verify. Where pins are all
// that is known of a server, they are all that is verified (RFC 7858 §4.2).
func (rule *tlsRule) configure(given *tls.Config) error {
	config := new(tls.Config)
	if given != nil {
		config = given.Clone()
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12) // RFC 8310 §9, RFC 9325 §3.1.1
	if config.InsecureSkipVerify && len(rule.pins) == 0 && config.VerifyConnection == nil {
		return errTLSUnchecked
	}
	if config.ServerName == "" {
		config.ServerName = rule.name
	}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if len(rule.pins) > 0 {
		config.InsecureSkipVerify = config.InsecureSkipVerify || config.ServerName == ""
		verify := config.VerifyConnection
		config.VerifyConnection = func(state tls.ConnectionState) error { // also when a session is resumed
			if verify != nil {
				if err := verify(state); err != nil {
					return err
				}
			}
			return rule.checkPins(state)
		}
	}
	rule.config = config
	return nil
}

// checkPins reports whether a server has one of the pinned keys: anywhere in a chain that was
// verified, else only as its own, since anybody can add the certificate of another to a chain.
func (rule *tlsRule) checkPins(state tls.ConnectionState) error {
	chains := state.VerifiedChains
	if len(chains) == 0 && len(state.PeerCertificates) > 0 {
		chains = [][]*x509.Certificate{state.PeerCertificates[:1]}
	}
	for _, chain := range chains {
		for _, cert := range chain {
			digest := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
			for _, pin := range rule.pins {
				if subtle.ConstantTimeCompare(digest[:], pin[:]) == 1 {
					return nil
				}
			}
		}
	}
	return errNoPin
}

// tlsPeer tells apart the servers at one address whose certificates are verified differently.
type tlsPeer struct {
	rule *tlsRule
	name string // of the name server; "": it is not verified
}

// configFor returns the configuration for a connection to a server.
func (p tlsPeer) configFor(address string) *tls.Config {
	config := p.rule.config
	switch {
	case p.rule.byNames:
		config = config.Clone()
		config.ServerName = p.name
	case config.ServerName == "" && !config.InsecureSkipVerify: // RFC 7858 §3.2
		config = config.Clone()
		if at, err := netip.ParseAddrPort(address); err == nil {
			config.ServerName = at.Addr().WithZone("").String()
		}
	}
	return config
}

// tlsSender sends over the connections to one peer.
type tlsSender struct {
	transport *transport.Transport
	peer      tlsPeer
	faults    *tlsFaults
}

// Send implements Sender.
func (s tlsSender) Send(ctx context.Context, network string, server netip.AddrPort, query []byte, w transport.Watch) ([]byte, error) {
	w.Peer = s.peer
	return s.transport.Send(ctx, network, server, query, w)
}

// RequireTLS installs the rules, before Begin.
func (r *Router) RequireTLS(rules *TLSRules) {
	if rules == nil {
		return
	}
	r.tlsRules = rules
	r.tlsTransport = transport.New(transport.Options{
		Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errNoPeer }, // so that there is no poller
		DialPeer: func(ctx context.Context, peer any, network, address string) (net.Conn, error) {
			return r.tlsDial(peer.(tlsPeer).configFor(address))(ctx, network, address)
		},
		ConnectTimeout: tlsConnectTimeout, MaxConns: r.Settings.Limits.Connections,
	})
}

// TLSServer returns how a server of a delegation is asked where TLS is required, by its address, or
// else by the zone; nil: in clear.
func (r *Router) TLSServer(cut *ZoneCut, name dnsname.Name, addr netip.Addr) *Forwarder {
	if r.tlsRules == nil {
		return nil
	}
	rule := r.tlsRules.ofAddr(addr)
	if rule == nil && cut.Source.Route == nil {
		_, rule = r.tlsRules.ofZone(cut.Zone)
	}
	if rule == nil {
		return nil
	}
	peer := tlsPeer{rule: rule}
	if rule.byNames {
		peer.name = strings.TrimSuffix(name.String(), ".")
	}
	return &Forwarder{
		Addr: netip.AddrPortFrom(addr, rule.port), Name: name, Network: transportTLS.String(), Stream: true,
		Sender: tlsSender{r.tlsTransport, peer, &r.tlsFaults}, Required: true,
	}
}

// TLSZone returns the zone of RequireTLS that a name belongs to, if the servers of cut, which is
// above it, may not answer for the name: they may only refer to it.
func (r *Router) TLSZone(cut *ZoneCut, name dnsname.Name) (zone dnsname.Name, above bool) {
	if r.tlsRules == nil || cut.Source.Route != nil && !cut.Source.Route.isFallback {
		return "", false // other routes have no such names
	}
	zone, rule := r.tlsRules.ofZone(name)
	return zone, rule != nil && !cut.Zone.IsAtOrBelow(zone)
}

// InTLSZone reports whether a name belongs to a zone of RequireTLS.
func (r *Router) InTLSZone(name dnsname.Name) bool {
	if r.tlsRules == nil {
		return false
	}
	_, rule := r.tlsRules.ofZone(name)
	return rule != nil
}

// ofAddr returns the rule of the longest prefix that has an address; nil: there is none.
func (t *TLSRules) ofAddr(addr netip.Addr) *tlsRule {
	addr = addr.Unmap()
	for _, rule := range t.prefixes {
		if rule.prefix.Contains(addr) {
			return rule
		}
	}
	return nil
}

// ofZone returns the rule of the longest zone at or above a name; nil: there is none.
func (t *TLSRules) ofZone(name dnsname.Name) (dnsname.Name, *tlsRule) {
	if len(t.zones) == 0 {
		return "", nil
	}
	for {
		if rule := t.zones[name]; rule != nil {
			return name, rule
		}
		if name.IsRoot() {
			return "", nil
		}
		name = name.Parent()
	}
}

// checkTLS returns why a table of routes does not go with the rules: names of their zones must not
// be asked for elsewhere.
func (m *routeTableBuilder) checkTLS() error {
	if m.r.tlsRules == nil {
		return nil
	}
	for zone := range m.r.tlsRules.zones {
		if rt := m.table.Match(zone); rt != nil && rt.Kind != Iterate {
			return &OptionError{"Routes", fmt.Errorf("route %q: %w", rt.Zone, errTLSRoute)}
		}
		for _, rt := range m.table.Routes {
			if rt.Kind != Iterate && rt.Zone.IsAtOrBelow(zone) {
				return &OptionError{"Routes", fmt.Errorf("route %q: %w", rt.Zone, errTLSRoute)}
			}
		}
	}
	return nil
}
