package dnssec

import (
	"crypto/sha1"
	"encoding/base32"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const (
	// nsec3SHA1 is the only hash algorithm there is. RFC 5155 §11.
	nsec3SHA1 = 1
	// nsec3OptOut is the only flag. RFC 5155 §3.1.2.1.
	nsec3OptOut = 0x01
	// nsec3Label is the length of a hash as a label: 20 bytes in base 32.
	nsec3Label = 32
)

// nsec3Params is what names are hashed with. All records of one proof share it (RFC
// 5155 §7.2).
type nsec3Params struct {
	iterations uint16
	salt       string
}

// nsec3 is an NSEC3 record of a zone: the names with the hashes owner and next are
// neighbours in the order of hashes. RFC 5155 §3.
type nsec3 struct {
	nsec3Params
	set    *RRset
	owner  string // 20 bytes
	next   string // 20 bytes
	optOut bool
	types  typeMap
}

// base32Hex reads the owner labels, which are in lower case (RFC 5155 §1.3).
var base32Hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// parseNSEC3 reads an NSEC3 RRset as a record of zone: the hash stands directly
// below its apex (CVE-2026-10723). Unknown hash algorithms and flags make a record
// as good as absent (RFC 5155 §8.1, §8.2).
func parseNSEC3(set *RRset, zone dnsname.Name) (nsec3, bool) {
	if set.Len() != 1 || set.Owner.IsRoot() || set.Owner.Parent() != zone {
		return nsec3{}, false
	}
	owner, ok := decodeHash(set.Owner.Label())
	if !ok {
		return nsec3{}, false
	}
	n := nsec3{set: set, owner: owner}
	for rdata := range set.Records.All() {
		ok = n.parse(rdata)
	}
	return n, ok
}

// parse reads the RDATA (RFC 5155 §3.2).
func (n *nsec3) parse(rdata string) bool {
	const fixed = 5 // algorithm, flags, iterations, length of the salt
	if len(rdata) < fixed || rdata[0] != nsec3SHA1 || rdata[1]&^nsec3OptOut != 0 {
		return false
	}
	n.optOut = rdata[1]&nsec3OptOut != 0
	n.iterations = uint16(rdata[2])<<8 | uint16(rdata[3])
	saltEnd := fixed + int(rdata[4])
	if len(rdata) < saltEnd+1+sha1.Size || rdata[saltEnd] != sha1.Size {
		return false
	}
	n.salt = rdata[fixed:saltEnd]
	nextEnd := saltEnd + 1 + sha1.Size
	n.next = rdata[saltEnd+1 : nextEnd]
	var ok bool
	n.types, ok = parseTypeMap(rdata[nextEnd:])
	return ok
}

func decodeHash(label string) (string, bool) {
	if len(label) != nsec3Label {
		return "", false
	}
	var hash [sha1.Size]byte
	n, err := base32Hex.Decode(hash[:], []byte(label))
	return string(hash[:]), err == nil && n == len(hash)
}

// covers reports whether a name with the hash would stand between owner and next if
// it existed. The last record of the chain points back to the first.
func (n *nsec3) covers(hash string) bool {
	if n.owner < n.next {
		return n.owner < hash && hash < n.next
	}
	return n.owner < hash || hash < n.next
}

// nsec3Hash is RFC 5155 §5.
func nsec3Hash(in hashInput) [sha1.Size]byte {
	b := make([]byte, 0, max(len(in.name), sha1.Size)+len(in.salt))
	b = append(append(b, in.name...), in.salt...)
	h := sha1.Sum(b)
	for range in.iterations {
		b = append(append(b[:0], h[:]...), in.salt...)
		h = sha1.Sum(b)
	}
	return h
}

// hash hashes a name with the parameters of the proof.
func (p *proof) hash(name dnsname.Name) (string, error) {
	if err := ended(p.stopped); err != nil {
		return "", err
	}
	return p.work.hash(hashInput{name, p.params.salt, p.params.iterations})
}

// excessive decides whether a record has more iterations than are computed. Only one
// that the zone signed says so.
func (p *proof) excessive() (finding, error) {
	for i := range p.nsec3 {
		if int(p.nsec3[i].iterations) <= p.work.limits.NSEC3Iterations {
			continue
		}
		if ok, err := p.accept(p.nsec3[i].set); ok || err != nil {
			return finding{proven: ok, iterations: ok}, err
		}
	}
	return finding{}, nil
}

// mixed reports whether the records do not share their parameters. A record with
// too many iterations that nobody signed counts too: it is never hashed for.
func (p *proof) mixed() bool {
	for i := range p.nsec3 {
		if p.nsec3[i].nsec3Params != p.params || int(p.params.iterations) > p.work.limits.NSEC3Iterations {
			return true
		}
	}
	return false
}

// find3 returns the first verified record for which fits holds.
func (p *proof) find3(name dnsname.Name, fits func(n *nsec3, hash string) bool) (*nsec3, error) {
	hash, err := p.hash(name)
	if err != nil {
		return nil, err
	}
	for i := range p.nsec3 {
		n := &p.nsec3[i]
		if !fits(n, hash) {
			continue
		}
		if ok, err := p.accept(n.set); ok || err != nil {
			return n, err
		}
	}
	return nil, nil
}

func (p *proof) matching(name dnsname.Name) (*nsec3, error) {
	return p.find3(name, func(n *nsec3, hash string) bool { return n.owner == hash })
}

func (p *proof) covering(name dnsname.Name) (*nsec3, error) {
	return p.find3(name, (*nsec3).covers)
}

// encloserProof is the closest encloser proof of RFC 5155 §8.3: the longest ancestor
// of name that a record matches, and the name one label longer covered. The ancestor
// may not be a zone cut or a DNAME.
func (p *proof) encloserProof(name dnsname.Name) (finding, error) {
	for encloser := name; encloser != p.zone; {
		nextCloser := encloser
		encloser = encloser.Parent()
		m, err := p.matching(encloser)
		if err != nil {
			return finding{}, err
		}
		if m == nil {
			continue
		}
		if m.types.hidesBelow() {
			return finding{}, nil
		}
		c, err := p.covering(nextCloser)
		if c == nil || err != nil {
			return finding{}, err
		}
		return finding{proven: true, optOut: c.optOut, closestEncloser: encloser, nextCloser: nextCloser}, nil
	}
	return finding{}, nil
}

// nsec3NameError is RFC 5155 §8.4: a closest encloser proof, and the wildcard there
// covered.
func (p *proof) nsec3NameError(name dnsname.Name) (finding, error) {
	f, err := p.encloserProof(name)
	if !f.proven || err != nil {
		return finding{}, err
	}
	wildcard, err := f.closestEncloser.Wildcard()
	if err != nil { // too long to exist
		return f, nil
	}
	c, err := p.covering(wildcard)
	f.proven = c != nil
	return f, err
}

// nsec3NoData is RFC 5155 §8.5 to §8.7: the name has no such type, or a wildcard
// that would answer has none. In an opt-out range a name that only insecure
// delegations are below has no record, so that the range is all there is to prove
// its NODATA; the same for DS.
func (p *proof) nsec3NoData(name dnsname.Name, rrtype uint16) (finding, error) {
	m, err := p.matching(name)
	if err != nil {
		return finding{}, err
	}
	if m != nil {
		return finding{proven: m.types.denies(name, rrtype)}, nil
	}
	f, err := p.encloserProof(name)
	if !f.proven || err != nil {
		return finding{}, err
	}
	if wildcard, err := f.closestEncloser.Wildcard(); err == nil {
		if m, err = p.matching(wildcard); err != nil {
			return finding{}, err
		}
	}
	if m != nil {
		f.proven = m.types.denies(name, rrtype)
		return f, nil
	}
	f.proven = f.optOut
	return f, nil
}

// nsec3NoDS is RFC 5155 §8.6 and §8.9: the record of the parent at the name has no
// DS; or the name is in an opt-out range, where it may be an insecure delegation; or
// it does not exist.
func (p *proof) nsec3NoDS(name dnsname.Name) (finding, error) {
	m, err := p.matching(name)
	if err != nil {
		return finding{}, err
	}
	if m != nil {
		f := finding{proven: m.types.denies(name, dns.TypeDS)}
		f.unsigned = f.proven && m.types.has(dns.TypeNS)
		return f, nil
	}
	f, err := p.encloserProof(name)
	f.unsigned, f.absent = f.optOut, f.proven && !f.optOut
	return f, err
}
