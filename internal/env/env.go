package env

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/rescue"
)

// Env is what every part of the engine needs: the settings, the counters, the flights, and
// the life of the resolver (Unbound: module_env).
type Env struct {
	Settings  Settings
	Counts    budget.Counters
	Random    randomSource
	IPv6      bool        // this host can send to IPv6 addresses
	Unwatched events.Sink // of work begun without a Trace
	Flights   *flight.Group

	Base    context.Context // ends with Close
	End     context.CancelFunc
	Running sync.WaitGroup
}

func New(s Settings, ipv6 bool, unwatched events.Sink) *Env {
	e := &Env{Settings: s, IPv6: ipv6, Random: SystemRandom(), Unwatched: unwatched}
	e.Base, e.End = context.WithCancel(context.Background())
	e.Flights = flight.NewGroup(e.Base, &e.Running, limits.Time.Reached(limits.Time.In(&e.Settings.Limits)))
	return e
}

// Spawn runs work in a goroutine that Close waits for. A panic ends the work and nothing
// else: work must defer what wakes those that wait for it.
func (r *Env) Spawn(work func()) {
	r.Running.Go(r.Flights.Stagger.Delayed(func() {
		defer rescue.Quietly()
		flight.GrowStack(0)
		work()
	}))
}

// randomSource returns what chooses among the servers of a zone for one question. Tests that
// must repeat exactly have one with a seed.
type randomSource func(zone dnsname.Name, q answer.Question) *rand.Rand

// SystemRandom returns the source that cannot be predicted: all but tests have it.
func SystemRandom() randomSource {
	system := rand.New(systemSource{})
	return func(dnsname.Name, answer.Question) *rand.Rand { return system }
}

// systemSource draws from the generator of the process, which cannot be predicted. A
// rand.Rand over it may be used concurrently.
type systemSource struct{}

func (systemSource) Uint64() uint64 { return rand.Uint64() }
