package answer

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/wire"
)

// CapTTLs shortens the TTLs of the records to what their signatures allow (RFC 4035 §5.3.3).
// Those of a denial too: it is kept by the TTLs of its parts, and denies other names by them
// (RFC 8198 §5.4).
func (a *Answer) CapTTLs(v *dnssec.Verdict) {
	a.Sets, a.Denial = capSetTTLs(a.Sets, v), capSetTTLs(a.Denial, v)
	a.Aliases = slices.Clone(a.Aliases)
	for i, step := range a.Aliases {
		a.Aliases[i].Set = capTTL(step.Set, v)
	}
	if a.SOA != nil {
		a.SOA = capTTL(a.SOA, v)
	}
}

func capSetTTLs(sets []*dnssec.RRset, v *dnssec.Verdict) []*dnssec.RRset {
	bounded := slices.Clone(sets)
	for i, s := range sets {
		bounded[i] = capTTL(s, v)
	}
	return bounded
}

// capTTL copies the set when its TTL changes, as the set is shared with other callers that
// waited for the response.
func capTTL(s *dnssec.RRset, v *dnssec.Verdict) *dnssec.RRset {
	i := slices.IndexFunc(v.Sets, func(sv dnssec.SetVerdict) bool { return sv.Set == s })
	if i < 0 || v.Sets[i].TTL >= s.TTL {
		return s
	}
	return WithTTL(s, v.Sets[i].TTL)
}

// WithTTL copies the set with another TTL.
func WithTTL(s *dnssec.RRset, ttl uint32) *dnssec.RRset {
	other := *s
	other.TTL = ttl
	return &other
}

// maxNegativeTTL is how long a denial is kept (RFC 2308 §5: one to three hours).
const maxNegativeTTL = 3600

// NegativeTTL is for how many seconds a denial may be kept: by the SOA that came with it (RFC
// 2308 §5), not at all without one.
func NegativeTTL(soa *dnssec.RRset) uint32 {
	if soa == nil {
		return 0
	}
	for rdata := range soa.Records.All() {
		if s, ok := wire.ParseSOA(rdata); ok {
			return min(soa.TTL, s.Minimum, maxNegativeTTL)
		}
	}
	return 0
}

// SignedAt reports whether all signatures of an answer are within their time. The one
// that was verified when the answer was made is not known any more, so that all count.
func (a *Answer) SignedAt(now time.Time) bool {
	valid := func(set *dnssec.RRset) bool { return setSignedAt(set, now) }
	for _, set := range a.Sets {
		if !valid(set) {
			return false
		}
	}
	for _, set := range a.Denial {
		if !valid(set) {
			return false
		}
	}
	for _, step := range a.Aliases {
		if !valid(step.Set) {
			return false
		}
	}
	return a.SOA == nil || valid(a.SOA)
}

// setSignedAt reports whether a set has signatures, all of which are within their time
// (RFC 4034 §3.1.5).
func setSignedAt(set *dnssec.RRset, now time.Time) bool {
	const expiration, inception, end = 8, 12, 16 // offsets in RRSIG RDATA
	at := uint32(now.Unix())
	signed := false
	for sig := range set.Signatures.All() {
		if len(sig) < end {
			return false
		}
		expires := binary.BigEndian.Uint32([]byte(sig[expiration:inception]))
		begins := binary.BigEndian.Uint32([]byte(sig[inception:end]))
		if int32(expires-at) < 0 || int32(at-begins) < 0 { // serial arithmetic, RFC 1982
			return false
		}
		signed = true
	}
	return signed
}
