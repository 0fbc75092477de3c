package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const ofNew = 0o640

// replace writes text in the place of a file.
func replace(path, text string) error {
	w, err := Create(path)
	if err != nil {
		return err
	}
	defer w.Discard()
	_, err = w.WriteString(text)
	if err = errors.Join(err, w.Finish(w.Mode(ofNew))); err != nil {
		return err
	}
	return w.Replace()
}

func mustBe(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Error(err)
		return
	}
	if got, err := os.ReadFile(path); string(got) != text || info.Mode() != mode {
		t.Errorf("%s: got %q, %v, %v, want %q, %v", path, got, err, info.Mode(), text, mode)
	}
}

func names(t *testing.T, folder string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// A file is new, or keeps its permissions; links to it stay, though it is not there yet.
func TestReplace(t *testing.T) {
	folder := t.TempDir()
	file, link, second := filepath.Join(folder, "file"), filepath.Join(folder, "link"), filepath.Join(folder, "second")
	if err := errors.Join(os.Symlink("file", link), os.Symlink(link, second)); err != nil {
		t.Skip(err)
	}
	for i, path := range []string{second, file, link} {
		text := string(rune('a' + i))
		if err := replace(path, text); err != nil {
			t.Fatal(path, err)
		}
		if i == 0 {
			mustBe(t, file, text, ofNew)
			if err := os.Chmod(file, 0o400); err != nil {
				t.Fatal(err)
			}
			continue
		}
		mustBe(t, file, text, 0o400)
	}
	for path, want := range map[string]string{link: "file", second: link} {
		if got, err := os.Readlink(path); got != want || err != nil {
			t.Errorf("%s leads to %q, %v", path, got, err)
		}
	}
	if got := names(t, folder); !slices.Equal(got, []string{"file", "link", "second"}) {
		t.Errorf("got %v", got)
	}
}

// What is discarded at any moment leaves the old file, and nothing beside it.
func TestDiscard(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := replace(file, "old"); err != nil {
		t.Fatal(err)
	}
	for _, finished := range []bool{false, true} {
		w, err := Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString("half"); err != nil {
			t.Error(err)
		}
		if info, err := w.Stat(); err != nil || info.Mode() != 0o600 {
			t.Errorf("got %v, %v, want a file for its owner only until it is finished", info.Mode(), err)
		}
		if finished {
			if err := w.Finish(ofNew); err != nil {
				t.Error(err)
			}
		}
		w.Discard()
		w.Discard()
		if err := w.Replace(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after it was discarded: got %v", err)
		}
		mustBe(t, file, "old", ofNew)
		if got := names(t, folder); !slices.Equal(got, []string{"file"}) {
			t.Errorf("got %v", got)
		}
	}
}

// What is no regular file is not replaced, and a place without a folder is an error.
func TestRefused(t *testing.T) {
	folder := t.TempDir()
	loop, null := filepath.Join(folder, "loop"), filepath.Join(folder, "null")
	if err := errors.Join(os.Symlink("loop", loop), os.Symlink(os.DevNull, null)); err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]error{
		folder: ErrNotRegular, null: ErrNotRegular, loop: ErrLinks, filepath.Join(folder, "missing", "file"): fs.ErrNotExist,
	} {
		if err := replace(path, "text"); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
		if err := RemoveUnfinished(path); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
	if got := names(t, folder); !slices.Equal(got, []string{"loop", "null"}) {
		t.Errorf("got %v", got)
	}
}

// What was left of a file is removed, and nothing else.
func TestRemoveUnfinished(t *testing.T) {
	folder := t.TempDir()
	others := []string{"file", "file.old", "file.unfinished-", "file.unfinished-1a", "file2.unfinished-1", "xfile.unfinished-1"}
	for _, name := range append(others, "file.unfinished-1", "file.unfinished-4294967295") {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "file.unfinished-2"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := RemoveUnfinished(filepath.Join(folder, "file")); err != nil {
		t.Error(err)
	}
	others = append(others, "file.unfinished-2")
	slices.Sort(others)
	if got := names(t, folder); !slices.Equal(got, others) {
		t.Errorf("got %q\nwant %q", got, others)
	}
}
