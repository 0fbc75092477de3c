package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/iterdns/iterdns/cache"
)

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	file, c := File(filepath.Join(dir, "cache")), cache.New(cache.Options{})
	if err := file.Read(c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none yet: got %v, want that it does not exist", err)
	}
	for range 2 {
		if err := errors.Join(file.Write(c), file.Read(c)); err != nil {
			t.Error(err)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"cache"}) {
		t.Errorf("got %v, want the file alone", got)
	}
	if info, err := os.Stat(string(file)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a file for its owner only", info.Mode(), err)
	}
	write(t, string(file), "half a snapsh")
	if err := file.Read(c); !errors.Is(err, cache.ErrSnapshot) {
		t.Errorf("damaged: got %v, want ErrSnapshot", err)
	}
}

// A link in the place of the file stays, and what is written is beside the file that it leads to.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real", "cache"), filepath.Join(dir, "link")
	if err := os.Mkdir(filepath.Dir(real), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, real, "old")
	write(t, real+".unfinished-12", "left")
	if err := os.Symlink(filepath.Join("real", "cache"), link); err != nil {
		t.Skip(err)
	}
	file, c := File(link), cache.New(cache.Options{})
	if err := errors.Join(file.Probe(), file.Write(c), file.Read(c)); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link: got %v, %v", info, err)
	}
	if err := File(real).Read(c); err != nil {
		t.Error(err)
	}
	if got := names(t, filepath.Dir(real)); !slices.Equal(got, []string{"cache"}) {
		t.Errorf("got %v, want the file alone", got)
	}
}

// What was left is taken away, and nothing else.
func TestProbeRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"cache", "cache.unfinished-12", "cache.unfinished-34", "cache.old", "other.unfinished-12", "cache2.unfinished-1"} {
		write(t, filepath.Join(dir, name), "text")
	}
	if err := File(filepath.Join(dir, "cache")).Probe(); err != nil {
		t.Error(err)
	}
	if got, want := names(t, dir), []string{"cache", "cache.old", "cache2.unfinished-1", "other.unfinished-12"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A place where nothing can be written is an error, always in the same words.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]error{
		filepath.Join(dir, "missing", "cache"): fs.ErrNotExist,
		dir:                                    nil, // a folder: any error will do
	} {
		file := File(name)
		err, again := file.Probe(), file.Probe()
		if err == nil || !errors.Is(err, want) && want != nil || err.Error() != again.Error() {
			t.Errorf("%s: got %v and %v, want %v twice", name, err, again, want)
		}
		err, again = file.Write(cache.New(cache.Options{})), file.Write(cache.New(cache.Options{}))
		if err == nil || err.Error() != again.Error() {
			t.Errorf("writing %s: got %v and %v, want an error that does not change", name, err, again)
		}
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("got %v, want nothing left", got)
	}
}

// A probe while files are written takes none of them away.
func TestProbeBesideWrite(t *testing.T) {
	file := File(filepath.Join(t.TempDir(), "cache"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if err := errors.Join(file.Write(cache.New(cache.Options{})), file.Probe()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
