package resolver

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// causes are several errors on one line, for logs.
type causes []error

// maxCauses is how many of them are spelled out.
const maxCauses = 4

func (c causes) Error() string {
	texts := make([]string, 0, maxCauses+1)
	for i, err := range c {
		if i == maxCauses {
			texts = append(texts, fmt.Sprintf("and %d more", len(c)-i))
			break
		}
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the errors.
func (c causes) Unwrap() []error { return c }

// join returns one error for several; nil for none.
func join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return causes(errs)
}

// wrapped returns the errors that an error wraps.
func wrapped(err error) []error {
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return []error{err.Unwrap()}
	case interface{ Unwrap() []error }:
		return err.Unwrap()
	}
	return nil
}

// rcodeError says that a server answered with an error.
type rcodeError struct{ rcode int }

func (e *rcodeError) Error() string { return "answered " + rcodeName(e.rcode) }

// zoneError is why the servers of a zone sent no usable response.
type zoneError struct {
	zone      dnsname.Name
	servers   []netip.AddrPort
	responded bool // one of them answered, if only with an error
	err       error
}

func (e *zoneError) Error() string { return fmt.Sprintf("zone %s: %v", e.zone, e.err) }

// Unwrap returns the cause.
func (e *zoneError) Unwrap() error { return e.err }

// bogusError is the error of a response that failed validation.
type bogusError struct {
	zone     dnsname.Name
	server   netip.AddrPort
	reason   dnssec.Reason
	err      error // a *dnssec.BogusError
	verdict  *dnssec.Verdict
	response *dnssec.Response
}

func (e *bogusError) Error() string { return fmt.Sprintf("zone %s: %v", e.zone, e.err) }

// Unwrap returns the validator's error.
func (e *bogusError) Unwrap() error { return e.err }

// rcodeName returns a response code's mnemonic.
func rcodeName(rcode int) string { return wire.RcodeName(rcode) }

// cachedError is a failure that is not tried again yet.
type cachedError struct{ failure cache.Failure }

func (e *cachedError) Error() string {
	if e.failure.Text == "" {
		return errCached.Error()
	}
	return errCached.Error() + ": " + e.failure.Text
}

// reason returns the extended error that the question failed with when it was asked.
func (e *cachedError) reason() extendedError {
	if e.failure.Cause == dns.ExtendedErrorCodeOther && e.failure.Text == "" {
		return extendedCached // the reason is not known
	}
	return extendedError{e.failure.Cause, e.failure.Text}
}

// extendedCached says that a question is not asked again yet. RFC 8914 §4.14.
var extendedCached = extendedError{dns.ExtendedErrorCodeCachedError, errCached.Error()}

// isBogus reports whether the failure was one of validation.
func (e *cachedError) isBogus() bool { return isBogusCode(e.failure.Cause) }

// isBogusCode reports whether a failure with that extended DNS error (RFC 8914 §4) is one
// of validation: these codes are the faults that the validator found. It found none where
// the code is DNSSEC Indeterminate (§4.6, RFC 4035 §4.3): data that it needs could not be
// fetched.
func isBogusCode(code uint16) bool {
	switch code {
	case dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, dns.ExtendedErrorCodeUnsupportedDSDigestType,
		dns.ExtendedErrorCodeDNSBogus, dns.ExtendedErrorCodeSignatureExpired,
		dns.ExtendedErrorCodeSignatureNotYetValid, dns.ExtendedErrorCodeDNSKEYMissing, dns.ExtendedErrorCodeRRSIGsMissing,
		dns.ExtendedErrorCodeNoZoneKeyBitSet, dns.ExtendedErrorCodeNSECMissing,
		dns.ExtendedErrorCodeSignatureExpiredBeforeValid, dns.ExtendedErrorCodeUnsupportedNSEC3IterValue:
		return true
	}
	return false
}

// Unwrap returns errCached.
func (e *cachedError) Unwrap() error { return errCached }

// heldError is the error of a query whose time ran out while it waited for a slot.
type heldError struct {
	limit *limitError // whose slots were all taken
	cause error       // why the wait ended
}

func (e *heldError) Error() string { return fmt.Sprintf("%v while waiting: %v", e.limit, e.cause) }

// Unwrap returns the limit first: it can be changed.
func (e *heldError) Unwrap() []error { return []error{e.limit, e.cause} }

// certificateError is an errCertificate that says what is wrong.
type certificateError struct {
	what string
	err  error
}

func (e *certificateError) Error() string { return e.what + ": " + e.err.Error() }

func (e *certificateError) Unwrap() []error { return []error{errCertificate, e.err} }

// wrapCause wraps the cause of an error; without a cause it returns the error.
func wrapCause(what, why error) error {
	if why == nil {
		return what
	}
	return fmt.Errorf("%w: %w", what, why)
}
