package answer

// Kind is what a response is (RFC 1034 §4.3.1, RFC 2308 §2, RFC 9499 §4).
type Kind uint8

const (
	KindUnusable  Kind = iota // an error, or it makes no sense: ask another server
	KindLame                  // the server does not serve the zone: ask another one
	KindAnswer                // the RRset asked for
	KindAlias                 // a CNAME or DNAME to follow
	KindReferral              // a delegation to a deeper zone
	KindNoData                // the name exists, the type does not
	KindNameError             // the name does not exist
	KindRecursive             // an answer from the cache of a server that is not authoritative
)

// String returns the kind as in traces.
func (k Kind) String() string {
	switch k {
	case KindUnusable:
		return "unusable"
	case KindLame:
		return "lame"
	case KindAnswer:
		return "answer"
	case KindAlias:
		return "alias"
	case KindReferral:
		return "referral"
	case KindNoData:
		return "no data"
	case KindNameError:
		return "name error"
	case KindRecursive:
		return "recursive"
	}
	return "unknown"
}

// Final reports whether the response settles the question, so that no other server is asked.
func (k Kind) Final() bool {
	switch k {
	case KindAnswer, KindAlias, KindReferral, KindNoData, KindNameError:
		return true
	case KindUnusable, KindLame, KindRecursive:
		return false
	}
	return false
}
