package anchorfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/dnssec/anchorfile"
)

// The file is replaced in one step, by somebody who knows what is in it; nothing is left beside it.
func TestSave(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anchors.json")
	f := anchorfile.New(path)
	if text, err := f.Load(t.Context()); text != nil || err != nil || f.String() != path {
		t.Fatalf("got %q, %v, want nothing yet", text, err)
	}
	for _, step := range []struct {
		was, state string
		ok         bool
	}{
		{"", "first", true}, {"", "again", false}, {"other", "second", false}, {"first", "second", true}, {"first", "third", false},
	} {
		var was []byte
		if step.was != "" {
			was = []byte(step.was)
		}
		before, _ := os.ReadFile(path)
		err := f.Save(t.Context(), []byte(step.state), was)
		if (err == nil) != step.ok || !step.ok && !errors.Is(err, dnssec.ErrStoreChanged) {
			t.Errorf("%q for %q: got %v", step.state, step.was, err)
		}
		want := string(before)
		if step.ok {
			want = step.state
		}
		if text, err := f.Load(t.Context()); string(text) != want || err != nil {
			t.Errorf("%q for %q: got %q, %v", step.state, step.was, text, err)
		}
	}
	if names, err := filepath.Glob(path + "*"); len(names) != 1 || err != nil {
		t.Errorf("got files %q, %v", names, err)
	}
}

// The mode stays, a new file may be read by all, and a link still leads to the file.
func TestModeAndLink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Skip(err)
	}
	if err := anchorfile.New(link).Save(t.Context(), []byte("new"), []byte("old")); err != nil {
		t.Fatal(err)
	}
	if at, err := os.Readlink(link); at != "file" || err != nil {
		t.Errorf("the link leads to %q, %v", at, err)
	}
	fresh := filepath.Join(dir, "fresh")
	if err := anchorfile.New(fresh).Save(t.Context(), []byte("new"), nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{file: 0o600, fresh: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: got mode %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
}

// A link that leads to a file that is not there yet, or that was deleted, stays; what a crash has left beside
// the file disturbs nothing; and a link that leads to itself is an error.
func TestLinkToNothing(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		"relative": "data/relative.json", "absolute": filepath.Join(data, "absolute.json"),
		"chain": "chain2", "chain2": "data/chain.json", "through": "folder/../through.json", "folder": "data/below",
		"loop": "loop", "nowhere": "no/such/folder.json",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	for _, name := range []string{"relative", "absolute", "chain", "through"} {
		f, file := anchorfile.New(filepath.Join(dir, name)), filepath.Join(data, name+".json")
		if err := os.WriteFile(file+"-123.tmp", []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if text, err := f.Load(t.Context()); text != nil || err != nil {
				t.Errorf("%s: got %q, %v, want nothing yet", name, text, err)
			}
			if err := f.Save(t.Context(), []byte("new"), nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			info, err := os.Lstat(filepath.Join(dir, name))
			if err != nil || info.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("%s: the link is gone: %v, %v", name, info, err)
			}
			if text, err := os.ReadFile(file); string(text) != "new" || err != nil {
				t.Errorf("%s: got %q, %v", name, text, err)
			}
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	}
	for _, name := range []string{"loop", "nowhere"} {
		f := anchorfile.New(filepath.Join(dir, name))
		if text, err := f.Load(t.Context()); err == nil {
			t.Errorf("%s: got %q", name, text)
		}
		if err := f.Save(t.Context(), []byte("new"), nil); err == nil {
			t.Errorf("%s: was saved", name)
		}
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s: the link is gone: %v, %v", name, info, err)
		}
	}
}

// What is no file to take anchors from is an error, and stays as it is.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	open, large, folder := filepath.Join(dir, "open"), filepath.Join(dir, "large"), filepath.Join(dir, "folder")
	err := errors.Join(os.WriteFile(open, []byte("x"), 0o600), os.Chmod(open, 0o666),
		os.WriteFile(large, []byte(strings.Repeat("x", 1<<20+1)), 0o600), os.Mkdir(folder, 0o700))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{open, large, folder} {
		f := anchorfile.New(path)
		if text, err := f.Load(t.Context()); !errors.Is(err, anchorfile.ErrFile) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %q, %v, want %v", path, text, err, anchorfile.ErrFile)
		}
		if err := f.Save(t.Context(), []byte("y"), []byte("x")); err == nil {
			t.Errorf("%s: was replaced", path)
		}
	}
	missing := anchorfile.New(filepath.Join(dir, "no", "such"))
	if _, err := missing.Load(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: got %v", err)
	}
	if err := missing.Save(t.Context(), []byte("y"), nil); err == nil {
		t.Error("saved into a folder that is not there")
	}
	if names, err := os.ReadDir(dir); len(names) != 3 || err != nil {
		t.Errorf("got %v, %v, want nothing more than there was", names, err)
	}
}

// A disk that is full leaves the old file, and nothing else.
func TestDiskFull(t *testing.T) {
	path := "/dev/full"
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	if text, err := anchorfile.New(path).Load(t.Context()); !errors.Is(err, anchorfile.ErrFile) {
		t.Errorf("got %q, %v from a device", text, err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "anchors")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	if os.Geteuid() == 0 {
		t.Skip("nothing is forbidden to root")
	}
	if err := anchorfile.New(file).Save(t.Context(), []byte("new"), []byte("old")); err == nil {
		t.Error("saved into a folder that may not be written")
	}
	if text, err := os.ReadFile(file); string(text) != "old" || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
}

// Readers beside writers always find a whole text.
func TestReadersFindWholeTexts(t *testing.T) {
	f := anchorfile.New(filepath.Join(t.TempDir(), "anchors"))
	text := func(i int) []byte { return []byte(strings.Repeat(fmt.Sprintf("%d ", i%10), 5000)) }
	if err := f.Save(t.Context(), text(0), nil); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for w := range 2 {
		all.Go(func() {
			for i := range 20 {
				was, err := f.Load(t.Context())
				if err == nil {
					err = f.Save(t.Context(), text(w+i), was)
				}
				if err != nil && !errors.Is(err, dnssec.ErrStoreChanged) {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for range 200 {
			got, err := f.Load(t.Context())
			if err != nil || len(got) != 10_000 || len(slices.Compact(slices.Clone(got))) != 10_000 || got[0] != got[9998] {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		}
	})
	all.Wait()
}
