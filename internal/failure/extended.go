package failure

import "github.com/iterdns/iterdns/dnssec"

// ExtendedError is an extended DNS error. RFC 8914.
type ExtendedError struct {
	Code uint16 // one of miekg/dns's ExtendedErrorCode constants
	Text string // short, for people; may be empty
}

// ExtendedReason returns the validator's reason as an extended DNS error; zero when there
// is none.
func ExtendedReason(reason dnssec.Reason) ExtendedError {
	code, ok := reason.EDE()
	if !ok {
		return ExtendedError{}
	}
	return ExtendedError{Code: code, Text: reason.String()}
}
