package resolver

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/stub"
)

// ServiceServer is one server of a service in SRV records (RFC 2782).
type ServiceServer struct {
	net.SRV
	// Addrs are the addresses of Target with Port, of both families, the best first.
	Addrs []netip.AddrPort
	// Err is the *net.DNSError that says why Addrs is empty; nil when it is not.
	Err error
}

// Service is the content of SRV records, with the addresses of the servers.
type Service struct {
	// Servers are in the order in which to try them: by priority, and within it
	// shuffled by weight.
	Servers []ServiceServer
	// Canonical is the name that has the SRV records, after all aliases.
	Canonical string
	// TTL is how long all of this may be kept, addresses included.
	TTL time.Duration
	// Status is the DNSSEC status of all of this: the worst of its parts.
	Status dnssec.Status
}

// serviceLookups is how many servers' addresses are looked up at a time. Consul returns
// three servers, Kubernetes one for each pod, which can be hundreds.
const serviceLookups = 8

// LookupService returns the servers of a service as Kubernetes and Consul publish them: the
// SRV records at _service._proto.name, or at name when service and proto are empty, and the
// addresses of all their targets. Names are as in LookupSRV; targets are absolute and not
// looked for in the hosts file.
//
// A service that does not exist, or whose one record has the target "." (not available, RFC
// 2782), is a *net.DNSError with IsNotFound. Servers whose addresses cannot be found are in
// the result, with Err; when that is true of all, the error is the first one's.
func (r *Resolver) LookupService(ctx context.Context, service, proto, name string) (Service, error) {
	target := serviceName(service, proto, name)
	found, asked, err := r.lookup(ctx, target, dns.TypeSRV)
	if err != nil {
		return Service{}, err
	}
	records, _ := stub.Decode(found.Records(dns.TypeSRV), stub.ParseSRV)
	if len(records) == 0 {
		return Service{}, stub.MalformedNames(target)
	}
	if len(records) == 1 && records[0].Target == "." {
		return Service{}, stub.NoSuchHost(target)
	}
	stub.SortSRV(records, rand.IntN)
	s := Service{Canonical: canonicalOf(found, asked), TTL: found.TimeToLive(), Status: found.Status, Servers: make([]ServiceServer, len(records))}
	for i, srv := range records {
		s.Servers[i].SRV = *srv
	}
	return s, r.findServers(ctx, &s)
}

// findServers looks up the addresses of a service's servers, several at a time.
func (r *Resolver) findServers(ctx context.Context, s *Service) error {
	ctx = withOneTrace(ctx)
	lookups := make([]hostLookup, len(s.Servers))
	turns := make(chan struct{}, serviceLookups)
	var all sync.WaitGroup
	for i := range s.Servers {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			lookups[i].err = rescue.ErrAborted
			defer rescue.Into(&lookups[i].err)
			lookups[i] = r.lookUpHost(ctx, s.Servers[i].Target)
		})
	}
	all.Wait()
	var first error
	works := false
	for i, l := range lookups {
		rescue.Again(l.err)
		server := &s.Servers[i]
		server.Err = l.err
		if l.err != nil {
			first = cmp.Or(first, l.err)
			continue
		}
		works = true
		s.TTL, s.Status = min(s.TTL, l.ttl), s.Status.Worst(l.status)
		for _, a := range l.addrs {
			server.Addrs = append(server.Addrs, netip.AddrPortFrom(a, server.Port))
		}
	}
	if works {
		return nil
	}
	return first
}

// hostLookup is what DNS says about a host's addresses.
type hostLookup struct {
	addrs  []netip.Addr
	ttl    time.Duration
	status dnssec.Status
	err    error
}

// lookUpHost returns the addresses of an absolute name, with their TTL and status.
func (r *Resolver) lookUpHost(ctx context.Context, name string) hostLookup {
	n, err := dnsname.Parse(name)
	if err != nil {
		return hostLookup{err: stub.NoSuchHost(name)}
	}
	l := hostLookup{ttl: answer.MaxTTL * time.Second, status: dnssec.Secure}
	a, aaaa := r.askBoth(ctx, n, stub.BothFamilies)
	for i, one := range []familyAnswer{a, aaaa} {
		if addrs := one.addrs(addressTypes[i]); len(addrs) > 0 {
			l.addrs = append(l.addrs, addrs...)
			l.ttl, l.status = min(l.ttl, one.answer.TimeToLive()), l.status.Worst(one.answer.Status)
		}
	}
	if err := worse(a.err, aaaa.err); len(l.addrs) == 0 || cutShort(ctx, err) {
		return hostLookup{err: dnsError(name, stub.WithContext(ctx, err))}
	}
	r.config.sort(l.addrs)
	return l
}
