package resolver

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/stub"
)

// LookupNetIP returns the addresses of a host, the best first (Options.AddressOrder).
// network is "ip", "ip4" or "ip6"; any other is a net.UnknownNetworkError.
//
// Like all methods that package net has too, it takes names as net.Resolver does: an IP
// address is its own answer; a name with a trailing dot is absolute, any other is tried in
// Options.SearchList too; a name in the hosts file is not asked for. A and AAAA are asked
// together, and one of them is enough.
//
// Errors are *net.DNSError for errors.As, with the fields that net.Resolver sets: a name
// that does not exist and one without addresses are both IsNotFound, and wrap a
// *NotFoundError; failures, bogus answers among them, are IsTemporary, and wrap an *Error.
// The package comment lists the differences from net.Resolver.
func (r *Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	want, err := stub.ParseIPNetwork(network)
	if err != nil {
		return nil, err
	}
	addrs, err := r.lookupAddrs(ctx, want, host)
	if err != nil {
		return nil, err
	}
	for i, a := range addrs {
		addrs[i] = a.WithZone("") // net.IP, and so net.Resolver, has no zone
	}
	return addrs, nil
}

// LookupIP is LookupNetIP that returns net.IP.
func (r *Resolver) LookupIP(ctx context.Context, network, host string) ([]net.IP, error) {
	addrs, err := r.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	ips := make([]net.IP, len(addrs))
	for i, a := range addrs {
		ips[i] = a.AsSlice()
	}
	return ips, nil
}

// LookupIPAddr is LookupNetIP for both families, and keeps the zone of an IPv6 address.
func (r *Resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	addrs, err := r.lookupAddrs(ctx, stub.BothFamilies, host)
	if err != nil {
		return nil, err
	}
	return stub.IPAddrs(addrs), nil
}

// LookupHost is LookupNetIP for both families, as text. An IP address is returned as it was
// written, and addresses of the hosts file are in the file's order.
func (r *Resolver) LookupHost(ctx context.Context, host string) ([]string, error) {
	if _, literal := stub.ParseLiteral(host); literal {
		return []string{host}, nil
	}
	addrs := r.config.hosts.Host(host).Addrs
	if len(addrs) == 0 {
		var err error
		if addrs, err = r.lookupAddrs(ctx, stub.BothFamilies, host); err != nil {
			return nil, err
		}
	}
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return texts, nil
}

// lookupAddrs returns a host's addresses: the host itself if it is one, or those of the
// hosts file, or of DNS. The slice is the caller's.
func (r *Resolver) lookupAddrs(ctx context.Context, want stub.Families, host string) ([]netip.Addr, error) {
	if host == "" {
		return nil, stub.NoSuchHost(host)
	}
	addrs, ok := r.localAddrs(host)
	if ok {
		if addrs = want.Of(addrs); len(addrs) == 0 {
			return nil, stub.NoSuitableAddress(host)
		}
		r.config.sort(addrs)
		return addrs, nil
	}
	if !stub.IsHostName(host) {
		return nil, stub.NoSuchHost(host)
	}
	var last *net.DNSError
	for _, n := range r.config.search.Candidates(host) {
		addrs, err := r.addrsOf(ctx, want, n)
		if err == nil {
			r.config.sort(addrs)
			return addrs, nil
		}
		last = dnsError(host, stub.WithContext(ctx, err))
	}
	if last == nil {
		last = stub.NoSuchHost(host)
	}
	return nil, last
}

// localAddrs returns the addresses of a host that are known without DNS.
func (r *Resolver) localAddrs(host string) ([]netip.Addr, bool) {
	if a, ok := stub.ParseLiteral(host); ok {
		return []netip.Addr{a}, true
	}
	addrs := slices.Clone(r.config.hosts.Host(host).Addrs)
	return addrs, len(addrs) > 0
}

// addrsOf returns the addresses of one name in DNS.
func (r *Resolver) addrsOf(ctx context.Context, want stub.Families, n dnsname.Name) ([]netip.Addr, error) {
	if addrs, ok := r.hitAddrs(ctx, want, n); ok {
		return addrs, nil
	}
	a, aaaa := r.askBoth(ctx, n, want)
	err := worse(a.err, aaaa.err)
	if cutShort(ctx, err) {
		return nil, err
	}
	if addrs := append(a.addrs(dns.TypeA), aaaa.addrs(dns.TypeAAAA)...); len(addrs) > 0 {
		return addrs, nil
	}
	return nil, err
}

// cutShort reports whether a question failed because its caller gave up. The addresses of
// the other family are then half an answer, which must not be returned as the whole.
func cutShort(ctx context.Context, err error) bool {
	return ctx.Err() != nil && err != nil && !isNotFound(err)
}

// hitAddrs is addrsOf for names that the cache has everything of as it stands. Whatever else
// affects answers (hooks, local zones) must make overridesCache true; with a Trace the longer
// way is taken, which calls its hooks, and for a Detail too.
func (r *Resolver) hitAddrs(ctx context.Context, want stub.Families, n dnsname.Name) ([]netip.Addr, bool) {
	if ContextTrace(ctx) != nil || ctx.Err() != nil || r.env.Base.Err() != nil || seenIn(ctx) != nil || r.overridesCache(ctx, n) {
		return nil, false
	}
	return r.mesh.HitAddrs(n, typesOf(want))
}

// addressTypes are the types that hold addresses, in the order of OrderAsAnswered.
var addressTypes = [...]uint16{dns.TypeA, dns.TypeAAAA}

// typesOf returns the types that hold the addresses of some families.
func typesOf(want stub.Families) []uint16 {
	switch want {
	case stub.OnlyIPv4:
		return addressTypes[:1]
	case stub.OnlyIPv6:
		return addressTypes[1:]
	case stub.BothFamilies:
	}
	return addressTypes[:]
}

// familyAnswer is the outcome of one of several questions that are asked together: an answer with
// records, or an error that says why there is none, and then the answer without records
// too, if there is one.
type familyAnswer struct {
	answer *answer.Answer
	err    error
}

// addrs returns the addresses, none when there was an error.
func (l familyAnswer) addrs(rrtype uint16) []netip.Addr {
	if l.err != nil || l.answer == nil {
		return nil
	}
	return answer.AppendAddrs(nil, l.answer.Records(rrtype))
}

// askBoth asks for a name's A and AAAA records together. The answer of a family that is
// not wanted is zero.
func (r *Resolver) askBoth(ctx context.Context, n dnsname.Name, want stub.Families) (a, aaaa familyAnswer) {
	switch want {
	case stub.OnlyIPv4:
		return r.askFamily(ctx, n, dns.TypeA), familyAnswer{}
	case stub.OnlyIPv6:
		return familyAnswer{}, r.askFamily(ctx, n, dns.TypeAAAA)
	case stub.BothFamilies:
	}
	a, ok := r.cachedFamily(ctx, n, dns.TypeA)
	if ok {
		return a, r.askFamily(ctx, n, dns.TypeAAAA)
	}
	ctx = withOneTrace(ctx)
	var other sync.WaitGroup
	var ended error
	other.Go(rescue.Guarded(&ended, func() { aaaa = r.askFamily(ctx, n, dns.TypeAAAA) }))
	a = r.askFamily(ctx, n, dns.TypeA)
	other.Wait()
	rescue.Again(ended)
	if ended != nil {
		aaaa.err = wrap(answer.Question{Name: n, Type: dns.TypeAAAA}.Public(), ended)
	}
	return a, aaaa
}

// cachedFamily is askFamily for answers in the cache, which are not worth a goroutine. With a
// Trace or hooks the longer way is taken.
func (r *Resolver) cachedFamily(ctx context.Context, n dnsname.Name, qtype uint16) (familyAnswer, bool) {
	if ContextTrace(ctx) != nil || ctx.Err() != nil || r.env.Base.Err() != nil || r.hasHooks(ctx) {
		return familyAnswer{}, false
	}
	q := answer.Question{Name: n, Type: qtype}
	f, ok, err := r.mesh.AnswerHit(q)
	switch {
	case err != nil:
		return familyAnswer{err: wrap(q.Public(), err)}, true
	case !ok:
		return familyAnswer{}, false
	}
	seenIn(ctx).note(f)
	return familyAnswer{f, notFound(f, qtype)}, true
}

func (r *Resolver) askFamily(ctx context.Context, n dnsname.Name, qtype uint16) familyAnswer {
	f, err := r.resolvePacked(ctx, n, qtype)
	if err == nil {
		err = notFound(f, qtype)
	}
	return familyAnswer{f, err}
}

// worse returns the error to report for two questions about one name: a failure rather than
// a denial, since it leaves open whether there are addresses.
func worse(a, b error) error {
	if a == nil || isNotFound(a) && b != nil {
		return b
	}
	return a
}

func isNotFound(err error) bool {
	_, ok := err.(*NotFoundError)
	return ok
}

// overridesCache reports whether hooks or local zones affect the answer to a question for name,
// whatever the cache holds. Callers that answer from the cache without passing through
// answer must call it first, and then check whether the filter allows the addresses.
func (r *Resolver) overridesCache(ctx context.Context, name dnsname.Name) bool {
	return r.hasHooks(ctx) || r.iterate.LocalZones.Has(name)
}
