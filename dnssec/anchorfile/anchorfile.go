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
	"github.com/iterdns/iterdns/internal/atomicfile"
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
	target, err := atomicfile.Target(f.path)
	if err == nil {
		_, err = os.Stat(filepath.Dir(target))
	}
	return nil, err
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

// Save replaces the file atomically with one that holds state, and syncs file and folder to the disk before
// it returns: a program or a machine that stops meanwhile leaves the old text or the new one. The file
// keeps its mode, and a symbolic link to it is preserved, even if there is no file yet. When the content of
// the file is no longer was (nil for no file), Save fails with dnssec.ErrStoreChanged; two processes that
// save at the same instant may still both succeed, and one of the texts stays. On an error the file is
// unchanged, unless syncing the folder failed.
func (f *File) Save(_ context.Context, state, was []byte) error {
	if err := f.unchanged(was); err != nil {
		return err
	}
	out, err := atomicfile.Create(f.path)
	if err != nil {
		return err
	}
	defer out.Discard()
	_, err = out.Write(state)
	if err = errors.Join(err, out.Finish(out.Mode(newMode))); err != nil {
		return err
	}
	if err := f.unchanged(was); err != nil { // meanwhile
		return err
	}
	return out.Replace()
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
