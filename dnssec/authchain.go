package dnssec

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/wire"
)

// MaxAuthenticationChain is how many bytes an AuthenticationChain has at most: its length is a
// field of two bytes (RFC 9102 §3).
const MaxAuthenticationChain = 1<<16 - 1

// ErrAuthenticationChain says that bytes are no AuthenticationChain of RFC 9102, or that a
// chain cannot be written as one.
var ErrAuthenticationChain = errors.New("not an authentication chain")

// errChainOfAny: what was asked for is not one RRset.
var errChainOfAny = fmt.Errorf("%w: the answer to a question for ANY", ErrAuthenticationChain)

// AppendAuthenticationChain appends a chain to dst in the form of RFC 9102 §2.3: all records with
// their RRSIGs, uncompressed, one behind the other, from the answer up to the keys of the trust
// anchor. The two bytes before it (ExtSupportLifetime) are TLS's, and not written.
//
// That form holds what is signed, positive answers and denials alike, behind aliases and from
// wildcards too. Of an answer from an unsigned zone it holds the proof that a delegation above the
// name has no DS (RFC 9102 §2.3.1), and nothing of the answer. It has no place for the name asked,
// the times, or a bogus answer: for these see StoredChain. A CNAME that was made from a DNAME is
// left out, since nothing signs it.
//
// It fails with ErrAuthenticationChain when the chain is about ANY, an RRset has no signature though
// no DS is denied, or the whole has no bytes or more than MaxAuthenticationChain.
func AppendAuthenticationChain(dst []byte, chain []Link) ([]byte, error) {
	switch {
	case len(chain) == 0:
		return nil, fmt.Errorf("%w: no links", ErrAuthenticationChain)
	case chain[len(chain)-1].Type == dns.TypeANY:
		return nil, errChainOfAny
	}
	start := len(dst)
	unsigned := slices.ContainsFunc(chain[:len(chain)-1], func(l Link) bool { return l.Type == dns.TypeDS && l.Kind == KindNoData })
	written := make(map[*RRset]bool)
	for _, link := range slices.Backward(chain) {
		for _, set := range slices.Concat(link.Answer, link.Authority) {
			if written[set] || isSynthesised(link.Answer, set) {
				continue
			}
			written[set] = true
			switch set = withoutMalformed(set); {
			case set.Signatures != "":
				dst = appendSet(dst, set)
			case !unsigned:
				return nil, fmt.Errorf("%w: %s %s has no signature", ErrAuthenticationChain, set.Owner, typeName(set.Type))
			}
		}
	}
	switch n := len(dst) - start; {
	case n > MaxAuthenticationChain:
		return nil, fmt.Errorf("%w: %d bytes, of %d at most", ErrAuthenticationChain, n, MaxAuthenticationChain)
	case n == 0:
		return nil, fmt.Errorf("%w: no records", ErrAuthenticationChain)
	}
	return dst, nil
}

// isSynthesised reports whether an RRset is a CNAME without signature behind the DNAME that it
// was made from.
func isSynthesised(answer []*RRset, set *RRset) bool {
	i := slices.Index(answer, set)
	return i > 0 && set.Type == dns.TypeCNAME && set.Signatures.Len() == 0 &&
		answer[i-1].Type == dns.TypeDNAME && set.Owner.IsBelow(answer[i-1].Owner)
}

// appendSet appends the records of an RRset, and behind them its signatures, to dst.
func appendSet(dst []byte, set *RRset) []byte {
	for rdata := range set.Records.All() {
		dst = appendRecord(dst, set, set.Type, rdata)
	}
	for rdata := range set.Signatures.All() {
		dst = appendRecord(dst, set, dns.TypeRRSIG, rdata)
	}
	return dst
}

// withoutMalformed returns the RRset without signatures that are none, which no reader of the form
// of RFC 9102 could pass over.
func withoutMalformed(set *RRset) *RRset {
	var good uniqueFields
	for rdata := range set.Signatures.All() {
		if sig, err := ParseSignature(rdata); err == nil && sig.TypeCovered == set.Type {
			good.add(rdata)
		}
	}
	copied := *set
	copied.Signatures = good.packed()
	return &copied
}

// appendRecord appends a record in the form of RFC 1035 §3.2.1.
func appendRecord(dst []byte, set *RRset, rrtype uint16, rdata string) []byte {
	dst = append(dst, set.Owner...)
	dst = binary.BigEndian.AppendUint16(dst, rrtype)
	dst = binary.BigEndian.AppendUint16(dst, set.Class)
	dst = binary.BigEndian.AppendUint32(dst, set.TTL)
	return appendField(dst, rdata)
}

// wireRecord is one record of an authentication chain.
type wireRecord struct {
	owner         Name
	rrtype, class uint16
	ttl           uint32
	rdata         string
}

// covered returns the type that the record belongs to: of an RRSIG that of what it signs.
func (r *wireRecord) covered() (uint16, error) {
	if r.rrtype != dns.TypeRRSIG {
		return r.rrtype, nil
	}
	s, err := ParseSignature(r.rdata)
	return s.TypeCovered, err
}

// readRecord takes the record at the front of b.
func readRecord(b string) (r wireRecord, rest string, err error) {
	owner, rest, ok := splitName(b)
	if !ok {
		return r, "", errors.New("malformed or compressed owner name")
	}
	const fixed = 10
	if len(rest) < fixed {
		return r, "", errors.New("a record is cut off")
	}
	h := []byte(rest[:fixed])
	r = wireRecord{
		owner: owner, rrtype: binary.BigEndian.Uint16(h), class: binary.BigEndian.Uint16(h[2:]), ttl: binary.BigEndian.Uint32(h[4:]),
	}
	n := fixed + int(binary.BigEndian.Uint16(h[8:]))
	switch {
	case len(rest) < n:
		return r, "", fmt.Errorf("%s %s is cut off", owner, typeName(r.rrtype))
	case r.class != dns.ClassINET:
		return r, "", fmt.Errorf("%s %s has class %d", owner, typeName(r.rrtype), r.class)
	}
	r.rdata = rest[fixed:n]
	return r, rest[n:], nil
}

// checkForm reports RDATA that does not have the form of its type.
func (r *wireRecord) checkForm() error {
	header := dns.RR_Header{Name: ".", Rrtype: r.rrtype, Class: r.class}
	if _, err := wire.DecodeUnread(header, []byte(r.rdata)); err != nil {
		return fmt.Errorf("%s %s: %w", r.owner, typeName(r.rrtype), err)
	}
	return nil
}

// ParseAuthenticationChain reads an AuthenticationChain (RFC 9102 §2.3), whose records may have any
// order, and returns the links that prove or deny the name's RRset of a type, in the order that
// VerifyChain takes. It trusts and checks nothing but the form, and fails with
// ErrAuthenticationChain. At most MaxAuthenticationChain bytes are read.
//
// Of a denial the form does not say whether the name exists: the last link then has KindNoData,
// which is not true of a name that does not exist. VerifyAuthenticationChain finds that out.
func ParseAuthenticationChain(chain []byte, name Name, rrtype uint16) ([]Link, error) {
	switch {
	case len(chain) > MaxAuthenticationChain:
		return nil, fmt.Errorf("%w: %d bytes, of %d at most", ErrAuthenticationChain, len(chain), MaxAuthenticationChain)
	case len(chain) == 0:
		return nil, fmt.Errorf("%w: no records", ErrAuthenticationChain)
	case rrtype == dns.TypeANY:
		return nil, errChainOfAny
	}
	sets, err := readSets(string(chain))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuthenticationChain, err)
	}
	last := Link{Name: name, Type: rrtype, Kind: KindNoData}
	last.follow(byName(sets))
	links := linksAbove(sets, linkName{name, rrtype})
	for _, set := range sets {
		if isDenial(set.Type) || set.Type == dns.TypeSOA {
			if !slices.Contains(last.Answer, set) {
				last.Authority = append(last.Authority, set)
			}
		}
	}
	return append(links, last), nil
}

// maxCutsTried is how many names above the one asked are tried as the delegation that has no DS, from
// the deepest zone that has keys on: the form does not name it. Names have few labels in a zone; those
// of ip6.arpa have 34.
const maxCutsTried = 40

// VerifyAuthenticationChain judges an AuthenticationChain (RFC 9102 §2.3) about a name's RRset of a
// type, trusting nothing but anchors (nil: DefaultAnchors), at the time of the signatures. The
// verdict's last Sets are the answer, or its Denial says what does not exist. It is Insecure where
// the chain proves that a delegation above the name has no DS. It fails with
// ErrAuthenticationChain, and as VerifyChain does.
func VerifyAuthenticationChain(chain []byte, name Name, rrtype uint16, anchors []Anchor, at time.Time) (*Verdict, error) {
	links, err := ParseAuthenticationChain(chain, name, rrtype)
	if err != nil {
		return nil, err
	}
	verdict, err := VerifyChain(links, anchors, at)
	last := &links[len(links)-1]
	if err == nil || last.Kind != KindNoData {
		return verdict, err
	}
	last.Kind = KindNameError
	if missing, err := VerifyChain(links, anchors, at); err == nil {
		return missing, nil
	}
	last.Kind = KindNoData
	for _, tried := range insecureDelegations(links) {
		if unsigned, err := VerifyChain(tried, anchors, at); err == nil && unsigned.Status == Insecure {
			return unsigned, nil
		}
	}
	return nil, err // what NODATA lacks: it has more to do with what is there
}

// insecureDelegations returns chains in which the denials are about the DS of one name above the
// one that the links end at, instead of about what is asked for.
func insecureDelegations(links []Link) [][]Link {
	above, last := links[:len(links)-1], links[len(links)-1]
	_, sname, _ := last.response().follow(nil)
	if sname == "" {
		return nil
	}
	zone := 0 // labels of the deepest zone that has keys
	for i := range above {
		if l := &above[i]; l.Type == dns.TypeDNSKEY && sname.IsAtOrBelow(l.Name) {
			zone = l.Name.Labels()
		}
	}
	denials := last.Authority
	last.Authority = nil
	var chains [][]Link
	for n := zone + 1; n <= min(sname.Labels(), zone+maxCutsTried); n++ {
		cut := Link{Name: sname.Ancestor(n), Type: dns.TypeDS, Kind: KindNoData, Authority: denials}
		chains = append(chains, slices.Concat(above, []Link{cut, last}))
	}
	return chains
}

// readSets sorts records into RRsets, in the order of their first records.
func readSets(b string) ([]*RRset, error) {
	type fields struct{ records, signatures uniqueFields }
	var sets []*RRset
	byName := make(map[linkName]int)
	var data []*fields
	for b != "" {
		r, rest, err := readRecord(b)
		if err != nil {
			return nil, err
		}
		b = rest
		if err := r.checkForm(); err != nil {
			return nil, err
		}
		rrtype, err := r.covered()
		if err != nil {
			return nil, err
		}
		i, ok := byName[linkName{r.owner, rrtype}]
		if !ok {
			i = len(sets)
			byName[linkName{r.owner, rrtype}] = i
			sets, data = append(sets, &RRset{Owner: r.owner, Type: rrtype, Class: r.class, TTL: r.ttl}), append(data, &fields{})
		}
		sets[i].TTL = min(sets[i].TTL, r.ttl)
		if r.rrtype == dns.TypeRRSIG {
			data[i].signatures.add(r.rdata)
		} else {
			data[i].records.add(r.rdata)
		}
	}
	for i, set := range sets {
		set.Records, set.Signatures = data[i].records.packed(), data[i].signatures.packed()
	}
	// Signatures of nothing that is there are of no use.
	return slices.DeleteFunc(sets, func(s *RRset) bool { return s.Records.Len() == 0 }), nil
}

func byName(sets []*RRset) map[linkName]*RRset {
	m := make(map[linkName]*RRset, len(sets))
	for _, set := range sets {
		m[linkName{set.Owner, set.Type}] = set
	}
	return m
}

// follow takes the aliases that lead on from the link's name, and what is asked for at their end.
func (l *Link) follow(sets map[linkName]*RRset) {
	for sname := l.Name; len(l.Answer) < maxAnswerSets; {
		if set := sets[linkName{sname, l.Type}]; set != nil {
			l.Answer, l.Kind = append(l.Answer, set), KindAnswer
			return
		}
		set := sets[linkName{sname, dns.TypeCNAME}]
		for above := sname; set == nil && !above.IsRoot(); {
			above = above.Parent()
			set = sets[linkName{above, dns.TypeDNAME}]
		}
		if set == nil || slices.Contains(l.Answer, set) {
			return
		}
		target, ok := aliasTarget(set)
		if !ok {
			return
		}
		l.Answer = append(l.Answer, set)
		if set.Type == dns.TypeDNAME {
			var err error
			if target, err = sname.Replace(set.Owner, target); err != nil {
				return
			}
		}
		sname = target
	}
}

// linksAbove returns the links of the zones above what is asked for.
func linksAbove(sets []*RRset, asked linkName) []Link {
	var links []Link
	for _, set := range sets {
		switch set.Type {
		case dns.TypeDNSKEY:
		case dns.TypeDS:
			if (linkName{set.Owner, set.Type}) == asked {
				continue
			}
		default:
			continue
		}
		links = append(links, Link{Name: set.Owner, Type: set.Type, Answer: []*RRset{set}})
	}
	slices.SortStableFunc(links, func(a, b Link) int {
		return cmp.Or(a.Name.Labels()-b.Name.Labels(), int(a.Type)-int(b.Type))
	})
	return links
}
