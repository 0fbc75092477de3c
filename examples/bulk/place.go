package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/examples/rediscache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
	"github.com/iterdns/iterdns/resolver/roothttp"
	roothints "github.com/iterdns/iterdns/rootHints"
)

const (
	// questionTime is how long one attempt may take: the resolver's 10 s, and pauses for the rates
	// of servers.
	questionTime = 20 * time.Second
	// spareDescriptors are for files, the terminal and Redis.
	spareDescriptors = 100
	// moreSockets is for which part of the questions under way there is another socket: one whose
	// server is late asks a second one, and a query that has to wait for a socket costs more.
	moreSockets = 8
	// leastKey is the shortest secret, in bytes.
	leastKey = 16
	// keepLog is how often the log of a mock Internet, which nobody reads, is emptied.
	keepLog = time.Second
)

// place is where names are resolved: the Internet or a mock one, and what is shared.
type place struct {
	options resolver.Options
	mock    *resolvertest.Internet // nil: none
	redis   *redis.Client          // nil: none
	stop    chan struct{}
	running sync.WaitGroup
}

// newPlace returns the resolver's options, with the files read.
func newPlace(c *config) (*place, error) {
	p := &place{stop: make(chan struct{})}
	if err := errors.Join(p.setInternet(c), p.setSecondLevel(c)); err != nil {
		p.close()
		return nil, err
	}
	o := &p.options
	o.Cache = cache.New(cache.Options{MaxBytes: int64(c.cacheMiB) << 20})
	o.DisablePrefetch = true // each name is asked for once
	o.DisableHostsFile = true
	sockets := min(max(1000, c.maxConcurrency+c.maxConcurrency/moreSockets), max(64, descriptors()-spareDescriptors))
	o.Limits = resolver.Limits{
		Time: questionTime, Questions: c.maxConcurrency + warmAtATime, Sockets: sockets,
		QueriesPerServer: c.serverQueries, QueriesPerZone: max(200, 10*c.serverQueries),
	}
	if !c.dnssec {
		o.Validation = resolver.ValidateOff
	}
	switch {
	case c.ipv4:
		o.Family = resolver.FamilyIPv4Only
	case c.ipv6:
		o.Family = resolver.FamilyIPv6Only
	}
	return p, nil
}

// setInternet sets where questions begin and who may be asked.
func (p *place) setInternet(c *config) (err error) {
	if c.mock != "" {
		return p.setMock(c.mock)
	}
	o := &p.options
	o.Port = uint16(c.port)
	if len(c.allow) > 0 {
		o.AllowServer = func(addr netip.Addr) bool {
			return resolver.PublicUnicast(addr) || slices.ContainsFunc(c.allow, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
		}
	}
	if c.hints != "" {
		if o.RootHints, err = parseFile("-hints", c.hints, roothints.Parse); err != nil {
			return err
		}
	}
	if c.anchors != "" {
		o.TrustAnchors, err = parseFile("-anchors", c.anchors, dnssec.ParseAnchors)
	}
	o.LocalRoot = localRootOf(c.localRoot)
	o.ViewName = fmt.Sprint("bulk ", c.allow)
	return err
}

// localRootOf returns the copy of the root zone that the flag asks for; nil: none.
func localRootOf(source string) *resolver.LocalRoot {
	switch {
	case source == "":
		return nil
	case source == "axfr":
		return &resolver.LocalRoot{}
	case strings.HasPrefix(source, "https://") || strings.HasPrefix(source, "http://"):
		return &resolver.LocalRoot{Sources: []resolver.LocalRootSource{roothttp.Source(nil, source)}}
	}
	return &resolver.LocalRoot{Sources: []resolver.LocalRootSource{resolver.LocalRootFile(source)}}
}

// setMock makes an Internet in memory.
func (p *place) setMock(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("-mock: %w", err)
	}
	if p.mock, err = resolvertest.NewInternet(string(text)); err != nil {
		return fmt.Errorf("-mock: %s: %w", file, err)
	}
	p.options = p.mock.Options()
	p.options.ViewName = fmt.Sprintf("bulk mock %x", sha256.Sum256(text))
	p.running.Go(func() {
		ticker := time.NewTicker(keepLog)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-ticker.C:
				p.mock.ResetLog()
			}
		}
	})
	return nil
}

// setSecondLevel connects to the store that workers share.
func (p *place) setSecondLevel(c *config) error {
	if c.secondLevel == "" {
		return nil
	}
	asked, err := redis.ParseURL(c.secondLevel)
	if err != nil {
		return fmt.Errorf("-second-level: %w", err)
	}
	// What fits a resolver is set there: no retries, and an end when the resolver gives up.
	o := rediscache.Options(asked.Addr)
	o.Network, o.Username, o.Password, o.DB, o.TLSConfig = asked.Network, asked.Username, asked.Password, asked.DB, asked.TLSConfig
	p.redis = redis.NewClient(o)
	p.options.SecondLevel = &rediscache.Store{Client: p.redis, Prefix: "iterdns:"}
	if c.secretKey != "" {
		p.options.SecondLevelKey, err = parseFile("-second-level-key", c.secretKey, readKey)
	}
	return err
}

func readKey(r io.Reader) ([]byte, error) {
	key, err := io.ReadAll(io.LimitReader(r, 64<<10))
	key = bytes.TrimSpace(key)
	if err == nil && len(key) < leastKey {
		err = fmt.Errorf("shorter than %d bytes", leastKey)
	}
	return key, err
}

func (p *place) close() {
	close(p.stop)
	p.running.Wait()
	if p.redis != nil {
		p.redis.Close() // nothing is written any more
	}
	if p.mock != nil {
		p.mock.Close()
	}
}

// noteStore writes when the second level goes away and comes back.
func (p *place) noteStore(note func(string)) {
	if p.options.SecondLevel == nil {
		return
	}
	p.options.SecondLevelChanged = func(change resolver.SecondLevelChange) {
		text := "the second level is used again"
		if change.Err != nil {
			text = "the second level is not used for now: " + change.Err.Error()
		}
		note(strings.TrimSpace(text))
	}
}
