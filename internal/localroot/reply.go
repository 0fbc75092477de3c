package localroot

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// Reply returns what an authoritative server of the zone answers to a query with DO, in wire
// format (RFC 1034 §4.3.2, RFC 4035 §3.1); nil where the servers are to be asked instead: for names
// outside the zone, for wildcards and DNAME, which the root has none of, and for denials in a zone
// that is signed without NSEC.
func (z *Zone) Reply(name dnsname.Name, rrtype uint16) []byte {
	if !name.IsAtOrBelow(z.apex) {
		return nil
	}
	r := replyOf{zone: z, flags: wire.QR | wire.AA}
	r.Begin(make([]byte, 0, usualReply), wire.MaxLen)
	r.Question(name, []byte(name), rrtype, dns.ClassINET)
	if !r.fill(name, rrtype) || r.Full() {
		return nil
	}
	return r.End(0, r.flags)
}

// usualReply is how many bytes most replies fit into: a referral with a DS, 13 servers and their
// addresses.
const usualReply = 1232

// replyOf is a reply that is being made.
type replyOf struct {
	wire.Reply
	zone  *Zone
	flags uint16
}

// fill goes down from the apex to the name; false: the servers are to be asked.
func (r *replyOf) fill(name dnsname.Name, rrtype uint16) bool {
	z := r.zone
	if name != z.apex && z.set(z.apex, dns.TypeDNAME) != nil {
		return false
	}
	for labels := z.apex.Labels() + 1; labels <= name.Labels(); labels++ {
		at := name.Ancestor(labels)
		if !z.exists(at) {
			return r.nameError(name, at.Parent())
		}
		node := z.node(at)
		if ns := in(node, dns.TypeNS); ns != nil && (at != name || rrtype != dns.TypeDS) {
			return r.referral(ns, node)
		}
		if at != name && in(node, dns.TypeDNAME) != nil {
			return false
		}
	}
	return r.exact(name, rrtype)
}

// exact answers for a name that exists.
func (r *replyOf) exact(name dnsname.Name, rrtype uint16) bool {
	node := r.zone.node(name)
	switch {
	case rrtype == dns.TypeANY && len(node) > 0:
		for i := range node {
			r.add(wire.SectionAnswer, &node[i])
		}
		return true
	case rrtype == dns.TypeRRSIG && len(node) > 0:
		return false // seldom asked for, and never of use by itself
	}
	set := in(node, rrtype)
	if set == nil {
		set = in(node, dns.TypeCNAME)
	}
	if set == nil {
		return r.noData(name)
	}
	r.add(wire.SectionAnswer, set)
	if set.Type == dns.TypeNS {
		r.glue(set)
	}
	return true
}

// referral refers to the zone of an NS RRset, with its DS or the proof that there is none.
func (r *replyOf) referral(ns *dnssec.RRset, node []dnssec.RRset) bool {
	r.flags &^= wire.AA
	r.write(wire.SectionAuthority, ns, false)
	if ds := in(node, dns.TypeDS); ds != nil {
		r.add(wire.SectionAuthority, ds)
	} else if !r.deny(ns.Owner) {
		return false
	}
	r.glue(ns)
	return true
}

// glue adds the addresses of name servers that the zone has.
func (r *replyOf) glue(ns *dnssec.RRset) {
	for rdata := range ns.Records.All() {
		host, ok := wire.TargetName(dns.TypeNS, rdata)
		if !ok {
			continue
		}
		node := r.zone.node(host)
		for _, rrtype := range [...]uint16{dns.TypeA, dns.TypeAAAA} {
			if set := in(node, rrtype); set != nil {
				r.write(wire.SectionAdditional, set, false)
			}
		}
	}
}

// noData says that a name has no records of a type.
func (r *replyOf) noData(name dnsname.Name) bool {
	r.add(wire.SectionAuthority, r.zone.set(r.zone.apex, dns.TypeSOA))
	return r.deny(name)
}

// nameError says that a name does not exist, below the last of its ancestors that does.
func (r *replyOf) nameError(name, encloser dnsname.Name) bool {
	wildcard, err := encloser.Wildcard()
	if err != nil || r.zone.exists(wildcard) {
		return false
	}
	r.flags |= uint16(dns.RcodeNameError)
	r.add(wire.SectionAuthority, r.zone.set(r.zone.apex, dns.TypeSOA))
	return r.deny(name, wildcard)
}

// deny adds the NSEC records at or before names, each once; false: the zone is signed, and denies
// by other records.
func (r *replyOf) deny(names ...dnsname.Name) bool {
	if len(r.zone.nsec) == 0 {
		return !r.zone.Secure && r.zone.set(r.zone.apex, dns.TypeDNSKEY) == nil
	}
	var last *dnssec.RRset
	for _, name := range names {
		if set := r.zone.covering(name); set != nil && set != last {
			r.add(wire.SectionAuthority, set)
			last = set
		}
	}
	return true
}

// add adds an RRset with its signatures.
func (r *replyOf) add(section wire.Section, set *dnssec.RRset) { r.write(section, set, true) }

func (r *replyOf) write(section wire.Section, set *dnssec.RRset, signatures bool) {
	of := wire.RRset{Owner: set.Owner, Type: set.Type, Class: set.Class, TTL: set.TTL}
	r.Set(section, of, string(set.Records), 0)
	if of.Type = dns.TypeRRSIG; signatures {
		r.Set(section, of, string(set.Signatures), 0)
	}
}
