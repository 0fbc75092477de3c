package dnssec

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// ResponseKind is the kind of answer that a response claims to be.
type ResponseKind uint8

const (
	// KindAnswer: the RRset asked for, perhaps behind aliases; for ANY all RRsets.
	// It is the zero value.
	KindAnswer ResponseKind = iota
	// KindAlias: aliases whose last target is to be asked for elsewhere.
	KindAlias
	// KindNoData: the last name has no RRset of the type (NOERROR).
	KindNoData
	// KindNameError: the last name does not exist (NXDOMAIN).
	KindNameError
	// KindReferral: the name is a zone cut, of which the response brings the DS
	// RRset or the proof that there is none.
	KindReferral
)

// String returns the kind in lower case.
func (k ResponseKind) String() string {
	switch k {
	case KindAnswer:
		return "answer"
	case KindAlias:
		return "alias"
	case KindNoData:
		return "nodata"
	case KindNameError:
		return "name error"
	case KindReferral:
		return "referral"
	}
	return "unknown"
}

// Response is one response after scrubbing, from a server of one zone about a name.
// Its RRsets are not changed and must not change later, since what was found of
// them is remembered.
type Response struct {
	Name Name   // the name asked; of a referral the delegated zone
	Type uint16 // of a referral it does not matter
	// Zone is the zone cut whose server was asked, as far as the caller knows: the
	// server may speak for zones below as well. "" means unknown.
	Zone Name
	Kind ResponseKind
	// Answer holds the aliases from Name on in order, then the RRset asked for. A
	// CNAME made from a DNAME may be there after it or be left out.
	Answer []*RRset
	// Authority holds SOA, NSEC and NSEC3, of a referral also DS. Other types are
	// not looked at.
	Authority []*RRset
}

// ds returns the DS RRset that the response holds for its name.
func (r *Response) ds() *RRset {
	for _, sets := range [][]*RRset{r.Answer, r.Authority} {
		for _, set := range sets {
			if set.Type == dns.TypeDS && set.Owner == r.Name {
				return set
			}
		}
	}
	return nil
}

// speaksOfDS reports whether a referral has a DS RRset or records that may deny it.
func (r *Response) speaksOfDS() bool {
	for _, set := range r.Authority {
		switch set.Type {
		case dns.TypeDS, dns.TypeNSEC, dns.TypeNSEC3:
			return true
		}
	}
	return false
}

// soaOwner returns the owner of the SOA, which names the zone that the server thinks
// it speaks for; unproven. "" if there is none.
func (r *Response) soaOwner() dnsname.Name {
	for _, set := range r.Authority {
		if set.Type == dns.TypeSOA {
			return set.Owner
		}
	}
	return ""
}

// step is one RRset of an answer and how it got there.
type step struct {
	set *RRset
	// synthesised: a CNAME that was made from the DNAME before it; it has been
	// compared and needs no signature (RFC 6672 §5.3.1).
	synthesised bool
}

// follow goes through an answer from the name asked. It returns the steps, appended to none,
// and the name searched last; ok is false when an RRset has no place there, or the answer is
// not of its kind.
func (r *Response) follow(none []step) (steps []step, sname dnsname.Name, ok bool) {
	steps = none
	sname = r.Name
	var fromDNAME dnsname.Name // owner of a CNAME that the DNAME just before it makes
	answered := false
	for _, set := range r.Answer {
		final := set.Owner == sname && (set.Type == r.Type || r.Type == dns.TypeANY)
		switch {
		case set.Type == dns.TypeCNAME && fromDNAME != "" && set.Owner == fromDNAME && !answered:
			target, ok := aliasTarget(set)
			if !ok || target != sname {
				return nil, "", false
			}
			steps = append(steps, step{set: set, synthesised: true})
			fromDNAME = ""
			continue
		case final:
			answered = true
		case answered:
			return nil, "", false
		case set.Type == dns.TypeCNAME && set.Owner == sname:
			if sname, ok = aliasTarget(set); !ok {
				return nil, "", false
			}
			fromDNAME = ""
		case set.Type == dns.TypeDNAME && sname.IsBelow(set.Owner):
			target, ok := aliasTarget(set)
			if !ok {
				return nil, "", false
			}
			fromDNAME = sname
			if replaced, err := sname.Replace(set.Owner, target); err == nil {
				sname = replaced
			} // else YXDOMAIN (RFC 6672 §2.2): the search ends here
		default:
			return nil, "", false
		}
		steps = append(steps, step{set: set})
	}
	switch r.Kind {
	case KindAnswer:
		ok = answered
	case KindAlias:
		ok = !answered && len(steps) > 0
	case KindNoData, KindNameError:
		ok = !answered
	case KindReferral:
		ok = len(steps) == 0
	}
	return steps, sname, ok
}

// aliasTarget returns the target of the one record of a CNAME or DNAME RRset: there
// may not be more (RFC 2181 §10.1).
func aliasTarget(set *RRset) (dnsname.Name, bool) {
	if set.Len() != 1 {
		return "", false
	}
	for rdata := range set.Records.All() {
		target, err := dnsname.FromWire([]byte(rdata))
		return target, err == nil
	}
	return "", false
}
