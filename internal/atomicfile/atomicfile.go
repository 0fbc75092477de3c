// Package atomicfile replaces files in one step.
//
// In comes the path of a file and, through a Writer, its new content; out comes the file with the old
// content or the new one, at any time, also after a crash. The package decides where the unfinished file
// stands and how it is named, and what may be replaced at all. It never looks into the content, and
// creates no folder.
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// unfinished stands between the name of a file and a number in the name of one that is being written. It
// says whose file that is, since such files are removed.
const unfinished = ".unfinished-"

// maxLinks is how many symbolic links are followed one after the other, as Linux does.
const maxLinks = 40

// Errors of files that are not replaced.
var (
	ErrNotRegular = errors.New("it is no regular file")
	ErrLinks      = errors.New("too many symbolic links")
)

// Target returns the file that a path leads to through symbolic links, whether there is one yet or not. It
// fails with ErrNotRegular when something else is there, such as a folder, or a device that other programs
// need, with ErrLinks, and with the error of the operating system.
func Target(path string) (string, error) {
	path, _, err := target(path)
	return path, err
}

// target is Target, with what is known of the file; nil: there is none yet.
func target(path string) (string, fs.FileInfo, error) {
	for range maxLinks {
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, nil, nil
		case err != nil:
			return "", nil, err
		case info.Mode().IsRegular():
			return path, info, nil
		case info.Mode()&fs.ModeSymlink == 0:
			return "", nil, &fs.PathError{Op: "replace", Path: path, Err: ErrNotRegular}
		}
		to, err := os.Readlink(path)
		if err != nil {
			return "", nil, err
		}
		if !filepath.IsAbs(to) {
			folder, _ := filepath.Split(path)
			to = folder + to // not cleaned: ".." behind a link to a folder is that folder's parent
		}
		path = to
	}
	return "", nil, &fs.PathError{Op: "replace", Path: path, Err: ErrLinks}
}

// Writer is the new content of a file, in a file beside it until Replace. Discard must be called at the
// end, however that comes.
type Writer struct {
	*os.File // open until Finish; only its owner may read and write it
	path     string
	old      fs.FileInfo // of the file that is replaced; nil: there is none
	replaced bool
}

// Create begins to replace the file that path leads to through symbolic links, which stay. The errors are
// those of Target, and of creating a file in its folder.
func Create(path string) (*Writer, error) {
	path, info, err := target(path)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+unfinished+"*")
	if err != nil {
		return nil, err
	}
	return &Writer{File: file, path: path, old: info}, nil
}

// Mode returns the permissions of the file that is replaced, or those of a new one.
func (w *Writer) Mode(ofNew fs.FileMode) fs.FileMode {
	if w.old == nil {
		return ofNew
	}
	return w.old.Mode().Perm()
}

// Finish sets the permissions, syncs the content to the disk and closes the file.
func (w *Writer) Finish(mode fs.FileMode) error {
	return errors.Join(w.Chmod(mode), w.Sync(), w.Close())
}

// Replace puts the finished file in the place of the old one, and syncs the folder to the disk. After an
// error the old file stands, unless it was that syncing which failed.
func (w *Writer) Replace() error {
	if err := os.Rename(w.Name(), w.path); err != nil {
		return err
	}
	w.replaced = true
	return syncFolder(filepath.Dir(w.path))
}

// Discard removes the unfinished file. After Replace it does nothing.
func (w *Writer) Discard() {
	if !w.replaced {
		_ = w.Close() // again after Finish
		_ = os.Remove(w.Name())
	}
}

// RemoveUnfinished removes what writers that were killed have left of a file. One that is writing now, in
// another process, finds that its file does not exist when it replaces. The error is that of reading the
// folder, and those of Target.
func RemoveUnfinished(path string) error {
	path, err := Target(path)
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		number, ours := strings.CutPrefix(e.Name(), filepath.Base(path)+unfinished)
		if ours && e.Type().IsRegular() && number != "" && strings.Trim(number, "0123456789") == "" {
			_ = os.Remove(filepath.Join(folder, e.Name())) // the next call tries again
		}
	}
	return err
}
