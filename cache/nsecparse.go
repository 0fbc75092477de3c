package cache

import (
	"crypto/sha1"
	"encoding/base32"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

const (
	// maxIterations of NSEC3 that are worth hashing for. RFC 9276 §3.2; more makes a
	// zone Insecure, so such records do not get here.
	maxIterations = 50
	// nsec3OptOut is the only flag of NSEC3. RFC 5155 §3.1.2.1.
	nsec3OptOut = 1
	hashLength  = sha1.Size
)

// typeNXNAME in the types of an NSEC says that its name does not exist, in a denial
// made up for one question. RFC 9824 §2.
const typeNXNAME = 128

// nsec3Params is how a zone hashes its names. The zero value is a zone that does not,
// and uses NSEC.
type nsec3Params struct {
	used       bool
	iterations uint16
	salt       string
}

// hash returns the hash of a name. RFC 5155 §5.
func (p nsec3Params) hash(name dnsname.Name) string {
	var buf [dnsname.MaxWire + 255]byte
	sum := sha1.Sum(append(append(buf[:0], name...), p.salt...))
	for range p.iterations {
		sum = sha1.Sum(append(append(buf[:0], sum[:]...), p.salt...))
	}
	return string(sum[:])
}

// newRange reads the NSEC or NSEC3 RRset in e as a gap of zone, and refuses what must
// not be used for any other answer than its own (RFC 8198 §5, RFC 9824 §3, and what
// resolvers had to learn in 2026): more than one record; ends outside the zone; an
// NSEC3 owner that is not directly below the zone, unknown hashes and flags; a
// signature of another signer, or over another number of labels than the owner's,
// which a wildcard's expansion would have.
func newRange(zone dnsname.Name, e entry) (zoneRange, nsec3Params, bool) {
	records, signatures := setBody(e.body())
	if records.Len() != 1 || signatures == "" {
		return zoneRange{}, nsec3Params{}, false
	}
	for sig := range signatures.All() {
		if signer, labels, ok := signedBy(sig); !ok || signer != zone || labels != signedLabels(e.name()) {
			return zoneRange{}, nsec3Params{}, false
		}
	}
	rdata := string(records[2:])
	if e.rrtype() == dns.TypeNSEC {
		r, ok := nsecRange(zone, e, rdata)
		return r, nsec3Params{}, ok
	}
	return nsec3Range(zone, e, rdata)
}

func nsecRange(zone dnsname.Name, e entry, rdata string) (zoneRange, bool) {
	next, types, ok := cutName(rdata)
	owner := e.name()
	if !ok || !owner.IsAtOrBelow(zone) || !next.IsAtOrBelow(zone) || wire.HasType(types, typeNXNAME) {
		return zoneRange{}, false
	}
	if dnsname.Compare(owner, next) >= 0 && next != zone {
		return zoneRange{}, false // only the last name leads back, and to the apex
	}
	return zoneRange{lo: string(owner), hi: string(next), e: e}, true
}

func nsec3Range(zone dnsname.Name, e entry, rdata string) (zoneRange, nsec3Params, bool) {
	f, ok := parseNSEC3(rdata)
	if !ok || e.name().Parent() != zone || e.name().IsRoot() {
		return zoneRange{}, nsec3Params{}, false
	}
	lo, err := base32.HexEncoding.DecodeString(strings.ToUpper(e.name().Label()))
	if err != nil || len(lo) != hashLength {
		return zoneRange{}, nsec3Params{}, false
	}
	return zoneRange{lo: string(lo), hi: f.next, e: e}, f.params, true
}

// nsec3 is the RDATA of an NSEC3 record. RFC 5155 §3.2.
type nsec3 struct {
	params nsec3Params
	optOut bool
	next   string // raw
	types  string
}

func parseNSEC3(rdata string) (nsec3, bool) {
	if len(rdata) < 5 || rdata[0] != 1 || rdata[1]&^nsec3OptOut != 0 {
		return nsec3{}, false
	}
	f := nsec3{params: nsec3Params{used: true, iterations: be16(rdata[2:])}, optOut: rdata[1] == nsec3OptOut}
	salt := int(rdata[4])
	rdata = rdata[5:]
	if f.params.iterations > maxIterations || len(rdata) < salt+1+hashLength || rdata[salt] != hashLength {
		return nsec3{}, false
	}
	f.params.salt, rdata = rdata[:salt], rdata[salt+1:]
	f.next, f.types = rdata[:hashLength], rdata[hashLength:]
	return f, true
}

// types returns the type bit maps of an NSEC or NSEC3 record and whether it opts out.
func (r zoneRange) types() (types string, optOut bool) {
	records, _ := setBody(r.e.body())
	rdata := string(records[2:])
	if r.e.rrtype() == dns.TypeNSEC {
		_, types, _ = cutName(rdata)
		return types, false
	}
	f, _ := parseNSEC3(rdata)
	return f.types, f.optOut
}

// delegates reports whether nothing below the range's name is the zone's business: it
// is a delegation, or redirected by DNAME. RFC 6840 §4.1.
func (r zoneRange) delegates() bool {
	types, _ := r.types()
	return wire.HasType(types, dns.TypeNS) && !wire.HasType(types, dns.TypeSOA) || wire.HasType(types, dns.TypeDNAME)
}

// denies reports whether the range's name exists without the type, and without an alias that
// would answer instead. A minimal record is about the type that it was made for only. At a
// zone cut the parent's record is about DS only, and the child's about everything else (RFC
// 6840 §4.1 and §4.3); zoneOf has seen to it that a zone is not asked for its own DS.
func (r zoneRange) denies(rrtype uint16) bool {
	types, _ := r.types()
	if wire.HasType(types, rrtype) || wire.HasType(types, dns.TypeCNAME) || r.minimal() {
		return false
	}
	return rrtype == dns.TypeDS || !wire.HasType(types, dns.TypeNS) || wire.HasType(types, dns.TypeSOA)
}

// signedBy reads the signer and the number of labels of RRSIG RDATA. RFC 4034 §3.1.
func signedBy(rdata string) (signer dnsname.Name, labels int, ok bool) {
	const fixed = 18
	if len(rdata) < fixed {
		return "", 0, false
	}
	signer, _, ok = cutName(rdata[fixed:])
	return signer, int(rdata[3]), ok
}

// signedLabels is the number of labels that a signature over this owner has, if the
// owner is no expansion: the asterisk does not count (RFC 4034 §3.1.3).
func signedLabels(owner dnsname.Name) int {
	if owner.IsWildcard() {
		return owner.Labels() - 1
	}
	return owner.Labels()
}

// cutName takes an uncompressed name off the front, in canonical form.
func cutName(s string) (name dnsname.Name, rest string, ok bool) {
	end := 0
	for end < len(s) && s[end] != 0 {
		end += int(s[end]) + 1
	}
	if end >= len(s) {
		return "", "", false
	}
	end++
	if isCanonical(s[:end]) {
		return dnsname.Name(s[:end]), s[end:], end <= dnsname.MaxWire
	}
	name, err := dnsname.FromWire([]byte(s[:end]))
	return name, s[end:], err == nil
}

// isCanonical reports whether a well-formed name has no letter to lower, so that it
// can be used where it stands.
func isCanonical(s string) bool {
	for at := range len(s) {
		if 'A' <= s[at] && s[at] <= 'Z' {
			return false
		}
	}
	return true
}
