package glue

import (
	"net/netip"
	"time"
)

// Server is one name server of a delegation.
type Server struct {
	Name      Name
	Bailiwick Bailiwick
	// Addrs is the glue that came with the referral, each address once; empty when
	// the addresses have to be looked up.
	Addrs []netip.Addr
}

// Delegation is a zone cut as the parent describes it: the zone that begins there
// and the servers to ask about it. Treat it as immutable once it is shared.
type Delegation struct {
	// Zone is the name of the delegated zone, in canonical form.
	Zone Name
	// Servers lists the name servers in the order of the referral.
	Servers []Server
	// TTL is how long the parent lets the delegation live: the TTL of its NS RRset,
	// or of the glue where that is shorter. Zero for hints, which do not age.
	TTL time.Duration
}

// Server returns the name server called name, and whether the delegation lists it.
func (d *Delegation) Server(name Name) (Server, bool) {
	for _, s := range d.Servers {
		if s.Name == name {
			return s, true
		}
	}
	return Server{}, false
}

// InDomain reports whether ns is at or below the delegated zone, so that only glue
// can tell its address.
func (d *Delegation) InDomain(ns Name) bool { return ns.IsAtOrBelow(d.Zone) }
