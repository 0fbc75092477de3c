package cache

import (
	"hash/maphash"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/probes"
)

// Kind says what an entry is.
type Kind uint8

const (
	// KindRRset: positive data.
	KindRRset Kind = iota
	// KindNoData: the name exists, the type does not.
	KindNoData
	// KindNameError: the name does not exist, whatever the type.
	KindNameError
	// KindFailure: resolution failed.
	KindFailure
	// KindWildcard: the RRset at a wildcard name, known from an answer that was
	// expanded from it.
	KindWildcard
	// KindChain: an alias chain with what it leads to.
	KindChain
	// KindClaim: the data of this name and type is being fetched again, or was tried to.
	KindClaim
	// KindRange: an NSEC or NSEC3 record of a zone that is used for more than the
	// answer it came with.
	KindRange
	// KindTypes: which rare types a name has, for the limit on their number.
	KindTypes
	// KindCut: a delegation, by its zone.
	KindCut
	// KindGlue: leased addresses, by their host.
	KindGlue
)

// String returns a short name of the kind.
func (k Kind) String() string {
	switch k {
	case KindRRset:
		return "rrset"
	case KindNoData:
		return "nodata"
	case KindNameError:
		return "name error"
	case KindFailure:
		return "failure"
	case KindWildcard:
		return "wildcard"
	case KindChain:
		return "chain"
	case KindClaim:
		return "claim"
	case KindRange:
		return "range"
	case KindTypes:
		return "types"
	case KindCut:
		return "cut"
	case KindGlue:
		return "glue"
	}
	return "unknown"
}

// key identifies an entry. Two entries are the same when all fields are; the hash
// only finds the place.
type key struct {
	name   dnsname.Name
	view   uint32
	rrtype uint16
	kind   Kind
	trust  Trust
}

// hasher turns keys into the 64 bits that shards and their maps work with. Seed and
// multiplier are secret and differ between caches, so that nobody can choose names
// or types that fall together.
type hasher struct {
	seed maphash.Seed
	mul  uint64
}

func newHasher() hasher {
	return hasher{seed: maphash.MakeSeed(), mul: maphash.String(maphash.MakeSeed(), "multiplier") | 1}
}

func (h *hasher) hash(k key) uint64 { return h.name(k.name) ^ h.rest(&k) }

// name is the part of all hashes of keys with a name that is made of the name, so that it
// has to be made only once for all that is looked for there.
func (h *hasher) name(n dnsname.Name) uint64 {
	probes.Hash()
	return maphash.String(h.seed, string(n))
}

// bytes is name for one in a byte slice.
func (h *hasher) bytes(n []byte) uint64 {
	probes.Hash()
	return maphash.Bytes(h.seed, n)
}

// rest mixes all of a key but its name.
func (h *hasher) rest(k *key) uint64 {
	rest := uint64(k.view)<<32 | uint64(k.rrtype)<<16 | uint64(k.kind)<<8 | uint64(k.trust)
	rest = (rest + h.mul) * h.mul
	return rest ^ rest>>29
}
