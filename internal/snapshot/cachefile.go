// Package snapshot keeps a cache in a file, for programs that end and begin again.
package snapshot

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/iterdns/iterdns/cache"
)

// File is the path of a file that keeps a cache. It is believed when it is read: its folder
// must be one where nobody else can write. Only one process at a time may use it. The methods
// may be called at the same time.
type File string

// writing is held while a file is written, so that Probe takes none away that is unfinished
// because another goroutine is at it.
var writing sync.Mutex

// Probe returns why the file cannot be written, before there is anything to lose, and takes
// away what was left of one whose writing was ended from outside.
func (f File) Probe() error {
	writing.Lock()
	defer writing.Unlock()
	if info, err := os.Stat(string(f)); err == nil && !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	if err := f.removeUnfinished(); err != nil {
		return nameless(err)
	}
	next, err := f.create()
	if err != nil {
		return nameless(err)
	}
	return nameless(errors.Join(next.Close(), os.Remove(next.Name())))
}

func (f File) removeUnfinished() error {
	dir := filepath.Dir(string(f))
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(string(f))+".") && strings.HasSuffix(e.Name(), unfinished) {
			_ = os.Remove(filepath.Join(dir, e.Name())) // the next start tries again
		}
	}
	return err
}

// Read fills c from the file. An error that is fs.ErrNotExist says that there is none yet, one
// that is cache.ErrSnapshot that it is damaged. After the latter c is empty.
func (f File) Read(c *cache.Cache) error {
	file, err := os.Open(string(f))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = c.ReadFrom(bufio.NewReader(file))
	return err
}

// Write replaces the file. The old one is whole until the new one is, since who can read
// half of it would have neither.
func (f File) Write(c *cache.Cache) error {
	writing.Lock()
	defer writing.Unlock()
	next, err := f.create()
	if err != nil {
		return nameless(err)
	}
	defer os.Remove(next.Name()) // fails once it is renamed
	out := bufio.NewWriter(next)
	_, err = c.WriteTo(out)
	err = errors.Join(err, out.Flush(), next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), string(f))
	}
	return nameless(err)
}

// unfinished ends the names of files that are being written.
const unfinished = ".unfinished"

// create opens a file beside the snapshot. It is for its owner only, as a snapshot must be:
// who can write it can write the cache.
func (f File) create() (*os.File, error) {
	return os.CreateTemp(filepath.Dir(string(f)), filepath.Base(string(f))+".*"+unfinished)
}

// nameless takes the name of the unfinished file out of an error, which is another each time:
// who logs changes only would log all.
func nameless(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
