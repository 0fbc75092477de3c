package glue

import (
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Server is one name server of a delegation.
type Server struct {
	Name      dnsname.Name
	Bailiwick Bailiwick
	// Addrs is the glue that came with the referral, each address once; empty when
	// the addresses have to be looked up.
	Addrs []netip.Addr
}

// Delegation is a zone cut as the parent describes it: the zone that begins there
// and the servers to ask about it. Treat it as immutable once it is shared.
type Delegation struct {
	// Zone is the name of the delegated zone, in canonical form.
	Zone dnsname.Name
	// Servers lists the name servers in the order of the referral.
	Servers []Server
	// TTL is how long the parent lets the delegation live: the TTL of its NS RRset,
	// or of the glue where that is shorter. Zero for hints, which do not age.
	TTL time.Duration
}

// Server gives the name server called name, and whether the delegation lists it.
func (d *Delegation) Server(name dnsname.Name) (Server, bool) {
	for _, s := range d.Servers {
		if s.Name == name {
			return s, true
		}
	}
	return Server{}, false
}

// InDomain reports whether ns is at or below the delegated zone, so that only glue
// can tell its address.
func (d *Delegation) InDomain(ns dnsname.Name) bool { return ns.IsAtOrBelow(d.Zone) }

// Missing lists the servers for which the referral gave no address, those whose
// addresses can be looked up without this delegation first. In-domain servers
// without glue are not listed: nobody but the parent can be asked for their addresses
// (RFC 9471 §2).
func (d *Delegation) Missing() []dnsname.Name {
	var names []dnsname.Name
	for _, s := range d.Servers {
		if len(s.Addrs) == 0 && !d.InDomain(s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}
