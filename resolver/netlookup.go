package resolver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/localzone"
	"github.com/iterdns/iterdns/internal/stub"
)

// LookupPort returns the port of a service, which may be a number, as net.Resolver's method
// of this name does: network is "tcp", "udp", one of these with 4 or 6, or "ip". No DNS is
// involved. The services are those that package net knows, and the system's.
func (r *Resolver) LookupPort(ctx context.Context, network, service string) (int, error) {
	return (&net.Resolver{PreferGo: true}).LookupPort(ctx, network, service)
}

// LookupCNAME returns the canonical name of a host, absolute: the end of its alias chain,
// or the host itself. A name without aliases must have addresses. See LookupNetIP for names
// and errors.
func (r *Resolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	if e := r.config.hosts.Host(host); e.Canonical != "" {
		return e.Canonical, nil
	}
	if !stub.IsHostName(host) {
		return "", stub.NoSuchHost(host)
	}
	var last error = stub.NoSuchHost(host)
	for name, n := range r.config.search.Candidates(host) {
		canonical, err := r.canonicalName(ctx, name, n)
		switch {
		case err != nil:
			last = dnsError(host, stub.WithContext(ctx, err))
		case !stub.IsHostName(canonical):
			return "", stub.MalformedNames(host)
		default:
			return canonical, nil
		}
	}
	return "", last
}

// canonicalName follows name's aliases. The chain counts even when nothing is at its
// end, and its first step even when the next zone does not answer.
func (r *Resolver) canonicalName(ctx context.Context, name string, n dnsname.Name) (string, error) {
	a, aaaa := r.askBoth(ctx, n, stub.BothFamilies)
	for _, l := range []familyAnswer{a, aaaa} {
		if l.answer != nil && (len(l.answer.Aliases) > 0 || l.err == nil) {
			return canonicalOf(l.answer, name), nil
		}
	}
	err := worse(a.err, aaaa.err)
	if isNotFound(err) {
		return "", err
	}
	found, cnameErr := r.resolvePacked(ctx, n, dns.TypeCNAME)
	if cnameErr != nil {
		return "", err
	}
	for target := range found.Records(dns.TypeCNAME).All() {
		return stub.HostName(target), nil
	}
	return canonicalOf(found, name), nil
}

// LookupSRV returns the servers of a service, asking for _service._proto.name, or for name
// itself when service and proto are empty, sorted by priority and within it shuffled by
// weight (RFC 2782), and the canonical name of what was asked for. Targets that are not
// host names are left out, and an error is returned beside the others. See LookupNetIP for
// names and errors, LookupService for the servers' addresses too.
func (r *Resolver) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	target := serviceName(service, proto, name)
	found, asked, err := r.lookup(ctx, target, dns.TypeSRV)
	if err != nil {
		return "", nil, err
	}
	canonical := canonicalOf(found, asked)
	if !stub.IsHostName(canonical) {
		return "", nil, &net.DNSError{Err: stub.TextSRVHeader, Name: name}
	}
	records, all := stub.Decode(found.Records(dns.TypeSRV), stub.ParseSRV)
	stub.SortSRV(records, rand.IntN)
	if !all {
		return canonical, records, stub.MalformedNames(name)
	}
	return canonical, records, nil
}

// serviceName returns the name of a service's SRV records. RFC 2782.
func serviceName(service, proto, name string) string {
	if service == "" && proto == "" {
		return name
	}
	return "_" + service + "._" + proto + "." + name
}

// LookupMX returns the mail servers of a domain, sorted by preference, in random order
// where that is equal (RFC 5321 §5.1). A server that is neither a host name nor an address
// is left out, and an error is returned beside the others. See LookupNetIP for names and
// errors.
func (r *Resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	found, _, err := r.lookup(ctx, name, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	records, all := stub.Decode(found.Records(dns.TypeMX), stub.ParseMX)
	stub.SortMX(records, rand.IntN)
	if !all {
		return records, stub.MalformedNames(name)
	}
	return records, nil
}

// LookupNS returns the name servers of a zone. Those that are not host names are left out,
// and an error is returned beside the others. See LookupNetIP for names and errors.
func (r *Resolver) LookupNS(ctx context.Context, name string) ([]*net.NS, error) {
	found, _, err := r.lookup(ctx, name, dns.TypeNS)
	if err != nil {
		return nil, err
	}
	records, all := stub.Decode(found.Records(dns.TypeNS), stub.ParseNS)
	if !all {
		return records, stub.MalformedNames(name)
	}
	return records, nil
}

// LookupTXT returns the TXT records of a name, the strings of each record joined. See
// LookupNetIP for names and errors.
func (r *Resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	found, _, err := r.lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	texts, _ := stub.Decode(found.Records(dns.TypeTXT), stub.ParseTXT)
	return texts, nil
}

// LookupAddr returns the names of an address: those of the hosts file, else those of the
// PTR records. Names that are not host names are left out, and an error is returned beside
// the others. See LookupNetIP for errors.
func (r *Resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	if a, err := netip.ParseAddr(addr); err == nil {
		if names := r.config.hosts.NamesOf(a); len(names) > 0 {
			return slices.Clone(names), nil
		}
	}
	reverse, err := dns.ReverseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: stub.TextUnrecognized, Name: addr}
	}
	n, err := dnsname.Parse(reverse)
	if err != nil {
		return nil, stub.NoSuchHost(addr)
	}
	found, err := r.records(ctx, n, dns.TypePTR)
	if err != nil {
		return nil, dnsError(addr, stub.WithContext(ctx, err))
	}
	names, all := stub.Decode(found.Records(dns.TypePTR), stub.ParseHost)
	if !all {
		return names, stub.MalformedNames(addr)
	}
	return names, nil
}

// lookup asks for the records of a name, in the search list too, and returns the name that
// has them.
func (r *Resolver) lookup(ctx context.Context, name string, qtype uint16) (_ *answer.Answer, asked string, _ error) {
	if !stub.IsHostName(name) {
		return nil, "", stub.NoSuchHost(name)
	}
	var last error = stub.NoSuchHost(name)
	for candidate, n := range r.config.search.Candidates(name) {
		found, err := r.records(ctx, n, qtype)
		if err == nil {
			return found, candidate, nil
		}
		last = dnsError(name, stub.WithContext(ctx, err))
	}
	return nil, "", last
}

// records is resolvePacked, with a *NotFoundError when there are no records.
func (r *Resolver) records(ctx context.Context, n dnsname.Name, qtype uint16) (*answer.Answer, error) {
	f, err := r.resolvePacked(ctx, n, qtype)
	if err != nil {
		return nil, err
	}
	return f, notFound(f, qtype)
}

// notFound is a *NotFoundError when there are no records of the type.
func notFound(a *answer.Answer, qtype uint16) error {
	if a.Records(qtype) != "" {
		return nil
	}
	e := &NotFoundError{Rcode: a.Rcode, Status: a.Status, TTL: a.TimeToLive(), local: a.Local}
	e.specialUse, _ = localzone.DeniedBy(a)
	return e
}

// canonicalOf returns the name that the alias chain ends at: as its last CNAME spells it,
// or as asked when there are no aliases, with a trailing dot.
func canonicalOf(a *answer.Answer, asked string) string {
	if len(a.Aliases) == 0 {
		return strings.TrimSuffix(asked, ".") + "."
	}
	last := a.Aliases[len(a.Aliases)-1]
	if !last.IsDNAME() {
		for target := range last.Set.Records.All() {
			return stub.HostName(target)
		}
	}
	return last.To.String()
}

// NotFoundError is what DNS said when a method that package net has too reports "no such
// host". The *net.DNSError wraps it, for errors.As, and it tells what that cannot: whether
// the name does not exist or has no records of the type, and whether that is proven.
type NotFoundError struct {
	// Rcode is dns.RcodeNameError when the name does not exist, and dns.RcodeSuccess when
	// it has no records of the type (NODATA).
	Rcode int
	// Status is the DNSSEC status of the denial.
	Status dnssec.Status
	// TTL is how long the denial may be kept.
	TTL time.Duration

	local      bool                 // no server was asked
	specialUse localzone.SpecialUse // that denies it; zero: none
}

func (e *NotFoundError) Error() string {
	what := "no records of this type"
	if e.Rcode != dns.RcodeSuccess {
		what = failure.RcodeName(e.Rcode)
	}
	return fmt.Sprintf("%s (%s, TTL %v)", what, e.Status, e.TTL)
}

// dnsError returns the *net.DNSError that says why there is no answer for name: in the words of
// package net and, where these do not say it, with the cause behind a colon. It wraps err, a
// *NotFoundError or an *Error, perhaps joined with a context's error.
func dnsError(name string, err error) *net.DNSError {
	e := &net.DNSError{Err: stub.TextMisbehaving, Name: name, UnwrapErr: err}
	var missing *NotFoundError
	var told *Error
	if errors.As(err, &told) && len(told.Servers) > 0 {
		e.Server = told.Servers[len(told.Servers)-1].String()
	}
	f := failure.Of(err)
	switch {
	case errors.As(err, &missing):
		// YXDOMAIN and the like neither affirm nor deny the name, and net has no word for
		// them.
		if missing.Rcode == dns.RcodeSuccess || missing.Rcode == dns.RcodeNameError {
			e.Err, e.IsNotFound = stub.TextNoSuchHost, true
		}
	case f.Is(failure.Name), f.Is(failure.Filtered):
		e.Err, e.IsNotFound = stub.TextNoSuchHost, true
	case f.Is(failure.Closed):
		e.Err = ErrClosed.Error()
		return e
	case f.Is(failure.Canceled):
		e.Err = stub.TextCanceled
	case told != nil && told.Timeout(), f.Is(failure.Deadline):
		e.Err, e.IsTimeout, e.IsTemporary = stub.TextTimeout, true, true
	default:
		e.IsTemporary = true
	}
	if reason := whyNot(missing, told); reason != "" {
		e.Err += ": " + reason
	}
	return e
}

// whyNot returns what package net's words for a failure leave out. They say enough of a name that
// does not exist or has no records, and there are programs that compare them.
func whyNot(missing *NotFoundError, told *Error) string {
	switch {
	case missing != nil && missing.Rcode != dns.RcodeSuccess && missing.Rcode != dns.RcodeNameError:
		return failure.RcodeName(missing.Rcode)
	case missing == nil && told != nil:
		return reasonOf(told)
	}
	return ""
}
