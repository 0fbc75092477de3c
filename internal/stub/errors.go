package stub

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// What net.DNSError.Err and net.AddrError.Err say, as in package net, since there are
// programs that look at the text.
const (
	TextNoSuchHost     = "no such host"
	TextMisbehaving    = "server misbehaving"
	TextTimeout        = "i/o timeout"
	TextCanceled       = "operation was canceled"
	textNoSuitable     = "no suitable address found"
	TextUnrecognized   = "unrecognized address"
	TextSRVHeader      = "SRV header name is invalid"
	textMalformedNames = "DNS response contained records which contain invalid names"
)

// NoSuchHost says that a name was not asked for, because DNS has no such names.
func NoSuchHost(name string) *net.DNSError {
	return &net.DNSError{Err: TextNoSuchHost, Name: name, IsNotFound: true}
}

// NoSuitableAddress says that the host has addresses, but none of the network's family.
// Package net returns the AddrError alone.
func NoSuitableAddress(host string) *net.DNSError {
	return &net.DNSError{
		Err: textNoSuitable, Name: host, IsNotFound: true,
		UnwrapErr: &net.AddrError{Err: textNoSuitable, Addr: host},
	}
}

// MalformedNames says that records were left out because their names are no host
// names.
func MalformedNames(name string) *net.DNSError {
	return &net.DNSError{Err: textMalformedNames, Name: name}
}

// WithContext makes ctx's own error reachable too: err may have its cause only.
func WithContext(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w; %w", err, ended)
	}
	return err
}

// EndedError is the end of a context in package net's words.
type EndedError struct{ Err error }

func (e *EndedError) Error() string {
	if e.Timeout() {
		return TextTimeout
	}
	return TextCanceled
}

// Timeout reports whether a deadline passed.
func (e *EndedError) Timeout() bool { return errors.Is(e.Err, context.DeadlineExceeded) }

// Temporary is Timeout, as in package net.
func (e *EndedError) Temporary() bool { return e.Timeout() }

// Unwrap returns the context's error.
func (e *EndedError) Unwrap() error { return e.Err }
