package mesh

import (
	"sync"
	"sync/atomic"

	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/iterate"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
)

// Mesh answers the questions of clients: equal ones together, no more at a time than is
// allowed, and from the cache where it can (Unbound: mesh).
type Mesh struct {
	*env.Env
	routes  *routes.Router
	iterate *iterate.Iterator

	questionSlots  *jostleList  // questions in all
	queuedMessages atomic.Int64 // messages of clients that wait for a slot
	prefetching    atomic.Int64
	refreshing     atomic.Int64
	refreshMu      sync.Mutex // held to increase refreshing
}

func New(e *env.Env, rt *routes.Router, it *iterate.Iterator) *Mesh {
	r := &Mesh{Env: e, routes: rt, iterate: it}
	most := e.Settings.Limits.Questions
	r.questionSlots = newJostleList(most, func() error { return e.Counts.LimitsReached.Exceeded(limits.Questions, most) })
	return r
}

// UnderWay returns how many questions are searched or wait, how many entries are prefetched,
// how many questions go on after their clients got expired answers, and how many queries to
// ServeDNS wait.
func (r *Mesh) UnderWay() (questions, prefetches, refreshes, queued int) {
	return r.questionSlots.inside(), int(r.prefetching.Load()), int(r.refreshing.Load()), int(r.queuedMessages.Load())
}
