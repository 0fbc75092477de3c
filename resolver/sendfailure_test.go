package resolver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Faults that the operator can mend are reported as such, to the caller and to clients, and
// not as a fault of the servers or the network; they are over as soon as they are mended.
func TestFaultsAreNamed(t *testing.T) {
	tooMany := &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}
	verify := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	for _, test := range []struct {
		about  string
		fault  error
		route  bool
		is     error
		reason resolver.FailureReason
		text   string
	}{
		{"no descriptors", tooMany, false, resolver.ErrNoDescriptors, resolver.FailureDescriptors, "no file descriptors"},
		{"no descriptors, a route", tooMany, true, resolver.ErrNoDescriptors, resolver.FailureDescriptors, "no file descriptors"},
		{"expired", verify(x509.CertificateInvalidError{Reason: x509.Expired}), true, resolver.ErrCertificate, resolver.FailureCertificate, "has expired"},
		{"another name", verify(x509.HostnameError{Certificate: &x509.Certificate{}, Host: "dns.example"}), true, resolver.ErrCertificate, resolver.FailureCertificate, "another name"},
		{"another authority", verify(x509.UnknownAuthorityError{}), true, resolver.ErrCertificate, resolver.FailureCertificate, "unknown authority"},
		{"something else", syscall.ENETUNREACH, true, resolver.ErrNoReachableServer, resolver.FailureUnreachable, "no reachable server"},
	} {
		t.Run(test.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, "-- zone shop.example. --\nwww A 192.0.2.80\n")
				var broken atomic.Bool
				broken.Store(true)
				r := in.Resolver(t, func(o *resolver.Options) {
					dial := o.Dial
					o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
						if broken.Load() {
							return nil, test.fault
						}
						return dial(ctx, network, address)
					}
					if test.route {
						route, err := resolver.ParseRoute("example=198.51.100.77")
						if err != nil {
							t.Fatal(err)
						}
						o.Routes = []resolver.Route{route}
					}
				})
				_, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA)
				if !errors.Is(err, test.is) || errors.Is(err, resolver.ErrBlocked) {
					t.Errorf("got %v, want %v", err, test.is)
				}
				if got := r.Stats().Failures[test.reason]; got != 1 {
					t.Errorf("counted %v, want one of %s", r.Stats().Failures, test.reason)
				}
				var told *resolver.Error
				if !errors.As(err, &told) || !strings.Contains(told.Extended.Text, test.text) {
					t.Errorf("clients get %v, want %s", told.Extended, test.text)
				}
				if test.is == resolver.ErrNoDescriptors && !test.route {
					broken.Store(false)
					if got, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil || len(got.Answer) != 1 {
						t.Errorf("as soon as there are some: got %v, %v, want the answer", got, err)
					}
				}
				time.Sleep(time.Minute)
			})
		})
	}
}
