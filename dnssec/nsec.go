package dnssec

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// nsec is an NSEC record of a zone: owner and next are neighbours there. RFC 4034
// §4.
type nsec struct {
	set   *RRset
	owner dnsname.Name
	next  dnsname.Name
	zone  dnsname.Name
	types typeMap
}

// parseNSEC reads an NSEC RRset as a record of zone. One that points out of the
// zone, or backwards to anything but the apex, cannot be the zone's
// (CVE-2026-13321); several records in one RRset come from different zones.
func parseNSEC(set *RRset, zone dnsname.Name) (nsec, bool) {
	if set.Len() != 1 || !set.Owner.IsAtOrBelow(zone) {
		return nsec{}, false
	}
	n := nsec{set: set, owner: set.Owner, zone: zone}
	for rdata := range set.Records.All() {
		next, rest, ok := splitName(rdata)
		if !ok {
			return nsec{}, false
		}
		if n.types, ok = parseTypeMap(rest); !ok {
			return nsec{}, false
		}
		n.next = next
	}
	last := n.next == zone
	return n, last || n.next.IsBelow(zone) && dnsname.Compare(n.owner, n.next) < 0
}

// covers reports whether name, which is in the zone, would stand between owner and
// next if it existed. Names below a zone cut or a DNAME are not this zone's to deny,
// and the record of a name that compact denial makes up denies only that (RFC 9824
// §3).
func (n *nsec) covers(name dnsname.Name) bool {
	if name.IsBelow(n.owner) && n.types.hidesBelow() || n.types.has(dns.TypeNXNAME) {
		return false
	}
	return dnsname.Compare(n.owner, name) < 0 && (n.next == n.zone || dnsname.Compare(name, n.next) < 0)
}

// nonexistent reports whether the record denies name and everything below it. A
// covered name whose neighbour lies below it is an empty non-terminal, which exists
// (RFC 4592 §2.2.2).
func (n *nsec) nonexistent(name dnsname.Name) bool {
	return n.covers(name) && !n.next.IsAtOrBelow(name)
}

// emptyNonTerminal reports whether the record shows that name exists without owning
// records.
func (n *nsec) emptyNonTerminal(name dnsname.Name) bool {
	return n.covers(name) && n.next.IsBelow(name)
}

// closestEncloser returns the longest existing ancestor of a name that the record
// denies: both neighbours exist, and nothing between them (RFC 4592 §3.3.1).
func (n *nsec) closestEncloser(name dnsname.Name) dnsname.Name {
	a, b := dnsname.CommonAncestor(name, n.owner), dnsname.CommonAncestor(name, n.next)
	if len(a) > len(b) {
		return a
	}
	return b
}

// find returns the first verified record for which fits holds.
func (p *proof) find(fits func(*nsec) bool) (*nsec, error) {
	for i := range p.nsec {
		n := &p.nsec[i]
		if !fits(n) {
			continue
		}
		if ok, err := p.accept(n.set); ok || err != nil {
			return n, err
		}
	}
	return nil, nil
}

func (p *proof) nsecMatching(name dnsname.Name) (*nsec, error) {
	return p.find(func(n *nsec) bool { return n.owner == name })
}

func (p *proof) nsecDenying(name dnsname.Name) (*nsec, error) {
	return p.find(func(n *nsec) bool { return n.nonexistent(name) })
}

// nsecNoData is RFC 4035 §3.1.3.1, §3.1.3.4 and §5.4: the name has no such type, is
// an empty non-terminal, or a wildcard that would answer has no such type.
func (p *proof) nsecNoData(name dnsname.Name, rrtype uint16) (finding, error) {
	m, err := p.nsecMatching(name)
	if err != nil {
		return finding{}, err
	}
	if m != nil {
		if m.types.has(dns.TypeNXNAME) {
			return finding{proven: true, compact: true}, nil
		}
		return finding{proven: m.types.denies(name, rrtype)}, nil
	}
	if exists, err := p.nsecEmpty(name); exists || err != nil {
		return finding{proven: exists}, err
	}
	n, err := p.nsecDenying(name)
	if n == nil || err != nil {
		return finding{}, err
	}
	f := n.denied(name)
	wildcard, err := f.closestEncloser.Wildcard()
	if err != nil { // too long to exist: then the name is denied, not its data
		return finding{}, nil
	}
	if m, err = p.nsecMatching(wildcard); err != nil {
		return finding{}, err
	}
	if m != nil {
		f.proven = m.types.denies(name, rrtype)
		return f, nil
	}
	f.proven, err = p.nsecEmpty(wildcard)
	return f, err
}

// nsecEmpty looks for proof that name is an empty non-terminal.
func (p *proof) nsecEmpty(name dnsname.Name) (bool, error) {
	n, err := p.find(func(n *nsec) bool { return n.emptyNonTerminal(name) })
	return n != nil, err
}

// nsecNameError is RFC 4035 §3.1.3.2 and §5.4: neither the name exists nor a
// wildcard at its closest encloser. A server of compact denial may also say so with
// a record of the name itself (RFC 9824 §5).
func (p *proof) nsecNameError(name dnsname.Name) (finding, error) {
	n, err := p.nsecDenying(name)
	if err != nil {
		return finding{}, err
	}
	if n == nil {
		m, err := p.nsecMatching(name)
		if m == nil || err != nil {
			return finding{}, err
		}
		compact := m.types.has(dns.TypeNXNAME)
		return finding{proven: compact, compact: compact}, nil
	}
	f := n.denied(name)
	wildcard, err := f.closestEncloser.Wildcard()
	if err != nil { // too long to exist
		f.proven = true
		return f, nil
	}
	n, err = p.nsecDenying(wildcard)
	f.proven = n != nil
	return f, err
}

// denied starts the finding about a name that the record denies.
func (n *nsec) denied(name dnsname.Name) finding {
	encloser := n.closestEncloser(name)
	return finding{closestEncloser: encloser, nextCloser: name.Ancestor(encloser.Labels() + 1)}
}

// nsecNoDS is RFC 4035 §5.2 and RFC 6840 §4.4: the record of the parent at the name
// has no DS. Whether it has NS tells a delegation from another name. A name that
// does not exist, or owns nothing, is none either.
func (p *proof) nsecNoDS(name dnsname.Name) (finding, error) {
	m, err := p.nsecMatching(name)
	if err != nil {
		return finding{}, err
	}
	if m != nil {
		f := finding{proven: m.types.denies(name, dns.TypeDS), absent: m.types.has(dns.TypeNXNAME)}
		f.unsigned = f.proven && m.types.has(dns.TypeNS)
		return f, nil
	}
	n, err := p.find(func(n *nsec) bool { return n.covers(name) })
	if n == nil || err != nil {
		return finding{}, err
	}
	return finding{proven: true, absent: n.nonexistent(name)}, nil
}
