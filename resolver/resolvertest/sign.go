package resolvertest

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scenario"
)

// Signatures are valid from signedBefore before the zones are signed until
// signedFor after, so that tests can sleep for days.
const (
	signedBefore = time.Hour
	signedFor    = 30 * 24 * time.Hour
)

// sign adds NSEC or NSEC3 records and signatures to a zone that is otherwise
// complete (RFC 4035 §2). above is the nearest zone above, nil if there is none.
func (z *zone) sign(now time.Time, above *zone) error {
	z.signedAt, z.above = now, above
	var err error
	switch {
	case z.signing.Compact: // made for each question
		err = z.checkCompact()
	case z.signing.NSEC3:
		err = z.addNSEC3()
	default:
		err = z.addNSEC()
	}
	if err != nil {
		return err
	}
	for _, owner := range slices.SortedFunc(maps.Keys(z.nodes), dnsname.Compare) {
		if err := z.signNode(owner); err != nil {
			return fmt.Errorf("zone %s: %s: %w", z.origin, owner, err)
		}
	}
	if err := z.checkBreaks(); err != nil {
		return err
	}
	return z.takeAbsent()
}

// standing is the role of a name in a zone for DNSSEC.
type standing int

const (
	authoritative standing = iota // data of the zone, or an empty non-terminal
	delegation                    // the parent's side of a zone cut
	occluded                      // below a zone cut or a DNAME: glue, if anything
)

func (z *zone) standingOf(name dnsname.Name) standing {
	f := z.find(name, dns.TypeNS)
	switch {
	case f.kind == delegated && f.encloser == name:
		return delegation
	case f.kind == exact:
		return authoritative
	}
	return occluded
}

// signNode signs the RRsets at a name that the zone is the authority for: all,
// but at a zone cut only those of the parent's side (RFC 4035 §2.2).
func (z *zone) signNode(owner dnsname.Name) error {
	n := z.nodes[owner]
	for _, rrtype := range z.signedTypes(owner) {
		if err := z.signSet(n, owner, rrtype); err != nil {
			return err
		}
	}
	return nil
}

// signedTypes lists the types at a name whose RRsets are signed.
func (z *zone) signedTypes(owner dnsname.Name) []uint16 {
	n, ok := z.nodes[owner]
	if !ok {
		return nil
	}
	at := z.standingOf(owner)
	return slices.DeleteFunc(slices.Clone(n.types), func(rrtype uint16) bool {
		return rrtype == dns.TypeRRSIG || at == occluded && rrtype != dns.TypeNSEC3 ||
			at == delegation && rrtype != dns.TypeDS && rrtype != dns.TypeNSEC
	})
}

// signSet signs one RRset with the keys that it is for, unless a signature is
// written.
func (z *zone) signSet(n *node, owner dnsname.Name, rrtype uint16) error {
	if len(n.signatures(rrtype)) > 0 {
		return nil
	}
	broken := z.breaksOf(owner, rrtype)
	if broken[scenario.BreakUnsigned] {
		return nil
	}
	signer, keys := z.origin, z.keys.zone
	if rrtype == dns.TypeDNSKEY {
		keys = z.keys.entry
	}
	if broken[scenario.BreakSigner] && z.above != nil {
		signer = z.above.origin
		if z.above.isSigned() {
			keys = z.above.keys.zone
		}
	}
	for _, key := range keys {
		if len(broken) == 0 && key.signer != nil {
			n.putLate(z, key, n.sets[rrtype])
			continue
		}
		sig, err := z.signature(signer, key, n.sets[rrtype], broken)
		if err != nil {
			return fmt.Errorf("signing %s: %w", dns.Type(rrtype), err)
		}
		n.put(sig)
	}
	return nil
}

// signature makes one signature of an RRset, broken as the header says.
func (z *zone) signature(signer dnsname.Name, key signingKey, set []dns.RR, broken map[scenario.BreakKind]bool) (*dns.RRSIG, error) {
	begin, end := validity(z.signedAt, broken)
	sig := &dns.RRSIG{
		Hdr:        *set[0].Header(),
		Algorithm:  key.record.Algorithm,
		Inception:  uint32(begin.Unix()), // modulo 2^32, RFC 4034 §3.1.5
		Expiration: uint32(end.Unix()),
		KeyTag:     key.record.KeyTag(),
		SignerName: signer.String(),
	}
	sig.Hdr.Rrtype = dns.TypeRRSIG
	if err := signWith(sig, key, set); err != nil {
		return nil, err
	}
	sig.Hdr.Name, sig.Hdr.Ttl = set[0].Header().Name, set[0].Header().Ttl
	return sig, spoil(sig, broken)
}

// signWith makes the signature itself. One of an unknown algorithm is random bytes.
func signWith(sig *dns.RRSIG, key signingKey, set []dns.RR) error {
	if key.signer != nil {
		return sig.Sign(key.signer, set)
	}
	h := set[0].Header()
	sig.TypeCovered, sig.OrigTtl = h.Rrtype, h.Ttl
	sig.Labels = uint8(dns.CountLabel(h.Name))
	b := sha512.Sum512([]byte(h.Name))
	sig.Signature = base64.StdEncoding.EncodeToString(b[:])
	return nil
}

// denialTTL is the TTL of NSEC and NSEC3 records: that of negative answers (RFC
// 9077 §3).
func (z *zone) denialTTL() uint32 {
	soa := z.soa()
	return min(soa.Hdr.Ttl, soa.Minttl)
}

// addNSEC makes the chain of NSEC records (RFC 4035 §2.3), unless one is written.
func (z *zone) addNSEC() error {
	if z.hasType(dns.TypeNSEC) {
		return nil
	}
	var owners []dnsname.Name
	for name, n := range z.nodes {
		if len(n.types) > 0 && z.standingOf(name) != occluded {
			owners = append(owners, name)
		}
	}
	slices.SortFunc(owners, dnsname.Compare)
	for i, owner := range owners {
		nsec := &dns.NSEC{
			Hdr:        header(owner, dns.TypeNSEC),
			NextDomain: owners[(i+1)%len(owners)].String(),
			TypeBitMap: bitmap(z.typesAt(owner), dns.TypeNSEC, dns.TypeRRSIG),
		}
		nsec.Hdr.Ttl = z.denialTTL()
		z.nodes[owner].put(nsec)
	}
	return nil
}

// typesAt lists the types that the zone is the authority for at a name.
func (z *zone) typesAt(name dnsname.Name) []uint16 {
	n := z.nodes[name]
	if z.standingOf(name) == authoritative {
		return n.types
	}
	types := []uint16{dns.TypeNS}
	if n.has(dns.TypeDS) {
		types = append(types, dns.TypeDS)
	}
	return types
}

// bitmap returns types in the order that the bit map has them.
func bitmap(types []uint16, more ...uint16) []uint16 {
	all := slices.Concat(types, more)
	slices.Sort(all)
	return slices.Compact(all)
}

func (z *zone) hasType(rrtype uint16) bool {
	for _, n := range z.nodes {
		if n.has(rrtype) {
			return true
		}
	}
	return false
}
