package resolver

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// ExtendedError is an extended DNS error. RFC 8914.
type ExtendedError struct {
	Code uint16 // one of miekg/dns's ExtendedErrorCode constants
	Text string // short, for people; may be empty
}

// String returns the code's registered purpose and the text, which may come from the
// network and is made printable.
func (e ExtendedError) String() string {
	purpose := dns.ExtendedErrorCodeToString[e.Code]
	if e.Text == "" {
		return purpose
	}
	return purpose + ": " + Printable(e.Text)
}

// extendedReason returns the validator's reason as an extended DNS error; zero when there
// is none.
func extendedReason(reason dnssec.Reason) ExtendedError {
	code, ok := reason.EDE()
	if !ok {
		return ExtendedError{}
	}
	return ExtendedError{Code: code, Text: reason.String()}
}
