package resolver

import "github.com/miekg/dns"

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

// convertExtended converts extended DNS errors between what callers see and the engine's form,
// which have the same fields. Nil stays nil.
func convertExtended[To, From ExtendedError | extendedError](from []From) []To {
	if from == nil {
		return nil
	}
	to := make([]To, len(from))
	for i, e := range from {
		to[i] = To(e)
	}
	return to
}
