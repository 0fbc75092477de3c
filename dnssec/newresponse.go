package dnssec

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// ErrMessage says that a message is no response that can be judged.
var ErrMessage = errors.New("not a response to judge")

// NewResponse makes a Response of a message from a server of zone ("" if unknown),
// for those who use this package alone. It sorts records into RRsets and decides the
// kind; it does not scrub: what an RRset is worth is for Validate to say. It fails
// with ErrMessage when there is not exactly one question of class IN, or the RCODE
// is neither NOERROR, NXDOMAIN nor YXDOMAIN.
func NewResponse(m *dns.Msg, zone string) (*Response, error) {
	if len(m.Question) != 1 || m.Question[0].Qclass != dns.ClassINET {
		return nil, fmt.Errorf("%w: no single question of class IN", ErrMessage)
	}
	q := m.Question[0]
	r := &Response{Type: q.Qtype}
	var err error
	if r.Name, err = dnsname.Parse(q.Name); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	if zone != "" {
		if r.Zone, err = dnsname.Parse(zone); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMessage, err)
		}
	}
	switch m.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeYXDomain:
	default:
		return nil, fmt.Errorf("%w: RCODE %s", ErrMessage, wire.RcodeName(m.Rcode))
	}
	if r.Answer, err = GroupRRsets(m.Answer, q.Qtype == dns.TypeRRSIG); err != nil {
		return nil, err
	}
	if r.Authority, err = GroupRRsets(m.Ns, false); err != nil {
		return nil, err
	}
	r.classify(m.Rcode)
	return r, nil
}

// classify decides the kind.
func (r *Response) classify(rcode int) {
	cut := dnsname.Name("")
	for _, set := range r.Authority {
		if set.Type == dns.TypeNS && r.Name.IsAtOrBelow(set.Owner) && set.Owner.IsBelow(r.Zone) {
			cut = set.Owner
		}
	}
	answered := false
	for _, set := range r.Answer {
		answered = answered || set.Type == r.Type || r.Type == dns.TypeANY
	}
	switch {
	case rcode == dns.RcodeNameError:
		r.Kind = KindNameError
	case answered:
		r.Kind = KindAnswer
	case r.soaOwner() != "":
		r.Kind = KindNoData
	case len(r.Answer) > 0:
		r.Kind = KindAlias
	case cut != "":
		r.Kind, r.Name = KindReferral, cut
	default:
		r.Kind = KindNoData
	}
}

// GroupRRsets sorts the records of a section into RRsets, each with the signatures
// that cover it, in the order of their first records. Signatures that cover nothing
// there are left out. With signatures, as for an answer to RRSIG, they are RRsets of their
// own instead. OPT and TSIG are left out.
func GroupRRsets(section []dns.RR, signatures bool) ([]*RRset, error) {
	type key struct {
		owner  string
		rrtype uint16
		class  uint16
	}
	groups := make(map[key][]dns.RR)
	var order []key
	for _, rr := range section {
		h := rr.Header()
		k := key{dns.CanonicalName(h.Name), h.Rrtype, h.Class}
		switch h.Rrtype {
		case dns.TypeOPT, dns.TypeTSIG:
			continue
		case dns.TypeRRSIG:
			if !signatures {
				k.rrtype = coveredBy(rr)
			}
		}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], rr)
	}
	var sets []*RRset
	for _, k := range order {
		set, err := groupRRset(groups[k], k.rrtype)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMessage, err)
		}
		if set != nil {
			sets = append(sets, set)
		}
	}
	return sets, nil
}

// coveredBy returns the type that an RRSIG record covers, also of one read as a record of
// an unknown type; 0, which no RRset has, where it is cut off.
func coveredBy(rr dns.RR) uint16 {
	switch rr := rr.(type) {
	case *dns.RRSIG:
		return rr.TypeCovered
	case *dns.RFC3597:
		rdata, _ := hex.DecodeString(rr.Rdata[:min(len(rr.Rdata), 4)])
		covered, _ := typeCovered(string(rdata))
		return covered
	}
	return dns.TypeNone
}

// groupRRset packs one group; nil if it has only signatures that cover another type.
func groupRRset(records []dns.RR, rrtype uint16) (*RRset, error) {
	if rrtype != dns.TypeRRSIG {
		for _, rr := range records {
			if rr.Header().Rrtype == rrtype {
				return NewRRset(records...)
			}
		}
		return nil, nil
	}
	var set *RRset
	var data uniqueFields
	for _, rr := range records {
		owner, rdata, err := pack(rr)
		if err != nil {
			return nil, err
		}
		h := rr.Header()
		if set == nil {
			set = &RRset{Owner: owner, Type: rrtype, Class: h.Class, TTL: h.Ttl}
		}
		data.add(rdata)
		set.TTL = min(set.TTL, h.Ttl)
	}
	set.Records = data.packed()
	return set, nil
}
