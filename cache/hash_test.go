package cache

import (
	"math/bits"
	"testing"

	"github.com/miekg/dns"
)

// Whoever knows which names or types fall together in one cache, out of the source or by
// trying, knows nothing of another one: the hashes depend on a secret of each.
func TestHashesAreSecret(t *testing.T) {
	const tries, buckets = 200_000, 4096
	for about, numberedKey := range map[string]func(i int) key{
		"names": func(i int) key {
			return key{name: numbered(i), view: 1, rrtype: dns.TypeA, kind: KindRRset, trust: Checked}
		},
		"types": func(i int) key {
			return key{name: name("www.example"), view: uint32(i >> 16), rrtype: uint16(i), kind: KindRRset, trust: Checked}
		},
	} {
		mine, other := newHasher(), newHasher()
		bucket := func(h hasher, k key) uint64 { return h.hash(k) >> (64 - bits.TrailingZeros(buckets)) }
		together := make(map[uint64][]key)
		for i := range tries {
			k := numberedKey(i)
			together[bucket(mine, k)] = append(together[bucket(mine, k)], k)
		}
		var most []key
		for _, keys := range together {
			if len(keys) > len(most) {
				most = keys
			}
		}
		if mean := tries / buckets; len(most) < mean || len(most) > 3*mean {
			t.Errorf("%s: %d in the fullest of %d buckets, want about the mean %d", about, len(most), buckets, mean)
		}
		elsewhere := make(map[uint64]int)
		for _, k := range most {
			elsewhere[bucket(other, k)]++
		}
		for _, n := range elsewhere {
			if n > len(most)/4 {
				t.Errorf("%s: of %d that fall together in one cache %d do in another", about, len(most), n)
			}
		}
	}
}
