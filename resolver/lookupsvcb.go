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

// Binding is one way to reach a service: a decoded SVCB or HTTPS record in ServiceMode (RFC
// 9460 §2.4.3).
type Binding struct {
	// Priority is the order of preference; lower is better. It is never 0.
	Priority uint16
	// Target is the host to connect to, absolute. It is the record's owner when the record
	// has ".".
	Target string
	// ALPN are the protocols that the service speaks in addition to the default of its
	// scheme, as TLS names them: "h2", "h3". Nil: only the default.
	ALPN []string
	// NoDefaultALPN is set when the service does not speak the default protocol.
	NoDefaultALPN bool
	// Port is the port at which the service listens. 0: the port that the caller would use
	// without the record.
	Port uint16
	// IPv4Hint and IPv6Hint are addresses of Target to start with while its A and AAAA
	// records are looked up, which are preferable (RFC 9460 §7.3).
	IPv4Hint, IPv6Hint []netip.Addr
	// ECH is a list of configurations for Encrypted Client Hello, in the wire format that
	// tls.Config.EncryptedClientHelloConfigList takes. Nil: none.
	ECH []byte
	// DoHPath is the URI template of a DNS server (RFC 9461 §5). "": none.
	DoHPath string
	// Other are all other parameters, none of them mandatory.
	Other []dns.SVCBKeyValue
}

// Bindings is the content of the SVCB or HTTPS records of a name.
type Bindings struct {
	// Alias is not "" in AliasMode: the service is at this name, for which the caller asks
	// again, SVCB or HTTPS and, if there is none, addresses (RFC 9460 §2.4.2, §3). "." says
	// that the service is not available. Following aliases, and limiting their number, is
	// left to the caller.
	Alias string
	// Services are the bindings in the order in which to try them: by priority, shuffled
	// where that is equal. Records that contradict themselves, or have mandatory parameters
	// without a field in Binding, are left out (RFC 9460 §8).
	Services []Binding
	// Canonical, Rcode, TTL, Status and Result are as in Records.
	Canonical string
	Rcode     int
	TTL       time.Duration
	Status    dnssec.Status
	Result    *Result
}

// LookupHTTPS asks for the HTTPS records of an origin (RFC 9460 §9): those of host for the
// ports 443, 80 and 0, else those of _port._https.host. host is absolute. Errors are those
// of Lookup; no records are no error.
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
// _8443._foo.api.example. (RFC 9460 §2.3), absolute. Errors are those of Lookup; no records
// are no error.
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
			// Beside an alias all other records are ignored (RFC 9460 §2.4.1), and of
			// several aliases any one will do.
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

// decodeBinding decodes a record in ServiceMode; false when it must not be used.
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
	case dns.SVCB_MANDATORY, dns.SVCB_OHTTP: // a mandatory parameter may not list itself
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
