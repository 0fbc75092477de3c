// Package anchorfile keeps the states of trust anchors (RFC 5011) in a file: it is a
// dnssec.RolloverStore.
//
// It stores the texts of dnssec.FormatRollovers and returns them. The package decides how a file is
// replaced so that it always holds either the old text or the new one, and which files it does not trust.
// It never looks into the text, and never creates a folder.
//
//	r, err := resolver.New(resolver.Options{AnchorStore: anchorfile.New("/var/lib/program/anchors.json")})
//
// Several processes may use the same file, and programs such as examples/anchors may look at it
// and edit it.
package anchorfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/iterdns/iterdns/dnssec"
)

// File is a dnssec.RolloverStore in one file. Its methods may be called concurrently, by other
// processes too.
type File struct{ path string }

// New returns the store in the file at path, which need not exist yet, but its folder must. Nothing is
// opened.
func New(path string) *File { return &File{path} }

// String returns the path.
func (f *File) String() string { return f.path }

const (
	// newMode lets everybody read the file: keys are no secret, and tools run as other users.
	newMode = 0o644
	// maxSize is how many bytes are read; the file of the root zone has less than 2 KiB.
	maxSize = 1 << 20
)

// ErrFile says that the file exists but is not trusted for trust anchors: it is no regular file, has more
// than 1 MiB, or is world-writable.
var ErrFile = errors.New("not a file to take trust anchors from")

// Load returns the content of the file, nil if there is none. It fails when the folder does not exist
// either, with ErrFile, and with the error of reading.
func (f *File) Load(context.Context) ([]byte, error) {
	text, err := f.read()
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	if _, err := os.Stat(filepath.Dir(f.target())); err != nil {
		return nil, err
	}
	return nil, nil
}

func (f *File) read() ([]byte, error) {
	info, err := os.Stat(f.path) // before it is opened: a pipe would wait for its writer
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w: it is no regular file", f.path, ErrFile)
	case everybodyWrites(info.Mode()):
		return nil, fmt.Errorf("%s: %w: everybody may write it (mode %v)", f.path, ErrFile, info.Mode().Perm())
	}
	in, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxSize:
		return nil, fmt.Errorf("%s: %w: more than %d bytes", f.path, ErrFile, maxSize)
	}
	return text, nil
}

// maxLinks is how many symbolic links are followed one after the other, as Linux does.
const maxLinks = 40

// target returns where a symbolic link leads to, so that it still does when the file is replaced, or
// written anew after it was deleted.
func (f *File) target() string {
	path := f.path
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil {
			return path // no link, or nothing yet
		}
		if !filepath.IsAbs(to) {
			folder, _ := filepath.Split(path)
			to = folder + to // not cleaned: ".." behind a link to a folder is that folder's parent
		}
		path = to
	}
	return path
}

// Save replaces the file atomically with one that holds state, and syncs file and folder to the disk before
// it returns: a program or a machine that stops meanwhile leaves the old text or the new one. The file
// keeps its mode, and a symbolic link to it is preserved, even if there is no file yet. When the content of the file is no longer was
// (nil for no file), Save fails with dnssec.ErrStoreChanged; two processes that save at the same instant
// may still both succeed, and one of the texts stays. On an error the file is unchanged, unless syncing the
// folder failed.
func (f *File) Save(_ context.Context, state, was []byte) error {
	path, mode := f.target(), fs.FileMode(newMode)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	temporary, err := writeBeside(path, state, mode)
	if err != nil {
		return err
	}
	if err = f.unchanged(was); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDir(filepath.Dir(path))
}

// unchanged returns why the file must not be replaced by somebody who knows it as was.
func (f *File) unchanged(was []byte) error {
	now, err := f.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		now = nil
	case err != nil:
		return err
	}
	if (now == nil) != (was == nil) || !bytes.Equal(now, was) {
		return fmt.Errorf("%s: %w", f.path, dnssec.ErrStoreChanged)
	}
	return nil
}

// writeBeside writes a file in the folder of path, so that it can take its place.
func writeBeside(path string, text []byte, mode fs.FileMode) (name string, err error) {
	out, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*.tmp")
	if err != nil {
		return "", err
	}
	_, err = out.Write(text)
	if err = errors.Join(err, out.Chmod(mode), out.Sync(), out.Close()); err != nil {
		return "", errors.Join(err, os.Remove(out.Name()))
	}
	return out.Name(), nil
}
