package resolver

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// Binding is one way to reach a service: an SVCB or HTTPS record in ServiceMode (RFC
// 9460), decoded.
type Binding struct {
	// Priority: lower is better.
	Priority uint16
	// Target is the host to connect to, absolute. It is the record's owner where the
	// record says ".".
	Target string
	// ALPN are the protocols that the service speaks beside the default of its scheme,
	// as TLS names them: "h2", "h3". Nil: only the default.
	ALPN []string
	// NoDefaultALPN: the service does not speak the default protocol.
	NoDefaultALPN bool
	// Port is where the service listens. 0: at the port that the caller had in mind.
	Port uint16
	// IPv4Hint and IPv6Hint are addresses of Target to begin with while its own are
	// looked up; those are the better ones (RFC 9460 §7.3).
	IPv4Hint, IPv6Hint []netip.Addr
	// ECH is a list of configurations for Encrypted Client Hello, in the form that
	// tls.Config.EncryptedClientHelloConfigList takes.
	ECH []byte
	// DoHPath is the URI template of a DNS server (RFC 9461 §5).
	DoHPath string
	// Other are the parameters that are none of these, none of them mandatory.
	Other []dns.SVCBKeyValue
}

// Bindings is what the SVCB or HTTPS records of a name say.
type Bindings struct {
	// Alias is not "" in AliasMode: what is asked for is at this name, for which the
	// caller asks again, SVCB or HTTPS and, if there is none, addresses (RFC 9460
	// §2.4.2, §3). "." says that the service is not there. Following aliases, and how
	// many of them, is left to the caller.
	Alias string
	// Services are the bindings in the order in which to try them: by priority, shuffled
	// where that is equal. Records that are contradictory, or have mandatory parameters
	// that Binding does not know, are left out (RFC 9460 §8).
	Services []Binding
	// Canonical, Rcode, TTL, Status and Result are as in Records.
	Canonical string
	Rcode     int
	TTL       time.Duration
	Status    dnssec.Status
	Result    *Result
}

// LookupHTTPS asks for the HTTPS records of an origin (RFC 9460 §9): those of host for
// port 443, or 80 or 0, else those of _port._https.host. host is absolute. No records are
// no error.
func (r *Resolver) LookupHTTPS(ctx context.Context, host string, port uint16) (Bindings, error) {
	name := host
	switch port {
	case 0, 80, 443:
	default:
		name = "_" + strconv.Itoa(int(port)) + "._https." + host
	}
	records, err := Lookup[*dns.HTTPS](ctx, r, name)
	if err != nil {
		return Bindings{}, err
	}
	svcb := make([]*dns.SVCB, len(records.Records))
	for i, rr := range records.Records {
		svcb[i] = &rr.SVCB
	}
	return bindingsOf(records, svcb), nil
}

// LookupSVCB asks for the SVCB records of a name, such as _dns.resolver.example. or
// _8443._foo.api.example. (RFC 9460 §2.3), absolute. No records are no error.
func (r *Resolver) LookupSVCB(ctx context.Context, name string) (Bindings, error) {
	records, err := Lookup[*dns.SVCB](ctx, r, name)
	if err != nil {
		return Bindings{}, err
	}
	return bindingsOf(records, records.Records), nil
}

func bindingsOf[T dns.RR](records Records[T], svcb []*dns.SVCB) Bindings {
	b := Bindings{
		Canonical: records.Canonical, Rcode: records.Rcode, TTL: records.TTL, Status: records.Status, Result: records.Result,
	}
	rand.Shuffle(len(svcb), func(i, j int) { svcb[i], svcb[j] = svcb[j], svcb[i] })
	for _, rr := range svcb {
		if rr.Priority == 0 {
			// Beside an alias nothing else counts (RFC 9460 §2.4.1), and of several any
			// one does.
			b.Alias, b.Services = rr.Target, nil
			return b
		}
		if binding, ok := decodeBinding(rr, b.Canonical); ok {
			b.Services = append(b.Services, binding)
		}
	}
	slices.SortStableFunc(b.Services, func(x, y Binding) int { return cmp.Compare(x.Priority, y.Priority) })
	return b
}

// decodeBinding reads a record in ServiceMode. false: it must not be used.
func decodeBinding(rr *dns.SVCB, owner string) (Binding, bool) {
	b := Binding{Priority: rr.Priority, Target: rr.Target}
	if b.Target == "." {
		b.Target = owner
	}
	var mandatory []dns.SVCBKey
	present := make(map[dns.SVCBKey]bool)
	for _, param := range rr.Value {
		present[param.Key()] = true
		switch p := param.(type) {
		case *dns.SVCBMandatory:
			mandatory = p.Code
		case *dns.SVCBAlpn:
			b.ALPN = p.Alpn
		case *dns.SVCBNoDefaultAlpn:
			b.NoDefaultALPN = true
		case *dns.SVCBPort:
			b.Port = p.Port
		case *dns.SVCBIPv4Hint:
			b.IPv4Hint = hintAddrs(p.Hint, net.IP.To4)
		case *dns.SVCBIPv6Hint:
			b.IPv6Hint = hintAddrs(p.Hint, net.IP.To16)
		case *dns.SVCBECHConfig:
			b.ECH = p.ECH
		case *dns.SVCBDoHPath:
			b.DoHPath = p.Template
		default:
			b.Other = append(b.Other, param)
		}
	}
	for _, key := range mandatory {
		if !present[key] || !knownBindingKey(key) {
			return Binding{}, false
		}
	}
	// RFC 9460 §7.1.1: no default and nothing else either is a contradiction.
	return b, !b.NoDefaultALPN || len(b.ALPN) > 0
}

// knownBindingKey reports whether Binding has a field for a parameter.
func knownBindingKey(key dns.SVCBKey) bool {
	switch key {
	case dns.SVCB_ALPN, dns.SVCB_NO_DEFAULT_ALPN, dns.SVCB_PORT, dns.SVCB_IPV4HINT, dns.SVCB_IPV6HINT,
		dns.SVCB_ECHCONFIG, dns.SVCB_DOHPATH:
		return true
	case dns.SVCB_MANDATORY, dns.SVCB_OHTTP: // the first may not name itself
	}
	return false
}

func hintAddrs(hints []net.IP, form func(net.IP) net.IP) []netip.Addr {
	var addrs []netip.Addr
	for _, ip := range hints {
		if a, ok := netip.AddrFromSlice(form(ip)); ok {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
