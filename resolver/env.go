package resolver

import (
	"context"
	"sync"
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

func newEnv(s settings, ipv6 bool) *env {
	e := &env{settings: s, ipv6: ipv6, random: systemRandom(), unwatched: (*audience)(nil)}
	e.base, e.end = context.WithCancel(context.Background())
	e.flights = newFlights(e.base, &e.running)
	return e
}
