package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/snapshot"
	"github.com/iterdns/iterdns/resolver"
)

// snapshotCache is the cache, and the file that keeps it over a restart.
type snapshotCache struct {
	*cache.Cache
	file snapshot.File // "": none
	log  *slog.Logger
}

// keepStale is how long the cache keeps what has expired.
func (c *config) keepStale() time.Duration {
	if c.stale == 0 && c.staleOverBogus {
		return resolver.DefaultMaxStale
	}
	return c.stale
}

func newSnapshotCache(c *config, log *slog.Logger) *snapshotCache {
	return &snapshotCache{cache.New(cache.Options{MaxBytes: c.cacheBytes, KeepStale: c.keepStale()}), snapshot.File(c.snapshotFile), log}
}

// load fills the cache from the file. A file that is not there, or damaged, is no reason
// not to serve: the cache is empty then.
func (s *snapshotCache) load() {
	if s.file == "" {
		return
	}
	switch err := s.file.Read(s.Cache); {
	case errors.Is(err, fs.ErrNotExist):
		s.log.Info("no snapshot yet", "file", s.file)
	case err != nil:
		s.log.Warn("snapshot not used, the cache is empty", "file", s.file, "error", err)
	default:
		s.log.Info("snapshot read", "file", s.file, "entries", s.Len())
	}
}

// save writes the file.
func (s *snapshotCache) save() error {
	if s.file == "" {
		return nil
	}
	if err := s.file.Write(s.Cache); err != nil {
		return fmt.Errorf("snapshot %s: %w", s.file, err)
	}
	s.log.Info("snapshot written", "file", s.file, "entries", s.Len())
	return nil
}
