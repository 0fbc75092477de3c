// Package snapshot keeps a cache in a file over a restart of a program. It decides how the
// file is written: beside the old one, which it replaces in one step.
//
// In comes a cache to write or to fill, and a path; out comes an error. It never judges the
// content: the file is believed, as cache.Cache.ReadFrom says.
package snapshot

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/atomicfile"
)

// File is the path of a file that keeps a cache. Its content is believed: nobody else may be
// able to write in its folder. Only one process at a time may use it. The methods may be called
// concurrently.
type File string

// writing is held while a file is written, so that Probe removes no unfinished file that
// another goroutine is writing.
var writing sync.Mutex

// Probe returns why the file cannot be written, before there is anything to lose, and removes
// the unfinished files of writes that were killed.
func (f File) Probe() error {
	writing.Lock()
	defer writing.Unlock()
	if err := atomicfile.RemoveUnfinished(string(f)); err != nil {
		return nameless(err)
	}
	next, err := atomicfile.Create(string(f))
	if err == nil {
		next.Discard()
	}
	return nameless(err)
}

// Read fills c from the file. The error is fs.ErrNotExist if there is none yet, and
// cache.ErrSnapshot if it is damaged; c is then empty.
func (f File) Read(c *cache.Cache) error {
	file, err := os.Open(string(f))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = c.ReadFrom(bufio.NewReader(file))
	return err
}

// Write replaces the file. The old one stays until the new one is complete, so that there is
// always a whole one. A symbolic link to it is preserved.
func (f File) Write(c *cache.Cache) error {
	writing.Lock()
	defer writing.Unlock()
	next, err := atomicfile.Create(string(f))
	if err != nil {
		return nameless(err)
	}
	defer next.Discard()
	out := bufio.NewWriter(next)
	_, err = c.WriteTo(out)
	if err = errors.Join(err, out.Flush(), next.Finish(mode)); err == nil {
		err = next.Replace()
	}
	return nameless(err)
}

// mode is for the owner only: whatever can write a snapshot can write the cache.
const mode = 0o600

// nameless takes the name of the unfinished file out of an error. It is another one each time,
// so that a program that logs only changes of the error would log all.
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
