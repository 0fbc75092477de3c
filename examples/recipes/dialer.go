package recipes

import (
	"context"
	"net"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

// Dialer is for packages that take a Dial method without a context, such as the CustomDialer of
// NATS, the Dial of an FTP or LDAP client, or proxy.Dialer of golang.org/x/net.
type Dialer struct {
	Resolver *resolver.Resolver
	// Timeout bounds look-up and connection together. 0: 10 s.
	Timeout time.Duration
}

// Dial connects to an address, host and port.
func (d Dialer) Dial(network, address string) (net.Conn, error) {
	timeout := d.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.Resolver.DialContext(ctx, network, address)
}
