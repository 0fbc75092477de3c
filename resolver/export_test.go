package resolver

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Seed makes the choices among servers a function of the seed, of what is asked and of
// how often that has been asked before, whatever else goes on at the same time. It must
// be called before the first question.
func (r *Resolver) Seed(seed uint64) {
	var mu sync.Mutex
	asked := make(map[string]uint64)
	r.random = func(zone dnsname.Name, q question) *rand.Rand {
		key := string(zone) + string(q.name) + string([]byte{byte(q.rrtype >> 8), byte(q.rrtype)})
		h := fnv.New64a()
		h.Write([]byte(key)) // never fails
		mu.Lock()
		defer mu.Unlock()
		asked[key]++
		return rand.New(rand.NewPCG(seed^h.Sum64(), asked[key]))
	}
}
