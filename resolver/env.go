package resolver

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
)

// env is what every part of the engine needs: the settings, the counters, the flights, and
// the life of the resolver (Unbound: module_env).
type env struct {
	settings  settings
	counts    counts
	random    randomSource
	ipv6      bool   // this host can send to IPv6 addresses
	unwatched events // of work begun without a Trace
	flights   *flights

	base    context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup
}

func newEnv(s settings, ipv6 bool, unwatched events) *env {
	e := &env{settings: s, ipv6: ipv6, random: systemRandom(), unwatched: unwatched}
	e.base, e.end = context.WithCancel(context.Background())
	e.flights = newFlights(e.base, &e.running)
	return e
}

// spawn runs work in a goroutine that Close waits for. A panic ends the work and nothing
// else: work must defer what wakes those that wait for it.
func (r *env) spawn(work func()) {
	r.running.Go(r.flights.stagger.delayed(func() {
		defer rescue.Quietly()
		growStack(0)
		work()
	}))
}

// randomSource returns what chooses among the servers of a zone for one question. Tests that
// must repeat exactly have one with a seed.
type randomSource func(zone dnsname.Name, q question) *rand.Rand

func systemRandom() randomSource {
	system := rand.New(systemSource{})
	return func(dnsname.Name, question) *rand.Rand { return system }
}

// systemSource draws from the generator of the process, which cannot be predicted. A
// rand.Rand over it may be used concurrently.
type systemSource struct{}

func (systemSource) Uint64() uint64 { return rand.Uint64() }
