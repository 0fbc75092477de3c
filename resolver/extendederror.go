package resolver

import (
	"errors"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// ExtendedError is an extended DNS error. RFC 8914.
type ExtendedError struct {
	Code uint16 // one of miekg/dns's ExtendedErrorCode constants
	Text string // short, for people; may be empty
}

// String gives the code's registered purpose and the text, which may come from outside and is
// made printable.
func (e ExtendedError) String() string {
	purpose := dns.ExtendedErrorCodeToString[e.Code]
	if e.Text == "" {
		return purpose
	}
	return purpose + ": " + Printable(e.Text)
}

// extendedOf finds the extended DNS error that says best what went wrong.
func extendedOf(err error) ExtendedError {
	var limit *LimitError
	var cached *cachedError
	var bogus *bogusError
	var hook *hookError
	var refusal *Refusal
	code := dns.ExtendedErrorCodeNoReachableAuthority
	switch {
	case errors.As(err, &refusal):
		return refusal.extended()
	case errors.As(err, &hook):
		code = dns.ExtendedErrorCodeOther
	case errors.Is(err, ErrFiltered):
		code = dns.ExtendedErrorCodeBlocked
	case errors.Is(err, errUndecodable):
		code = dns.ExtendedErrorCodeInvalidData
	case errors.As(err, &bogus):
		return extendedReason(bogus.reason)
	case errors.As(err, &cached):
		return cached.reason()
	case errors.Is(err, ErrAborted), errors.As(err, &limit), errors.Is(err, ErrNoDescriptors), errors.Is(err, ErrAliasLoop), errors.Is(err, ErrCircular):
		code = dns.ExtendedErrorCodeOther
	case errors.Is(err, ErrMetaType):
		code = dns.ExtendedErrorCodeNotSupported
	case errors.Is(err, ErrName):
		code = dns.ExtendedErrorCodeInvalidData
	case errors.Is(err, ErrIntercepted), errors.Is(err, ErrBlocked), errors.Is(err, ErrRouteLoop):
		code = dns.ExtendedErrorCodeNetworkError
	case errors.Is(err, ErrClosed):
		code = dns.ExtendedErrorCodeNotReady
	}
	return ExtendedError{Code: code, Text: summary(err)}
}

// summary gives the first cause in a few words, without addresses.
func summary(err error) string {
	var limit *LimitError
	if errors.As(err, &limit) {
		return limit.Error()
	}
	var certificate *certificateError
	if errors.As(err, &certificate) {
		return certificate.what
	}
	for _, known := range []error{
		ErrAborted, ErrNoDescriptors, ErrAliasLoop, ErrCircular, ErrMetaType, ErrName, ErrFiltered, ErrIntercepted, ErrBlocked, ErrRouteLoop, ErrClosed,
		ErrNoServerAddress, ErrNoReachableServer, ErrHookResult,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return ""
}

// extendedReason gives the validator's reason as an extended DNS error; zero when there
// is none.
func extendedReason(reason dnssec.Reason) ExtendedError {
	code, ok := reason.EDE()
	if !ok {
		return ExtendedError{}
	}
	return ExtendedError{Code: code, Text: reason.String()}
}
