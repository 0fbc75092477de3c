package recipes

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

// PublicClient returns an http.Client that connects to addresses only that allow permits; nil is
// resolver.PublicUnicast. It is for programs that fetch URLs which strangers supply: webhooks,
// previews, feeds. The address is checked when it is known for certain, when the socket connects.
// So neither a name that moves to 10.0.0.1 between check and use (DNS rebinding), nor a redirect,
// a literal in the URL, or a line in the hosts file leads into the network of the host.
//
// The environment's proxy is not used: it would connect on the program's behalf, unchecked.
func PublicClient(r *resolver.Resolver, allow func(netip.Addr) bool) *http.Client {
	if allow == nil {
		allow = resolver.PublicUnicast
	}
	dialer := &net.Dialer{
		Timeout:  10 * time.Second,
		Resolver: r.NetResolver(),
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			if !allow(to.Addr().Unmap()) {
				return fmt.Errorf("%v is not a public address", to.Addr())
			}
			return nil
		},
	}
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DialContext:         dialer.DialContext,
			ForceAttemptHTTP2:   true,
			TLSHandshakeTimeout: 10 * time.Second,
		},
	}
}
