package resolver

import (
	"sync"
	"sync/atomic"
)

// mesh answers the questions of clients: equal ones together, no more at a time than is
// allowed, and from the cache where it can (Unbound: mesh).
type mesh struct {
	*env
	routes  *router
	iterate *iterator

	questionSlots  *jostleList  // questions in all
	queuedMessages atomic.Int64 // queries to ServeDNS that wait for a slot
	prefetching    atomic.Int64
	refreshing     atomic.Int64
	refreshMu      sync.Mutex // held to increase refreshing
}

func newMesh(e *env, rt *router, it *iterator) *mesh {
	r := &mesh{env: e, routes: rt, iterate: it}
	most := e.settings.Limits.Questions
	r.questionSlots = newJostleList(most, func() error { return e.counts.refusals.refuse(limitQuestions, most) })
	return r
}

// underWay returns how many questions are searched or wait, how many entries are prefetched,
// how many questions go on after their clients got expired answers, and how many queries to
// ServeDNS wait.
func (r *mesh) underWay() (questions, prefetches, refreshes, queued int) {
	return r.questionSlots.inside(), int(r.prefetching.Load()), int(r.refreshing.Load()), int(r.queuedMessages.Load())
}
