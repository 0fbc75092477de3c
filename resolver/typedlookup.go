package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// ErrRecordType is the error of Lookup when its type parameter does not stand for exactly
// one type of records.
var ErrRecordType = errors.New("not the Go type of exactly one type of records")

// Records are the records of one type at a name.
type Records[T dns.RR] struct {
	// Records are the records, in the order in which they came; none when the name or the
	// type at it does not exist, which Rcode tells apart. They belong to the caller.
	Records []T
	// Canonical is the name that has the records, or has none, after all aliases; absolute.
	Canonical string
	// Rcode is dns.RcodeSuccess, dns.RcodeNameError when there is no such name, or
	// dns.RcodeYXDomain (see Result.Rcode).
	Rcode int
	// TTL is how long all of this may be kept.
	TTL time.Duration
	// Status is the DNSSEC status of all of this, aliases and denials included.
	Status dnssec.Status
	// Result is the whole answer: signatures, aliases, the proof of a denial.
	Result *Result
}

// Lookup asks for the records whose Go type is T, such as *dns.TLSA, at name, which is
// absolute with or without trailing dot:
//
//	tlsa, err := resolver.Lookup[*dns.TLSA](ctx, r, "_25._tcp.mx.example.")
//
// T is any type of miekg/dns that stands for exactly one type of records; otherwise the error wraps
// ErrRecordType. All other errors are those of Resolve. As with Resolve, a name or type
// that does not exist is no error, and neither hosts file nor search list is consulted. A
// record whose RDATA is malformed for T is in Result alone, as a *dns.RFC3597; one that is
// opaque there only because T would not pack to the same bytes is a T in Records.
func Lookup[T dns.RR](ctx context.Context, r *Resolver, name string) (Records[T], error) {
	rrtype, ok := recordTypes[reflect.TypeFor[T]()]
	if !ok {
		return Records[T]{}, wrap(dns.Question{Name: name, Qclass: dns.ClassINET}, fmt.Errorf("%v: %w", reflect.TypeFor[T](), ErrRecordType))
	}
	result, err := r.Resolve(ctx, name, rrtype)
	if err != nil {
		return Records[T]{}, err
	}
	return recordsOf[T](result, rrtype), nil
}

// recordsOf picks the records of a type out of a result.
func recordsOf[T dns.RR](result *Result, rrtype uint16) Records[T] {
	records := Records[T]{
		Canonical: result.Canonical(), Rcode: result.Rcode, TTL: result.TTL, Status: result.Status, Result: result,
	}
	for _, rr := range result.Answer {
		if opaque, ok := rr.(*dns.RFC3597); ok {
			if loose, ok := wire.DecodeLoosely(opaque); ok {
				rr = loose
			}
		}
		if record, ok := rr.(T); ok && rr.Header().Rrtype == rrtype {
			records.Records = append(records.Records, record)
		}
	}
	return records
}

// recordTypes maps a Go type to the type of records that it stands for. It never changes.
var recordTypes = func() map[reflect.Type]uint16 {
	types := make(map[reflect.Type]uint16, len(dns.TypeToRR))
	for rrtype, newRR := range dns.TypeToRR {
		if !answer.IsMeta(rrtype) && rrtype != dns.TypeANY {
			types[reflect.TypeOf(newRR())] = rrtype
		}
	}
	return types
}()

// LookupCAA returns the certification authorities that may issue certificates for a name:
// the CAA records at it or, when it has none, at the nearest name above it that has some
// (RFC 8659 §3). domain is absolute; the asterisk label of a wildcard is removed. When no
// name has any, the result is that of the topmost, without records: any authority may
// issue. An error at any name fails the whole, since the records might be there.
//
// Canonical says where the records are. Status is the worst of the names tried.
//
// Package resolver/caa decides by such records, for certification authorities.
func (r *Resolver) LookupCAA(ctx context.Context, domain string) (Records[*dns.CAA], error) {
	name, err := dnsname.Parse(domain)
	if err != nil {
		return Lookup[*dns.CAA](ctx, r, domain)
	}
	if name.IsWildcard() {
		name = name.Parent()
	}
	status, ttl := dnssec.Secure, time.Duration(answer.MaxTTL)*time.Second
	for {
		records, err := Lookup[*dns.CAA](ctx, r, name.String())
		if err != nil {
			return Records[*dns.CAA]{}, err
		}
		status, ttl = status.Worst(records.Status), min(ttl, records.TTL)
		if name = name.Parent(); len(records.Records) > 0 || name.IsRoot() {
			records.Status, records.TTL = status, ttl
			return records, nil
		}
	}
}

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

// Detail is what a look-up of package net leaves out: how far its values may be trusted, and for how long.
type Detail struct {
	// Status is the worst DNSSEC status of all answers that the look-up rests on: those for
	// both address families, the aliases, and the denials of the names of the search list
	// that were tried before. It is Indeterminate, the zero value, for values that are not
	// from DNS (a literal, the hosts file), and Bogus for an error that says so.
	Status dnssec.Status
	// TTL is how long all of this may be kept, the denial of an error too. Zero for values
	// that are not from DNS.
	TTL time.Duration
	// Stale is set when a part has expired (Options.ServeStale).
	Stale bool
	// Canonical is the name that the last answer is about, after all aliases; absolute. ""
	// for values that are not from DNS.
	Canonical string
}

// Detailed has the look-ups of package net with one more result, the same for all of them: a Detail. Names,
// values, their order and errors are those of the methods of the same names of Resolver. Programs that need
// to know whether a mail server's name is secure (RFC 7672 §2.2.1), or when to ask again, use them instead.
//
//	servers, detail, err := r.Detailed().LookupMX(ctx, "example.com")
type Detailed struct{ r *Resolver }

// Detailed returns the look-ups that return a Detail too.
func (r *Resolver) Detailed() Detailed { return Detailed{r} }

// LookupHost is the method of Resolver with a Detail.
func (d Detailed) LookupHost(ctx context.Context, host string) ([]string, Detail, error) {
	ctx, seen := withSeen(ctx)
	values, err := d.r.LookupHost(ctx, host)
	return values, seen.detail(err), err
}

// LookupIPAddr is the method of Resolver with a Detail.
func (d Detailed) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, Detail, error) {
	ctx, seen := withSeen(ctx)
	values, err := d.r.LookupIPAddr(ctx, host)
	return values, seen.detail(err), err
}

// LookupIP is the method of Resolver with a Detail.
func (d Detailed) LookupIP(ctx context.Context, network, host string) ([]net.IP, Detail, error) {
	ctx, seen := withSeen(ctx)
	values, err := d.r.LookupIP(ctx, network, host)
	return values, seen.detail(err), err
}

// LookupNetIP is the method of Resolver with a Detail.
func (d Detailed) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, Detail, error) {
	ctx, seen := withSeen(ctx)
	values, err := d.r.LookupNetIP(ctx, network, host)
	return values, seen.detail(err), err
}

// LookupCNAME is the method of Resolver with a Detail.
func (d Detailed) LookupCNAME(ctx context.Context, host string) (string, Detail, error) {
	ctx, seen := withSeen(ctx)
	values, err := d.r.LookupCNAME(ctx, host)
	return values, seen.detail(err), err
}

// LookupMX is the method of Resolver with a Detail.
func (d Detailed) LookupMX(ctx context.Context, name string) ([]*net.MX, Detail, error) {
	ctx, seen := withSeen(ctx)
	values, err := d.r.LookupMX(ctx, name)
	return values, seen.detail(err), err
}

// LookupNS is the method of Resolver with a Detail.
func (d Detailed) LookupNS(ctx context.Context, name string) ([]*net.NS, Detail, error) {
	ctx, seen := withSeen(ctx)
	values, err := d.r.LookupNS(ctx, name)
	return values, seen.detail(err), err
}

// LookupTXT is the method of Resolver with a Detail.
func (d Detailed) LookupTXT(ctx context.Context, name string) ([]string, Detail, error) {
	ctx, seen := withSeen(ctx)
	values, err := d.r.LookupTXT(ctx, name)
	return values, seen.detail(err), err
}

// LookupAddr is the method of Resolver with a Detail.
func (d Detailed) LookupAddr(ctx context.Context, addr string) ([]string, Detail, error) {
	ctx, seen := withSeen(ctx)
	values, err := d.r.LookupAddr(ctx, addr)
	return values, seen.detail(err), err
}

// LookupSRV is the method of Resolver with a Detail; the name that it returns beside the records
// is Detail.Canonical too.
func (d Detailed) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, Detail, error) {
	ctx, seen := withSeen(ctx)
	canonical, records, err := d.r.LookupSRV(ctx, service, proto, name)
	return canonical, records, seen.detail(err), err
}

type seenKey struct{}

// seen gathers the Detail of a look-up from its answers, two of which may come at a time.
type seen struct {
	mu  sync.Mutex
	d   Detail // guarded by mu
	any bool   // likewise: there was an answer
}

func withSeen(ctx context.Context) (context.Context, *seen) {
	s := &seen{}
	return context.WithValue(ctx, seenKey{}, s), s
}

// seenIn returns what gathers the Detail of the look-up that ctx is of; nil: nothing does.
func seenIn(ctx context.Context) *seen {
	s, _ := ctx.Value(seenKey{}).(*seen)
	return s
}

// note adds an answer; the receiver may be nil.
func (s *seen) note(a *answer.Answer) {
	if s == nil || a == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ttl := a.TimeToLive()
	if s.any {
		s.d.Status, s.d.TTL = s.d.Status.Worst(a.Status), min(s.d.TTL, ttl)
	} else {
		s.d.Status, s.d.TTL, s.any = a.Status, ttl, true
	}
	s.d.Stale = s.d.Stale || a.Stale
	s.d.Canonical = canonicalOf(a, a.Q.Name.String())
}

// detail returns what was gathered for a look-up that ends with err.
func (s *seen) detail(err error) Detail {
	s.mu.Lock()
	defer s.mu.Unlock()
	var told *Error
	if errors.As(err, &told) {
		return Detail{Status: told.Status} // what else was found does not count
	}
	return s.d
}
