package localroot

import (
	"crypto/sha512"
	"encoding/binary"
	"hash"

	"github.com/miekg/dns"
)

// The scheme and the hash algorithms of RFC 8976 §5.2 and §5.3 that are known here: all that are
// registered. Numbers from 240 on are for private use, and never proof of anything.
const (
	schemeSimple = 1
	hashSHA384   = 1
	hashSHA512   = 2
)

// zonemdHead is how many bytes stand before the digest: serial, scheme, hash algorithm.
const zonemdHead = 6

// checkDigest verifies the zone by its ZONEMD records (RFC 8976 §4 step 4): one that can be
// verified and is right is enough, and one that cannot says nothing.
func (z *contents) checkDigest() error {
	set := z.of(z.apex, dns.TypeZONEMD)
	if len(set) == 0 {
		return faultf(FaultUnverifiable, "no ZONEMD record")
	}
	err := faultf(FaultUnverifiable, "its ZONEMD records are all of unknown or private schemes or hash algorithms")
	kinds := make(map[kind]int)
	for _, r := range set {
		kinds[kindOf(r.rdata)]++
	}
	for _, r := range set {
		rdata := r.rdata
		sum, ok := digestOf(rdata)
		// Of several with the same scheme and algorithm none counts (RFC 8976 §2.2.4).
		if !ok || kinds[kindOf(rdata)] > 1 {
			continue
		}
		if serial := binary.BigEndian.Uint32([]byte(rdata[:4])); serial != z.serial() {
			err = faultf(FaultDigest, "the ZONEMD record is of serial %d, and the SOA of %d", serial, z.serial())
			continue
		}
		z.digest(sum)
		if string(sum.Sum(nil)) == rdata[zonemdHead:] {
			return nil
		}
		err = faultf(FaultDigest, "the records are not those that the ZONEMD record is about: something is missing, added or changed")
	}
	return err
}

// kind is the scheme and the hash algorithm of a ZONEMD record.
type kind struct{ scheme, hash byte }

// kindOf returns the kind of a ZONEMD record; zeros, which are reserved, for a malformed one.
func kindOf(rdata string) kind {
	if len(rdata) < zonemdHead {
		return kind{}
	}
	return kind{rdata[4], rdata[5]}
}

// digestOf returns the hash function of a ZONEMD record; false: it cannot be verified.
func digestOf(rdata string) (hash.Hash, bool) {
	k := kindOf(rdata)
	if k.scheme != schemeSimple {
		return nil, false
	}
	switch k.hash {
	case hashSHA384:
		return sha512.New384(), len(rdata) == zonemdHead+sha512.Size384
	case hashSHA512:
		return sha512.New(), len(rdata) == zonemdHead+sha512.Size
	}
	return nil, false
}

// digest hashes the zone by the scheme SIMPLE (RFC 8976 §3.3): all records but the ZONEMD RRset at
// the apex and the signatures over it.
func (z *contents) digest(sum hash.Hash) {
	var b []byte
	for _, r := range z.records {
		if r.owner == z.apex && (r.rrtype == dns.TypeZONEMD || r.rrtype == dns.TypeRRSIG && covered(r.rdata) == dns.TypeZONEMD) {
			continue
		}
		b = append(b[:0], r.owner...)
		b = binary.BigEndian.AppendUint16(b, r.rrtype)
		b = binary.BigEndian.AppendUint16(b, dns.ClassINET)
		b = binary.BigEndian.AppendUint32(b, r.ttl)
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.canon)))
		sum.Write(append(b, r.canon...))
	}
}

// covered returns the type that an RRSIG record is over (RFC 4034 §3.1); 0 for a malformed one.
func covered(rdata string) uint16 {
	if len(rdata) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16([]byte(rdata[:2]))
}
