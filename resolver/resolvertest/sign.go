package resolvertest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Signatures are valid from signedBefore before the zones are signed until
// signedFor after, so that tests can sleep for days.
const (
	signedBefore = time.Hour
	signedFor    = 30 * 24 * time.Hour
)

// makeKeys gives a zone that is to be signed its keys, and the DNSKEY records: one
// key that signs these and that the DS stands for, one that signs all else.
func (z *zone) makeKeys() error {
	algorithm := z.signing.Algorithm
	if algorithm == 0 {
		algorithm = defaultSignWith
	}
	for _, flags := range []uint16{zoneKeyFlag | entryPointFlag, zoneKeyFlag} {
		key, err := newKey(z.origin, flags, algorithm)
		if err != nil {
			return fmt.Errorf("zone %s: %w", z.origin, err)
		}
		z.keys = append(z.keys, key)
		if err := z.add(key.record); err != nil {
			return fmt.Errorf("zone %s: %w", z.origin, err)
		}
	}
	return nil
}

// isSigned reports whether the zone is signed here, in contrast to one whose
// signatures are written.
func (z *zone) isSigned() bool { return len(z.keys) > 0 }

// ds gives the record that vouches for the zone (RFC 4034 §5).
func (z *zone) ds() *dns.DS {
	ds := z.keys[0].record.ToDS(dns.SHA256)
	ds.Hdr = header(z.origin, dns.TypeDS)
	return ds
}

// sign adds NSEC or NSEC3 records and signatures to a zone that is otherwise
// complete (RFC 4035 §2).
func (z *zone) sign(now time.Time) error {
	var err error
	if z.signing.NSEC3 {
		err = z.addNSEC3()
	} else {
		err = z.addNSEC()
	}
	if err != nil {
		return err
	}
	for _, owner := range slices.SortedFunc(maps.Keys(z.nodes), dnsname.Compare) {
		if err := z.signNode(owner, now); err != nil {
			return fmt.Errorf("zone %s: %s: %w", z.origin, owner, err)
		}
	}
	return nil
}

// standing says what a name in a zone is to DNSSEC.
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
func (z *zone) signNode(owner dnsname.Name, now time.Time) error {
	n := z.nodes[owner]
	at := z.standingOf(owner)
	for _, rrtype := range slices.Clone(n.types) {
		if rrtype == dns.TypeRRSIG || at == occluded && rrtype != dns.TypeNSEC3 ||
			at == delegation && rrtype != dns.TypeDS && rrtype != dns.TypeNSEC {
			continue
		}
		if err := z.signSet(n, owner, rrtype, now); err != nil {
			return err
		}
	}
	return nil
}

func (z *zone) signSet(n *node, owner dnsname.Name, rrtype uint16, now time.Time) error {
	if len(z.signatures(owner, rrtype)) > 0 {
		return nil // written
	}
	key := z.keys[1]
	if rrtype == dns.TypeDNSKEY {
		key = z.keys[0]
	}
	set := n.sets[rrtype]
	sig := &dns.RRSIG{
		Hdr:        header(owner, dns.TypeRRSIG),
		Algorithm:  key.record.Algorithm,
		Inception:  uint32(now.Add(-signedBefore).Unix()), // modulo 2^32, RFC 4034 §3.1.5
		Expiration: uint32(now.Add(signedFor).Unix()),
		KeyTag:     key.record.KeyTag(),
		SignerName: z.origin.String(),
	}
	if err := sig.Sign(key.signer, set); err != nil {
		return fmt.Errorf("signing %s: %w", dns.Type(rrtype), err)
	}
	sig.Hdr.Name, sig.Hdr.Ttl = set[0].Header().Name, set[0].Header().Ttl
	n.put(sig)
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

// bitmap gives types in the order that the bit map has them.
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
