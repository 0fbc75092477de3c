package dnssec

import (
	"cmp"
	"errors"
	"slices"
	"sort"
	"sync"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// KeySet is a zone's DNSKEY RRset that was proven to be the zone's. It is immutable
// and may be kept and shared, as long as TTL says, by all that use the same anchors
// and algorithms.
type KeySet struct {
	Zone  Name
	RRset *RRset
	TTL   uint32 // seconds from when it was judged, RFC 4035 §5.3.3

	via  *Delegation // the DS that led here; nil below a trust anchor
	keys []*zoneKey  // ordered by tag and algorithm
}

// newKeySet reads the keys of an RRset. Malformed ones are left out.
func newKeySet(set *RRset, supported algorithms) *KeySet {
	ks := &KeySet{Zone: set.Owner, RRset: set, TTL: set.TTL}
	for rdata := range set.Records.All() {
		if key, err := ParseKey(rdata); err == nil {
			ks.keys = append(ks.keys, &zoneKey{Key: key, rdata: rdata, algorithm: supported[key.Algorithm]})
		}
	}
	slices.SortStableFunc(ks.keys, func(a, b *zoneKey) int { return a.compare(b.Tag, b.Algorithm) })
	return ks
}

// compare orders keys by tag and algorithm.
func (k *zoneKey) compare(tag uint16, algorithm uint8) int {
	return cmp.Or(int(k.Tag)-int(tag), int(k.Algorithm)-int(algorithm))
}

// withTag returns the keys of a tag and algorithm. The order makes the search cheap for any
// number of keys and signatures (CVE-2026-19668).
func (k *KeySet) withTag(tag uint16, algorithm uint8) []*zoneKey {
	first := sort.Search(len(k.keys), func(i int) bool { return k.keys[i].compare(tag, algorithm) >= 0 })
	end := first
	for end < len(k.keys) && k.keys[end].compare(tag, algorithm) == 0 {
		end++
	}
	return k.keys[first:end:end]
}

// zoneKey is a DNSKEY record whose public key is read when first needed: a hostile
// zone may have a thousand.
type zoneKey struct {
	Key
	rdata     string
	algorithm Algorithm // nil: not supported

	once   sync.Once
	public PublicKey
	err    error
}

// usable reports whether the key may sign zone data at all.
func (k *zoneKey) usable() bool {
	return k.IsZoneKey() && !k.IsRevoked() && k.Protocol == dnskeyProtocol
}

// publicKey reads the public key once.
func (k *zoneKey) publicKey() (PublicKey, error) {
	k.once.Do(func() {
		if k.algorithm == nil {
			k.err = ErrUnsupportedKey
			return
		}
		k.public, k.err = k.algorithm.ParseKey(k.PublicKey)
	})
	return k.public, k.err
}

// trustedKey is a DS record or an anchor, which makes a key of a DNSKEY RRset trusted.
type trustedKey interface {
	tag() uint16
	algorithm() uint8
	matches(zone dnsname.Name, key *zoneKey) bool
}

// judgeKeys decides whether set, the DNSKEY RRset of zone, is signed by a key that
// one of trusted vouches for (RFC 4035 §5.2, §5.3.1). The reason is empty when it
// is; ReasonKeySize means Insecure, all others Bogus.
func (e *Evidence) judgeKeys(zone dnsname.Name, set *RRset, trusted []trustedKey) (*KeySet, Reason, error) {
	ks := newKeySet(set, e.v.algorithms)
	entries, reason, err := e.entryKeys(ks, trusted)
	if err != nil || len(entries) == 0 {
		return nil, reason, err
	}
	find := func(tag uint16, algorithm uint8) []*zoneKey {
		return withTag(entries, tag, algorithm)
	}
	good, reason, err := e.verify(set, zone, find)
	if err != nil || reason.Code != ReasonNone {
		return nil, reason, err
	}
	ks.TTL = good.ttl
	return ks, Reason{}, nil
}

// entryKeys returns the usable keys that trusted vouches for; when there are none,
// why. That is ReasonKeySize only if it holds for each of trusted: otherwise a zone
// could be made Insecure by removing keys on the path.
func (e *Evidence) entryKeys(ks *KeySet, trusted []trustedKey) ([]*zoneKey, Reason, error) {
	var entries []*zoneKey
	failure := Reason{Code: ReasonKeySize, Name: ks.Zone}
	if len(trusted) == 0 {
		failure.Code = ReasonDSMismatch
	}
	for i, t := range trusted {
		if i >= e.work.limits.DSPerZone {
			if len(entries) == 0 {
				return nil, Reason{}, &LimitError{LimitDSPerZone, e.work.limits.DSPerZone}
			}
			break
		}
		key, code, err := e.vouched(ks, t)
		switch {
		case err != nil:
			return nil, Reason{}, err
		case key != nil:
			if !slices.Contains(entries, key) {
				entries = append(entries, key)
			}
		case failure.Code == ReasonKeySize || code == ReasonNotZoneKey:
			failure.Code = code
		}
	}
	if len(entries) > 0 {
		return entries, Reason{}, nil
	}
	return nil, failure, nil
}

// vouched returns the usable key that t vouches for, or says why there is none.
func (e *Evidence) vouched(ks *KeySet, t trustedKey) (*zoneKey, ReasonCode, error) {
	code := ReasonDSMismatch
	for i, key := range ks.withTag(t.tag(), t.algorithm()) {
		if i >= e.work.limits.KeysPerTag {
			return nil, code, &LimitError{LimitKeysPerTag, e.work.limits.KeysPerTag}
		}
		if !t.matches(ks.Zone, key) {
			continue
		}
		if !key.usable() {
			return nil, ReasonNotZoneKey, nil
		}
		switch _, err := key.publicKey(); {
		case err == nil:
			return key, ReasonNone, nil
		case errors.Is(err, ErrUnsupportedKey):
			return nil, ReasonKeySize, nil
		}
		return nil, ReasonBadKey, nil
	}
	return nil, code, nil
}
