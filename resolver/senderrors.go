package resolver

import (
	"crypto/x509"
	"errors"
	"fmt"
	"syscall"
)

// named returns the error of a send under the name of its cause, where that is one that
// whoever runs the resolver, or a server it forwards to, can mend. Otherwise nobody would
// learn more than that no server answered.
func namedCause(err error) error {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return fmt.Errorf("%w: %w", ErrNoDescriptors, err)
	}
	if what := certificateFault(err); what != "" {
		return &certificateError{what, err}
	}
	return err
}

// certificateFault says what is wrong with a server's certificate (RFC 8310 §8.1), without a
// name in it; "": nothing.
func certificateFault(err error) string {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate of a server has expired, or is not valid yet"
	case errors.As(err, &name):
		return "certificate of a server is for another name"
	case errors.As(err, &authority):
		return "certificate of a server is of an unknown authority"
	case errors.As(err, &invalid):
		return "certificate of a server is not valid"
	}
	return ""
}

// certificateError is ErrCertificate and what is wrong.
type certificateError struct {
	what string
	err  error
}

func (e *certificateError) Error() string { return e.what + ": " + e.err.Error() }

func (e *certificateError) Unwrap() []error { return []error{ErrCertificate, e.err} }
