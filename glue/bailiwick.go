package glue

// Bailiwick says where a name server's name stands in relation to the delegation
// that lists it. RFC 9499 §7.
type Bailiwick uint8

const (
	// OutOfBailiwick: neither below the delegated zone nor below the zone that
	// delegates. Its address is never taken from the referral.
	OutOfBailiwick Bailiwick = iota
	// Sibling: below the delegating zone, but in another of its delegations (or in
	// none). Glue for it is used for reaching this delegation.
	Sibling
	// InDomain: at or below the delegated zone. Without glue it cannot be reached.
	InDomain
)

// String returns the term of RFC 9499.
func (b Bailiwick) String() string {
	switch b {
	case OutOfBailiwick:
		return "out-of-bailiwick"
	case Sibling:
		return "sibling"
	case InDomain:
		return "in-domain"
	}
	return "unknown"
}

// BailiwickOf places the name server ns of a delegation from the zone parent to the
// zone child.
func BailiwickOf(ns, parent, child Name) Bailiwick {
	switch {
	case ns.IsAtOrBelow(child):
		return InDomain
	case ns.IsAtOrBelow(parent):
		return Sibling
	}
	return OutOfBailiwick
}
