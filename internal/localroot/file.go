package localroot

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

// save replaces the file by a copy in one step, so that readers find a whole file at any time, also
// after a crash. The file's time is when a source said that the copy
// is up to date.
func (z *contents) save(path string, asOf time.Time) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	if err := errors.Join(z.writeText(file), file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Chtimes(file.Name(), asOf, asOf); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
