package resolver

// responseKind is what a response is (RFC 1034 §4.3.1, RFC 2308 §2, RFC 9499 §4).
type responseKind uint8

const (
	kindUnusable  responseKind = iota // an error, or it makes no sense: ask another server
	kindLame                          // the server does not serve the zone: ask another one
	kindAnswer                        // the RRset asked for
	kindAlias                         // a CNAME or DNAME to follow
	kindReferral                      // a delegation to a deeper zone
	kindNoData                        // the name exists, the type does not
	kindNameError                     // the name does not exist
	kindRecursive                     // an answer from the cache of a server that is not authoritative
)

// String returns the kind as in traces.
func (k responseKind) String() string {
	switch k {
	case kindUnusable:
		return "unusable"
	case kindLame:
		return "lame"
	case kindAnswer:
		return "answer"
	case kindAlias:
		return "alias"
	case kindReferral:
		return "referral"
	case kindNoData:
		return "no data"
	case kindNameError:
		return "name error"
	case kindRecursive:
		return "recursive"
	}
	return "unknown"
}

// final reports whether the response settles the question, so that no other server is asked.
func (k responseKind) final() bool {
	switch k {
	case kindAnswer, kindAlias, kindReferral, kindNoData, kindNameError:
		return true
	case kindUnusable, kindLame, kindRecursive:
		return false
	}
	return false
}
