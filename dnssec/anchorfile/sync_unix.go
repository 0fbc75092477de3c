//go:build unix

package anchorfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// syncDir has a folder's new entry on the disk. Some file systems cannot do that for folders.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // a folder that may be written and not read
	}
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, dir.Close())
}

// everybodyWrites reports whether all users may write to a file. They must not, since its contents
// decide what is trusted.
func everybodyWrites(mode fs.FileMode) bool { return mode.Perm()&0o002 != 0 }
