package cache

import (
	"math/bits"
	"testing"

	"github.com/miekg/dns"
)

// Names that collide in one cache, found in the source or by trying, do not in another one:
// the hashes depend on a secret of each.
func TestHashesAreSecret(t *testing.T) {
	const tries, buckets = 200_000, 4096
	mine, other := newHasher(), newHasher()
	bucket := func(h hasher, k key) uint64 { return h.hash(k) >> (64 - bits.TrailingZeros(buckets)) }
	together := make(map[uint64][]key)
	for i := range tries {
		k := key{name: numbered(i), view: 1, rrtype: dns.TypeA, kind: KindRRset, trust: Checked}
		together[bucket(mine, k)] = append(together[bucket(mine, k)], k)
	}
	var most []key
	for _, keys := range together {
		if len(keys) > len(most) {
			most = keys
		}
	}
	if mean := tries / buckets; len(most) < mean || len(most) > 3*mean {
		t.Errorf("%d in the fullest of %d buckets, want about the mean %d", len(most), buckets, mean)
	}
	elsewhere := make(map[uint64]int)
	for _, k := range most {
		elsewhere[bucket(other, k)]++
	}
	for _, n := range elsewhere {
		if n > len(most)/4 {
			t.Errorf("of %d that fall together in one cache %d do in another", len(most), n)
		}
	}
}

// Nor of which types of one name do.
func TestHashesOfTypesAreSecret(t *testing.T) {
	a := key{name: name("www.example"), view: 1, rrtype: dns.TypeA, kind: KindRRset, trust: Checked}
	b := a
	b.rrtype = dns.TypeAAAA
	mine, other := newHasher(), newHasher()
	if mine.hash(a)^mine.hash(b) == other.hash(a)^other.hash(b) {
		t.Error("two types are as far apart in one cache as in another")
	}
}
