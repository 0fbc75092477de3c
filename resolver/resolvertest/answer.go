package resolvertest

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// maxChain is how many CNAME and DNAME records one reply follows. Knot DNS and
// NSD stop at about as many; a loop inside the zones must end somewhere.
const maxChain = 20

// answer is the reply of an authoritative server in the making (RFC 1034
// §4.3.2), before anything is done to it for EDNS, size or faults.
type answer struct {
	zones      zoneSet // the zones served
	question   dns.Question
	dnssec     bool // the query has DO set
	rcode      int
	aa         bool
	answer     []dns.RR
	authority  []dns.RR
	additional []dns.RR // what must be there for a referral to work
	optional   []dns.RR // what may be left out for size, without TC
}

// answerFrom answers a question from the zones that a server has.
func answerFrom(zones zoneSet, q dns.Question, dnssec bool) *answer {
	a := &answer{zones: zones, question: q, dnssec: dnssec}
	sname, err := dnsname.Parse(q.Name)
	if err != nil {
		a.rcode = dns.RcodeFormatError
		return a
	}
	owner := q.Name
	for range maxChain {
		z := a.zoneFor(sname)
		if z == nil {
			if len(a.answer) == 0 {
				a.rcode = dns.RcodeRefused
			}
			return a
		}
		target, more := a.step(z, sname, owner)
		if !more {
			return a
		}
		owner = target
		if sname, err = dnsname.Parse(target); err != nil {
			return a
		}
	}
	return a
}

// zoneFor chooses the zone that is the nearest ancestor of the name (step 2). A
// question for DS at the top of a zone goes to the zone above where that is
// served here too (RFC 4035 §3.1.4.1).
func (a *answer) zoneFor(name dnsname.Name) *zone {
	if a.question.Qtype == dns.TypeDS && !name.IsRoot() {
		if z := a.zones.nearest(name.Parent()); z != nil {
			return z
		}
	}
	return a.zones.nearest(name)
}

// step answers for one name of the alias chain. more says that target is the
// next name.
func (a *answer) step(z *zone, sname dnsname.Name, owner string) (target string, more bool) {
	f := z.find(sname, a.question.Qtype)
	if f.kind == delegated {
		a.refer(z, f)
		return "", false
	}
	a.aa = true
	switch f.kind {
	case exact:
		return a.data(z, f.node, sname, sname, owner)
	case synthesised:
		target, more = a.data(z, f.node, f.source, sname, owner)
		a.denyNextCloser(z, f, sname)
		return target, more
	case redirected:
		return a.redirect(z, f, sname)
	case missing:
		a.rcode = dns.RcodeNameError
		a.negative(z)
		a.denyName(z, f, sname)
	case delegated:
		// Handled above: a referral is not authoritative.
	}
	return "", false
}

// data answers from the records at a node. at is its name: sname, or
// the source of synthesis; owner is sname as the reply writes it.
func (a *answer) data(z *zone, n *node, at, sname dnsname.Name, owner string) (target string, more bool) {
	qtype := a.question.Qtype
	switch {
	case qtype == dns.TypeANY && len(n.types) > 0:
		for _, rrtype := range n.types {
			a.answer = append(a.answer, withOwner(n.set(rrtype), owner)...)
		}
	case n.has(qtype):
		a.addSet(&a.answer, z, at, qtype, owner)
		a.addAddresses(z, n.sets[qtype])
	case n.has(dns.TypeCNAME):
		a.addSet(&a.answer, z, at, dns.TypeCNAME, owner)
		return n.sets[dns.TypeCNAME][0].(*dns.CNAME).Target, true
	default:
		a.negative(z)
		a.denyType(z, at)
	}
	return "", false
}

// redirect follows a DNAME with the CNAME it stands for (RFC 6672 §3.1): of the
// same TTL, and never signed. A name that grows too long is YXDOMAIN.
func (a *answer) redirect(z *zone, f finding, sname dnsname.Name) (target string, more bool) {
	a.addSet(&a.answer, z, f.encloser, dns.TypeDNAME, "")
	dname := f.node.sets[dns.TypeDNAME][0].(*dns.DNAME)
	to, err := dnsname.Parse(dname.Target)
	if err != nil {
		return "", false
	}
	next, err := sname.Replace(f.encloser, to)
	if err != nil {
		a.rcode = dns.RcodeYXDomain
		return "", false
	}
	a.answer = append(a.answer, &dns.CNAME{
		Hdr:    dns.RR_Header{Name: a.spelling(sname), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: dname.Hdr.Ttl},
		Target: next.String(),
	})
	return next.String(), true
}

// spelling writes a name the way the question does, if it is the one asked for.
func (a *answer) spelling(name dnsname.Name) string {
	if asked, err := dnsname.Parse(a.question.Name); err == nil && asked == name {
		return a.question.Name
	}
	return name.String()
}

// negative adds the SOA of a negative answer, whose TTL is how long the answer
// may be kept (RFC 2308 §3, §5).
func (a *answer) negative(z *zone) {
	soa := z.soa()
	ttl := min(soa.Hdr.Ttl, soa.Minttl)
	for _, rr := range a.signed(z, z.origin, dns.TypeSOA) {
		rr = dns.Copy(rr)
		rr.Header().Ttl = ttl
		a.authority = append(a.authority, rr)
	}
}

// refer makes a referral to a zone below (step 3b): the NS records, the DS or its
// denial, and the glue (RFC 9471 §3).
func (a *answer) refer(z *zone, f finding) {
	nameServers := f.node.sets[dns.TypeNS]
	a.authority = append(a.authority, nameServers...)
	if a.dnssec && f.node.has(dns.TypeDS) {
		a.addSet(&a.authority, z, f.encloser, dns.TypeDS, "")
	} else {
		a.denyType(z, f.encloser)
	}
	for _, rr := range nameServers {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		host, err := dnsname.Parse(ns.Ns)
		if err != nil {
			continue
		}
		section := &a.optional
		if host.IsAtOrBelow(f.encloser) {
			section = &a.additional
		}
		a.addGlue(section, z, host)
	}
}

// addGlue adds the addresses that the zone has for a host, authoritative or not.
func (a *answer) addGlue(section *[]dns.RR, z *zone, host dnsname.Name) {
	*section = append(*section, z.set(host, dns.TypeA)...)
	*section = append(*section, z.set(host, dns.TypeAAAA)...)
}

// addAddresses adds the addresses of the hosts that the answer names (step 6), as
// far as the same zone has them.
func (a *answer) addAddresses(z *zone, set []dns.RR) {
	for _, rr := range set {
		var host string
		switch rr := rr.(type) {
		case *dns.NS:
			host = rr.Ns
		case *dns.MX:
			host = rr.Mx
		case *dns.SRV:
			host = rr.Target
		default:
			return
		}
		name, err := dnsname.Parse(host)
		if err != nil || !name.IsAtOrBelow(z.origin) {
			continue
		}
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			a.addSet(&a.optional, z, name, rrtype, "")
		}
	}
}

// addSet adds an RRset, and its signatures if they were asked for. An owner
// other than "" replaces the one the records have.
func (a *answer) addSet(section *[]dns.RR, z *zone, at dnsname.Name, rrtype uint16, owner string) {
	set := a.signed(z, at, rrtype)
	if owner != "" {
		set = withOwner(set, owner)
	}
	*section = append(*section, set...)
}

// signed returns an RRset with its signatures where the query wants them.
func (a *answer) signed(z *zone, at dnsname.Name, rrtype uint16) []dns.RR {
	set := z.set(at, rrtype)
	if !a.dnssec {
		return set
	}
	signatures := z.signatures(at, rrtype)
	return append(set[:len(set):len(set)], signatures...)
}

// withOwner returns records with the owner name that the question used: that of a
// wildcard must change, and real servers point at the question for all others
// too, so that its letter case comes back.
func withOwner(set []dns.RR, owner string) []dns.RR {
	out := make([]dns.RR, len(set))
	for i, rr := range set {
		if rr.Header().Name != owner {
			rr = dns.Copy(rr)
			rr.Header().Name = owner
		}
		out[i] = rr
	}
	return out
}
