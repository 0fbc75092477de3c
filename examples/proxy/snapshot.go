package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

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

// probe says why the file cannot be written, before there is anything to lose, and takes away
// what was left of one whose writing was ended from outside.
func probe(file string) error {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	dir, begin := filepath.Split(file)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), begin+".") && strings.HasSuffix(e.Name(), unfinished) {
			_ = os.Remove(filepath.Join(dir, e.Name())) // the next start tries again
		}
	}
	next, err := create(file)
	if err != nil {
		return err
	}
	return errors.Join(next.Close(), os.Remove(next.Name()))
}

// unfinished ends the names of files that are being written.
const unfinished = ".unfinished"

// create opens a file beside the snapshot. It is for its owner only, as a snapshot must be:
// who can write it can write the cache.
func create(file string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*"+unfinished)
}

// save writes the file. The old one is whole until the new one is, since who can read
// half of it would have neither.
func (s *snapshotCache) save() error {
	if s.file == "" {
		return nil
	}
	if err := s.replace(); err != nil {
		return fmt.Errorf("snapshot %s: %w", s.file, nameless(err))
	}
	s.log.Info("snapshot written", "file", s.file, "entries", s.Len())
	return nil
}

// nameless takes the name of the unfinished file out of an error, which is another each time.
func nameless(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

func (s *snapshotCache) replace() error {
	next, err := create(s.file)
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
