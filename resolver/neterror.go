package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// NotFoundError is what DNS said when a method of package net reports "no such host".
// It is behind the *net.DNSError, for errors.As, and tells what that cannot: whether
// the name does not exist or has no records of the type, and whether that is proven.
type NotFoundError struct {
	// Rcode is dns.RcodeNameError when there is no such name, and dns.RcodeSuccess
	// when it has no records of the type (NODATA).
	Rcode int
	// Status is the DNSSEC status of the denial.
	Status dnssec.Status
	// TTL is how long the denial may be relied on.
	TTL time.Duration
}

func (e *NotFoundError) Error() string {
	what := "no records of this type"
	if e.Rcode != dns.RcodeSuccess {
		what = rcodeName(e.Rcode)
	}
	return fmt.Sprintf("%s (%s, TTL %v)", what, e.Status, e.TTL)
}

// What net.DNSError.Err and net.AddrError.Err say, as in package net, since there are
// programs that look at the text.
const (
	textNoSuchHost     = "no such host"
	textMisbehaving    = "server misbehaving"
	textTimeout        = "i/o timeout"
	textCanceled       = "operation was canceled"
	textNoSuitable     = "no suitable address found"
	textUnrecognized   = "unrecognized address"
	textSRVHeader      = "SRV header name is invalid"
	textMalformedNames = "DNS response contained records which contain invalid names"
)

// noSuchHost says that a name was not asked for, because DNS has no such names.
func noSuchHost(name string) *net.DNSError {
	return &net.DNSError{Err: textNoSuchHost, Name: name, IsNotFound: true}
}

// noSuitableAddress says that the host has addresses, but none of the network's family.
// Package net returns the AddrError alone.
func noSuitableAddress(host string) *net.DNSError {
	return &net.DNSError{
		Err: textNoSuitable, Name: host, IsNotFound: true,
		UnwrapErr: &net.AddrError{Err: textNoSuitable, Addr: host},
	}
}

// malformedNames says that records were left out because their names are no host
// names.
func malformedNames(name string) *net.DNSError {
	return &net.DNSError{Err: textMalformedNames, Name: name}
}

// dnsError says in package net's terms why there is no answer for name: err is a
// *NotFoundError or an *Error, which stays reachable through Unwrap, and so does a
// context's error.
func dnsError(name string, err error) *net.DNSError {
	e := &net.DNSError{Err: textMisbehaving, Name: name, UnwrapErr: err}
	var missing *NotFoundError
	var failed *Error
	if errors.As(err, &failed) && len(failed.Servers) > 0 {
		e.Server = failed.Servers[len(failed.Servers)-1].String()
	}
	switch {
	case errors.As(err, &missing):
		// YXDOMAIN and the like say neither that there is such a name nor that there
		// is none, and net has no word for them.
		if missing.Rcode == dns.RcodeSuccess || missing.Rcode == dns.RcodeNameError {
			e.Err, e.IsNotFound = textNoSuchHost, true
		}
	case errors.Is(err, ErrName), errors.Is(err, ErrFiltered):
		e.Err, e.IsNotFound = textNoSuchHost, true
	case errors.Is(err, ErrClosed):
		e.Err = ErrClosed.Error()
	case errors.Is(err, context.Canceled):
		e.Err = textCanceled
	case failed != nil && failed.Timeout(), errors.Is(err, context.DeadlineExceeded):
		e.Err, e.IsTimeout, e.IsTemporary = textTimeout, true, true
	default:
		e.IsTemporary = true
	}
	return e
}

// withContext makes ctx's own error reachable too: Resolve gives its cause only.
func withContext(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return errors.Join(err, ended)
	}
	return err
}

// endedError is the end of a context in package net's words.
type endedError struct{ err error }

func (e *endedError) Error() string {
	if e.Timeout() {
		return textTimeout
	}
	return textCanceled
}

// Timeout reports whether a deadline passed.
func (e *endedError) Timeout() bool { return errors.Is(e.err, context.DeadlineExceeded) }

// Temporary is Timeout, as in package net.
func (e *endedError) Temporary() bool { return e.Timeout() }

// Unwrap gives the context's error.
func (e *endedError) Unwrap() error { return e.err }
