package resolver

import (
	"context"
	"strconv"

	"github.com/miekg/dns"
)

// LookupTLSA returns the certificates that a server's zone vouches for (RFC 6698): the TLSA
// records at _port._network.host, where network is tcp, udp or sctp. host is absolute; it
// is the name that the TLS client connects to, which for a service with SRV or MX records
// is their target (RFC 7673 §3.1).
//
// The records count only when Status is dnssec.Secure; and only then does an empty result
// prove that the server has none (RFC 7672 §2.1). (*dns.TLSA).Verify compares a record with
// a certificate.
func (r *Resolver) LookupTLSA(ctx context.Context, network, host string, port uint16) (Records[*dns.TLSA], error) {
	return Lookup[*dns.TLSA](ctx, r, "_"+strconv.Itoa(int(port))+"._"+network+"."+host)
}

// LookupSSHFP returns the fingerprints of a host's SSH keys (RFC 4255). host is absolute.
// They may be trusted only when Status is dnssec.Secure (RFC 4255 §2.4).
func (r *Resolver) LookupSSHFP(ctx context.Context, host string) (Records[*dns.SSHFP], error) {
	return Lookup[*dns.SSHFP](ctx, r, host)
}
