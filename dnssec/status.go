package dnssec

// Status is the security status of data. RFC 4033 §5, RFC 4035 §4.3.
type Status uint8

const (
	// Indeterminate: nothing is known, because nothing was validated or no trust
	// anchor is at or above the name. It is the zero value.
	Indeterminate Status = iota
	// Insecure: there is proof, from a trust anchor down, that the data's zone is
	// not signed, or signed only in ways that this validator does not know.
	Insecure
	// Secure: there is an unbroken chain of signatures from a trust anchor to the
	// data.
	Secure
	// Bogus: the data should be signed and provable but is not.
	Bogus
)

// String returns the term of RFC 4033 in lower case.
func (s Status) String() string {
	switch s {
	case Indeterminate:
		return "indeterminate"
	case Insecure:
		return "insecure"
	case Secure:
		return "secure"
	case Bogus:
		return "bogus"
	}
	return "unknown"
}

// Worst returns the status of data that consists of parts with both: bogus over
// indeterminate over insecure over secure.
func (s Status) Worst(other Status) Status {
	if s.severity() > other.severity() {
		return s
	}
	return other
}

func (s Status) severity() int {
	switch s {
	case Secure:
		return 0
	case Insecure:
		return 1
	case Indeterminate:
		return 2
	case Bogus:
		return 3
	}
	return 3
}
