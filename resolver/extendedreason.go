package resolver

import "github.com/iterdns/iterdns/dnssec"

// extendedError is an extended DNS error. RFC 8914.
type extendedError struct {
	Code uint16 // one of miekg/dns's ExtendedErrorCode constants
	Text string // short, for people; may be empty
}

// extendedReason returns the validator's reason as an extended DNS error; zero when there
// is none.
func extendedReason(reason dnssec.Reason) extendedError {
	code, ok := reason.EDE()
	if !ok {
		return extendedError{}
	}
	return extendedError{Code: code, Text: reason.String()}
}
