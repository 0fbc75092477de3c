package resolvertest

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/scenario"
)

// keyRing is the keys of a zone that is signed here.
type keyRing struct {
	published []signingKey // in the DNSKEY RRset
	entry     []signingKey // those that sign it
	zone      []signingKey // those that sign everything else
	vouched   []signingKey // those that the DS records stand for
}

// makeKeys makes the keys of a zone that is to be signed, and its DNSKEY records: one
// key that signs these and that the DS stands for, one that signs all else, or what
// the header says.
func (z *zone) makeKeys() error {
	ring, err := z.newKeyRing(z.signing.Keys.Operator(1))
	if err != nil {
		return fmt.Errorf("zone %s: %w", z.origin, err)
	}
	z.keys = ring
	for _, key := range ring.published {
		if err := z.add(key.record); err != nil {
			return fmt.Errorf("zone %s: %w", z.origin, err)
		}
	}
	return nil
}

// newKeyRing derives the keys that a plan names.
func (z *zone) newKeyRing(plan scenario.KeyPlan) (*keyRing, error) {
	ring := &keyRing{}
	var err error
	make := func(into *[]signingKey, generations []int, isEntry bool) {
		for _, n := range orFirst(generations) {
			key, keyErr := z.key(n, isEntry)
			if err == nil {
				err = keyErr
			}
			*into = append(*into, key)
		}
	}
	make(&ring.entry, plan.KSK, true)
	make(&ring.vouched, plan.DS, true)
	ring.published = slices.Clone(ring.entry)
	if plan.Combined {
		make(&ring.zone, plan.Sign, true)
		return ring, err
	}
	make(&ring.published, plan.ZSK, false)
	make(&ring.zone, plan.Sign, false)
	return ring, err
}

func orFirst(generations []int) []int {
	if len(generations) == 0 {
		return []int{1}
	}
	return generations
}

// key derives a key of the nth generation.
func (z *zone) key(n int, isEntry bool) (signingKey, error) {
	spec := keySpec{zone: z.origin, generation: n, flags: zoneKeyFlag, algorithm: z.algorithm(n), bits: z.signing.Keys.Bits}
	if isEntry {
		spec.flags |= entryPointFlag
	}
	if z.isBroken(scenario.BreakZoneKey) {
		spec.flags &^= zoneKeyFlag
	}
	return newKey(spec)
}

// algorithm is that of the nth generation of keys.
func (z *zone) algorithm(n int) uint8 {
	all := z.signing.Algorithms
	if len(all) == 0 {
		return defaultSignWith
	}
	return all[min(n, len(all))-1]
}

// isSigned reports whether the zone is signed here, in contrast to one whose
// signatures are written.
func (z *zone) isSigned() bool { return z.keys != nil }

// ds returns the DS records of the zone (RFC 4034 §5).
func (z *zone) ds() []dns.RR {
	digest := z.signing.Keys.Digest
	if digest == 0 {
		digest = dns.SHA256
	}
	var set []dns.RR
	for _, key := range z.keys.vouched {
		ds := key.record.ToDS(digest)
		if ds == nil { // a digest that nobody knows
			ds = key.record.ToDS(dns.SHA256)
			ds.DigestType = digest
		}
		ds.Hdr = header(z.origin, dns.TypeDS)
		z.breakDS(ds)
		set = append(set, ds)
	}
	return set
}
