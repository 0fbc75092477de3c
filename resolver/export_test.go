package resolver

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/keycache"
	"github.com/iterdns/iterdns/internal/limits"
)

// maxStagger bounds the waits that keep apart what would go on at the same instant: a
// small part of a round trip, and so many nanoseconds that two waits are hardly ever equal.
const maxStagger = 200 * time.Microsecond

// Seed makes the choices among servers a function of the seed, of the question and of how
// often that has been asked before, and lets no two goroutines go on at the same instant.
// Under virtual time the resolver then does the same each time. It must be called before
// the first question.
func (r *Resolver) Seed(seed uint64) {
	var mu sync.Mutex
	waits := rand.New(rand.NewPCG(seed, 1))
	r.env.Flights.Stagger = func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return time.Duration(1 + waits.Int64N(int64(maxStagger)))
	}
	asked := make(map[string]uint64)
	r.env.Random = func(zone dnsname.Name, q answer.Question) *rand.Rand {
		key := string(zone) + string(q.Name) + string([]byte{byte(q.Type >> 8), byte(q.Type)})
		h := fnv.New64a()
		h.Write([]byte(key)) // never fails
		mu.Lock()
		defer mu.Unlock()
		asked[key]++
		return rand.New(rand.NewPCG(seed^h.Sum64(), asked[key]))
	}
}

// AwaitHere has the first query of each search waited for in the goroutine of the search, as
// without Options.Dial: dialling must not take time.
func (r *Resolver) AwaitHere() { r.upstream.DialsAtOnce = true }

// Filled returns limits with their defaults in the place of zeros.
func (l Limits) Filled() Limits { return Limits(limits.Limits(l).Fill()) }

// ForgetProof forgets what was proven of a zone's keys or of its DS, as when it is pushed out.
func (r *Resolver) ForgetProof(zone string, types ...uint16) {
	v, err := dnssec.New(dnssec.Options{})
	if err != nil {
		panic(err)
	}
	for _, rrtype := range types {
		e, n := v.Evidence(time.Time{}, time.Time{}, dnssec.NewWork(dnssec.Limits{})), dnsname.MustParse(zone)
		if rrtype == dns.TypeDNSKEY { // what must not be kept ends what was
			e.AddKeySet(&dnssec.KeySet{Zone: n})
		} else {
			e.AddDelegation(&dnssec.Delegation{Name: n, Kind: dnssec.DelegationSigned})
		}
		r.upstream.KeyCacheNow().Save(r.env.Settings.Now(), n, e, new(keycache.Known))
	}
}
