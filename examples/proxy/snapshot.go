package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/iterdns/iterdns/cache"
)

// snapshotCache is the cache, and the file that keeps it over a restart.
type snapshotCache struct {
	*cache.Cache
	file string // "": none
	log  *slog.Logger
}

func newSnapshotCache(c *config, log *slog.Logger) *snapshotCache {
	return &snapshotCache{cache.New(cache.Options{MaxBytes: c.cacheBytes, KeepStale: c.stale}), c.snapshotFile, log}
}

// load fills the cache from the file. A file that is not there, or damaged, is no reason
// not to serve: the cache is empty then.
func (s *snapshotCache) load() {
	if s.file == "" {
		return
	}
	file, err := os.Open(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		s.log.Info("no snapshot yet", "file", s.file)
		return
	}
	if err == nil {
		defer file.Close()
		_, err = s.ReadFrom(bufio.NewReader(file))
	}
	if err != nil {
		s.log.Warn("snapshot not used, the cache is empty", "file", s.file, "error", err)
		return
	}
	s.log.Info("snapshot read", "file", s.file, "entries", s.Len())
}

// save writes the file. The old one is whole until the new one is, since who can read
// half of it would have neither.
func (s *snapshotCache) save() error {
	if s.file == "" {
		return nil
	}
	if err := s.replace(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	s.log.Info("snapshot written", "file", s.file, "entries", s.Len())
	return nil
}

func (s *snapshotCache) replace() error {
	// CreateTemp's files are for their owner only, as a snapshot must be: who can write
	// it can write the cache.
	next, err := os.CreateTemp(filepath.Dir(s.file), filepath.Base(s.file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name()) // fails once it is renamed
	out := bufio.NewWriter(next)
	_, err = s.WriteTo(out)
	err = errors.Join(err, out.Flush(), next.Sync(), next.Close())
	if err != nil {
		return err
	}
	return os.Rename(next.Name(), s.file)
}
