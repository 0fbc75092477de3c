package resolver

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// zoneCut is where a walk stands: a delegation, and until when its parent vouches
// for it.
type zoneCut struct {
	*glue.Delegation
	expires time.Time // zero: the hints, which do not age
	hints   bool
}

// start gives the deepest zone cut known on the way to what q asks for (RFC 1034
// §5.3.3 step 2), or the root hints.
func (r *Resolver) start(now time.Time, t *task, q question) *zoneCut {
	from := searchedFrom(q)
	if t.startAbove != "" {
		from = t.startAbove.Parent()
	}
	if cut, ok := r.view.GetCut(now, from); ok {
		return &zoneCut{Delegation: cut.Delegation, expires: cut.Expires}
	}
	r.prime()
	return &zoneCut{Delegation: r.config.RootHints, hints: true}
}

// searchedFrom is the name whose zone has the answer. DS records are on the parent's
// side of a zone cut (RFC 4035 §3.1.4.1).
func searchedFrom(q question) dnsname.Name {
	if q.rrtype == dns.TypeDS {
		return q.name.Parent()
	}
	return q.name
}
