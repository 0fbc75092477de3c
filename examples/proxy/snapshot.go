package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/snapshot"
)

// snapshotCache is the cache, and the file that keeps it over a restart.
type snapshotCache struct {
	*cache.Cache
	file snapshot.File // "": none
	log  *slog.Logger
}

func newSnapshotCache(c *config, log *slog.Logger) *snapshotCache {
	return &snapshotCache{cache.New(cache.Options{MaxBytes: c.cacheBytes, KeepStale: c.stale}), snapshot.File(c.snapshotFile), log}
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
