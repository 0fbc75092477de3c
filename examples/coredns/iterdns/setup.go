package iterdns

import (
	"cmp"
	"fmt"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	clog "github.com/coredns/coredns/plugin/pkg/log"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
)

var log = clog.NewWithPlugin(name)

func init() { plugin.Register(name, setup) }

// setup adds a handler for each directive of the server block; they ask each other in
// the order of the Corefile.
func setup(c *caddy.Controller) error {
	configs, err := parse(c)
	if err != nil {
		return plugin.Error(name, err)
	}
	mark := markOf(c)
	for _, conf := range configs {
		conf.mark = mark
		h := &Iterdns{config: conf}
		dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
			h.Next = next
			return h
		})
		c.OnStartup(h.Start)
		h.stopWhenUnused(c)
	}
	c.OnRestartFailed(func() error { shared.live.stopOrphans(); return nil })
	return nil
}

// stopWhenUnused has h stopped when no server can ask it any more. In a reload CoreDNS
// stops the old servers and then calls OnShutdown. At the end it is the other way round:
// there are the callbacks first, then the time of lameduck, and the servers stop last.
func (h *Iterdns) stopWhenUnused(c *caddy.Controller) {
	c.OnRestart(func() error { h.reloading.Store(true); return nil })
	c.OnRestartFailed(func() error { h.reloading.Store(false); return nil })
	c.OnShutdown(func() error {
		if h.reloading.Load() {
			return h.Stop()
		}
		return nil
	})
	c.OnFinalShutdown(func() error {
		if h.saver != nil { // nobody waits for h.outlast
			h.saver.finish()
		}
		go h.outlast(runs)
		return nil
	})
}

// lookInterval is how often it is looked whether the servers have stopped.
const lookInterval = 50 * time.Millisecond

// outlast stops h when the servers that it belongs to have stopped. A process that ends
// does not wait for it, as nothing is lost then.
func (h *Iterdns) outlast(runs func(caddyMark) bool) {
	for runs(h.config.mark) {
		time.Sleep(lookInterval)
	}
	if err := h.Stop(); err != nil {
		log.Warningf("Stopping: %v", err)
	}
}

// parse reads all directives of a server block.
func parse(c *caddy.Controller) ([]*config, error) {
	var configs []*config
	for c.Next() {
		if c.Val() != name { // what stands behind a block, as after one brace too many
			return nil, c.Errf("'%s' has no place here", c.Val())
		}
		line := c.Line()
		p := &parser{Controller: c, root: dnsserver.GetConfig(c).Root, config: &config{cacheBytes: cache.DefaultMaxBytes}, limits: make(map[string]bool)}
		if err := p.directive(); err != nil {
			return nil, err
		}
		if err := cmp.Or(try(p.config), claimSnapshot(c, p.config)); err != nil {
			// The words of c.Errf, which has the line where the directive ends.
			return nil, fmt.Errorf("%s:%d - Error during parsing: %w", c.File(), line, err)
		}
		configs = append(configs, p.config)
	}
	return configs, nil
}

// try makes a resolver that nobody asks, so that what New has against the options is an
// error of the Corefile and not of the start.
func try(c *config) error {
	o := c.options
	o.Cache = cache.New(cache.Options{MaxBytes: c.cacheBytes, KeepStale: c.keepStale()})
	r, err := resolver.New(o)
	if err != nil {
		return err
	}
	return r.Close()
}
