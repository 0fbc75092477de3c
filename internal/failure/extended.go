package failure

import (
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// ExtendedError is an extended DNS error. RFC 8914.
type ExtendedError struct {
	Code uint16 // one of miekg/dns's ExtendedErrorCode constants
	Text string // short, for people; may be empty
}

// NegativeTrustAnchor is the extended DNS error of answers that are not validated because of a
// negative trust anchor (RFC 7646). IANA has registered the code; RFC 8914 does not have it.
const NegativeTrustAnchor uint16 = 33

// ExtendedNegativeAnchor says that a negative trust anchor at zone was used.
func ExtendedNegativeAnchor(zone dnsname.Name) ExtendedError {
	return ExtendedError{NegativeTrustAnchor, dnssec.Reason{Code: dnssec.ReasonNegativeAnchor, Name: zone}.String()}
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
