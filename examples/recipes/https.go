package recipes

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/iterdns/iterdns/resolver"
)

// maxServiceAliases is how many AliasMode records Endpoints follows.
const maxServiceAliases = 8

// An Endpoint is one way to reach an HTTPS origin over TCP.
type Endpoint struct {
	// Address is the host and port to dial, as net.Dialer takes them.
	Address string
	// TLS has the origin's name, the protocols that its HTTPS record offers (ALPN), and the keys
	// for Encrypted Client Hello, if it has any.
	TLS *tls.Config
}

// Endpoints returns the ways to reach https://host:port/ in the order in which to try them
// (RFC 9460 §9): those of the HTTPS records, or the host itself if there are none. When all
// endpoints have ECH, a client must not go on without it (RFC 9460 §3, RFC 9848): that is why the
// host itself is not appended. HTTP/3 is left out, since it goes over UDP: see RaceUDP.
func Endpoints(ctx context.Context, r *resolver.Resolver, host string, port uint16) ([]Endpoint, error) {
	found, err := r.LookupHTTPS(ctx, host, port)
	target := host
	for n := 0; err == nil && found.Alias != ""; n++ {
		switch {
		case found.Alias == ".":
			return nil, fmt.Errorf("https://%s: there is no such service, say its HTTPS records", host)
		case n == maxServiceAliases:
			return nil, fmt.Errorf("https://%s: more than %d aliases", host, maxServiceAliases)
		}
		target = found.Alias
		found, err = r.LookupHTTPS(ctx, target, 443) // at the name itself, whatever the port
	}
	if err != nil {
		return nil, err
	}
	if len(found.Services) == 0 {
		return []Endpoint{{address(target, port), clientConfig(host, []string{"h2", "http/1.1"}, nil)}}, nil
	}
	var endpoints []Endpoint
	for _, service := range found.Services {
		protocols := overTCP(service)
		if len(protocols) == 0 {
			continue
		}
		endpoints = append(endpoints, Endpoint{
			address(service.Target, cmp.Or(service.Port, port)), clientConfig(host, protocols, service.ECH),
		})
	}
	return endpoints, nil
}

// overTCP returns the protocols of a service that TLS over TCP can carry, for ALPN.
func overTCP(service resolver.Binding) []string {
	protocols := slices.DeleteFunc(slices.Clone(service.ALPN), func(p string) bool { return p != "h2" && p != "http/1.1" })
	if !service.NoDefaultALPN && !slices.Contains(protocols, "http/1.1") {
		protocols = append(protocols, "http/1.1")
	}
	return protocols
}

// clientConfig is for a connection to an origin: the certificate is that of the origin, whichever
// host the HTTPS record points to. With ech the name is encrypted, which takes TLS 1.3.
func clientConfig(origin string, protocols []string, ech []byte) *tls.Config {
	c := &tls.Config{
		ServerName: strings.TrimSuffix(origin, "."), NextProtos: protocols,
		EncryptedClientHelloConfigList: ech,
	}
	if ech != nil {
		c.MinVersion = tls.VersionTLS13
	}
	return c
}

func address(host string, port uint16) string {
	return net.JoinHostPort(strings.TrimSuffix(host, "."), strconv.Itoa(int(port)))
}
