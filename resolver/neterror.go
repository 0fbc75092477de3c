package resolver

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/stub"
)

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
}

func (e *NotFoundError) Error() string {
	what := "no records of this type"
	if e.Rcode != dns.RcodeSuccess {
		what = rcodeName(e.Rcode)
	}
	return fmt.Sprintf("%s (%s, TTL %v)", what, e.Status, e.TTL)
}

// dnsError returns the *net.DNSError that says why there is no answer for name. It wraps
// err, a *NotFoundError or an *Error, perhaps joined with a context's error.
func dnsError(name string, err error) *net.DNSError {
	e := &net.DNSError{Err: stub.TextMisbehaving, Name: name, UnwrapErr: err}
	var missing *NotFoundError
	var told *Error
	if errors.As(err, &told) && len(told.Servers) > 0 {
		e.Server = told.Servers[len(told.Servers)-1].String()
	}
	f := failureOf(err)
	switch {
	case errors.As(err, &missing):
		// YXDOMAIN and the like neither affirm nor deny the name, and net has no word for
		// them.
		if missing.Rcode == dns.RcodeSuccess || missing.Rcode == dns.RcodeNameError {
			e.Err, e.IsNotFound = stub.TextNoSuchHost, true
		}
	case f.is(failName), f.is(failFiltered):
		e.Err, e.IsNotFound = stub.TextNoSuchHost, true
	case f.is(failClosed):
		e.Err = ErrClosed.Error()
	case f.is(failCanceled):
		e.Err = stub.TextCanceled
	case told != nil && told.Timeout(), f.is(failDeadline):
		e.Err, e.IsTimeout, e.IsTemporary = stub.TextTimeout, true, true
	default:
		e.IsTemporary = true
	}
	return e
}
