package iterdns

import (
	"context"
	"errors"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"
	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/examples/rediscache"
	"github.com/iterdns/iterdns/resolver"
)

func init() { redis.SetLogger(quiet{}) }

// quiet keeps what go-redis says of each connection out of the log: the metric
// second_level_total tells that the store is away.
type quiet struct{}

// Printf implements the interface of go-redis's loggers.
func (quiet) Printf(_ context.Context, format string, args ...any) { log.Debugf(format, args...) }

// Start makes the resolver. It asks nobody before a query comes, but for what Ready says.
func (h *Iterdns) Start() error {
	o := h.config.options
	var closers []func() error
	undo := func(err error) error {
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i]())
		}
		if err != nil {
			return plugin.Error(name, err)
		}
		return nil
	}
	if h.config.mock != nil {
		closeMock, err := h.config.mock.open(&o)
		if err != nil {
			return undo(err)
		}
		closers = append(closers, func() error { closeMock(); return nil })
	}
	if h.config.redis != nil {
		client := redis.NewClient(h.store.options(h.config.redis))
		closers = append(closers, client.Close)
		o.SecondLevel = &rediscache.Store{Client: client, Prefix: h.config.redisPrefix}
		o.SecondLevelChanged = h.store.changed
	}
	kept, isNew, giveBack := shared.caches.take(h.config.cacheKey(), h.config.mark)
	closers = append(closers, func() error { giveBack(); return nil })
	if h.config.snapshot.file != "" {
		saver, giveBack := shared.savers.take(h.config.snapshot, kept, isNew)
		closers = append(closers, func() error { giveBack(); return nil })
		h.saver = saver
	}
	o.Cache = kept

	r, err := resolver.New(o)
	if err != nil {
		return undo(err)
	}
	closers = append(closers, r.Close)
	h.resolver = r
	h.stop = func() error { return undo(nil) }
	h.life, h.end = context.WithCancel(context.Background())
	h.background.Go(h.becomeReady)
	if len(o.Routes) > 0 {
		h.background.Go(h.findLoops)
	}
	shared.live.add(h)
	return nil
}

// Stop ends the questions that are still under way, and waits for what runs in the
// background. Stopping again does nothing.
func (h *Iterdns) Stop() error {
	if h.stop == nil || !h.stopped.CompareAndSwap(false, true) {
		return nil
	}
	h.end()
	err := h.stop()
	h.background.Wait()
	shared.live.remove(h) // not before: it has counted until now
	return err
}

// Ready implements the interface of the plugin ready: it reports true once one of
// the zones is answered for, by its servers or from the cache. It stays true after that. When the Internet is away all
// replicas are worse off alike, and those that know something should go on answering.
func (h *Iterdns) Ready() bool { return h.ready.Load() }

// readyInterval is how long after a failure the zones are tried again.
const readyInterval = time.Second

func (h *Iterdns) becomeReady() {
	retry := time.NewTicker(readyInterval)
	defer retry.Stop()
	for !h.hasAnswers() {
		select {
		case <-h.life.Done():
			return
		case <-retry.C:
		}
	}
	h.ready.Store(true)
}

// hasAnswers reports whether there is an answer for one of the zones.
func (h *Iterdns) hasAnswers() bool {
	for _, zone := range h.config.zones {
		if _, err := h.resolver.Resolve(h.life, zone, dns.TypeNS); err == nil {
			return true
		}
	}
	return false
}

// loopDelay is how long after the start loops are looked for: the servers that a loop
// would lead back to are listening then.
const loopDelay = 2 * time.Second

// findLoops logs when a route leads back to this server.
func (h *Iterdns) findLoops() {
	wait := time.NewTimer(loopDelay)
	defer wait.Stop()
	select {
	case <-h.life.Done():
		return
	case <-wait.C:
	}
	if err := h.resolver.CheckRoutes(h.life); errors.Is(err, resolver.ErrRouteLoop) {
		log.Errorf("Forwarding loop: %v", err)
	}
}
