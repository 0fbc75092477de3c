package iterdns

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/coredns/caddy"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/snapshot"
)

// snapshotInterval is the time between snapshots if none is said: as much as is lost when the
// process is killed.
const snapshotInterval = 15 * time.Minute

// readSnapshot reads a file and an interval. A place where nothing can be written is an error
// now, while there is nothing to lose.
func (p *parser) readSnapshot(args []string) error {
	if err := count(args, 1, 2); err != nil {
		return err
	}
	path, err := filepath.Abs(p.path(args[0]))
	if err != nil {
		return err
	}
	p.config.snapshot = saverKey{file: snapshot.File(path), interval: snapshotInterval}
	if len(args) == 2 {
		interval, err := time.ParseDuration(args[1])
		if err != nil || interval < 0 {
			return fmt.Errorf("'%s' is no time such as 15m", args[1])
		}
		p.config.snapshot.interval = interval
	}
	if err := p.config.snapshot.file.Probe(); err != nil {
		return fmt.Errorf("%s cannot be written: %w", args[0], err)
	}
	return nil
}

// snapshotsKey is where an instance of the server keeps which cache each file is for.
type snapshotsKey struct{}

// claimSnapshot sees that no two caches of an instance are written to the same file.
func claimSnapshot(c *caddy.Controller, conf *config) error {
	file := conf.snapshot.file
	if file == "" {
		return nil
	}
	claimed, ok := c.Get(snapshotsKey{}).(map[snapshot.File]cacheKey)
	if !ok {
		claimed = make(map[snapshot.File]cacheKey)
		c.Set(snapshotsKey{}, claimed)
	}
	if key, ok := claimed[file]; ok && key != conf.cacheKey() {
		return fmt.Errorf("snapshot: %s is that of the cache for %s, which has other zones or bounds", file, key.zones)
	}
	claimed[file] = conf.cacheKey()
	return nil
}

// saverKey says which plugins have one saver.
type saverKey struct {
	cache    cacheKey
	file     snapshot.File // "": none
	interval time.Duration // 0: at the end only
}

// saverPool holds the savers in use, which outlive a reload as the caches do.
type saverPool struct {
	mu     sync.Mutex
	savers map[saverKey]*saver // guarded by mu
}

// take returns the saver of a cache, and the function that releases it. A new one reads the
// file if the cache is new too. What another cache still has for that file, as that of before
// a reload, is written first.
func (p *saverPool) take(key saverKey, kept *cache.Cache, isNew bool) (*saver, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.savers[key]
	if s == nil {
		for other, before := range p.savers {
			if other.file == key.file {
				before.save()
			}
		}
		s = newSaver(key, kept, isNew)
		p.savers[key] = s
	}
	s.users++
	return s, sync.OnceFunc(func() { p.giveBack(key) })
}

func (p *saverPool) giveBack(key saverKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.savers[key]
	if s.users--; s.users == 0 {
		delete(p.savers, key)
		close(s.stop)
		s.background.Wait()
		s.finish()
	}
}

// saver writes a cache to a file, at an interval and at the end.
type saver struct {
	file       snapshot.File
	cache      *cache.Cache
	users      int // guarded by saverPool.mu
	stop       chan struct{}
	background sync.WaitGroup

	mu       sync.Mutex
	finished bool   // guarded by mu
	failed   string // why it could not be written; "": it could. Guarded by mu
}

func newSaver(key saverKey, kept *cache.Cache, read bool) *saver {
	s := &saver{file: key.file, cache: kept, stop: make(chan struct{})}
	if read {
		s.read()
	}
	if key.interval > 0 {
		s.background.Go(func() { s.saveEach(key.interval) })
	}
	return s
}

// read fills the cache. A file that is damaged is no reason not to serve.
func (s *saver) read() {
	switch err := s.file.Read(s.cache); {
	case errors.Is(err, fs.ErrNotExist):
		log.Infof("No snapshot yet: %s", s.file)
	case err != nil:
		log.Warningf("Snapshot %s is not used, the cache is empty: %v", s.file, err)
	default:
		log.Infof("Snapshot %s is read: %d entries", s.file, s.cache.Len())
	}
}

func (s *saver) saveEach(interval time.Duration) {
	next := time.NewTicker(interval)
	defer next.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-next.C:
			s.save()
		}
	}
}

// save writes the file, unless that was done for the last time. What comes of it is logged
// when it is other than before.
func (s *saver) save() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return
	}
	failed := ""
	if err := s.file.Write(s.cache); err != nil {
		failed = err.Error()
	}
	switch {
	case failed == s.failed:
	case failed == "":
		log.Infof("Snapshot %s is written again", s.file)
	default:
		log.Warningf("Snapshot %s cannot be written: %s", s.file, failed)
	}
	s.failed = failed
}

// finish saves for the last time. A write that began later would be cut off by the end of the
// process.
func (s *saver) finish() {
	s.save()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = true
}
