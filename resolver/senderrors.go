package resolver

import (
	"crypto/x509"
	"errors"
	"fmt"
	"syscall"
)

// namedCause wraps the error of a send in one that names its cause, if it is a cause that
// the operator of this resolver, or of a server that it forwards to, can repair. Otherwise
// all that would be known is that no server answered.
func namedCause(err error) error {
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return fmt.Errorf("%w: %w", errNoDescriptors, err)
	}
	if what := certificateFault(err); what != "" {
		return &certificateError{what, err}
	}
	return err
}

// certificateFault says what is wrong with a server's certificate (RFC 8310 §8.1), without
// naming the server; "": nothing.
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
