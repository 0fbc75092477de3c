package localroot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/atomicfile"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
)

// namesIn are the files of a folder.
func namesIn(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// mustHold checks that a file holds a copy that verifies, with a serial number.
func mustHold(t *testing.T, path string, serial uint32) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	c, err := parseText(t.Context(), string(text), dnsname.Root)
	if err == nil {
		_, err = trustOf(t, 0).verify(c, time.Now())
	}
	if err != nil || c.serial() != serial {
		t.Errorf("%s: got %v, want a copy with serial %d:\n%s", path, err, serial, text)
	}
}

// symlink makes a link, where that can be done.
func symlink(t *testing.T, to, link string) {
	t.Helper()
	if err := os.Symlink(to, link); err != nil {
		t.Skip(err)
	}
}

// A link in the place of the file stays, wherever it leads to and whether there is a file yet.
func TestFileBehindLinks(t *testing.T) {
	for name, to := range map[string]string{
		"relative": "real/root.zone", "a chain": "real/link", "through a linked folder": "folder/../root.zone", "absolute": "",
	} {
		synctest.Test(t, func(t *testing.T) {
			folder := t.TempDir()
			real := filepath.Join(folder, "real")
			if err := os.MkdirAll(filepath.Join(real, "below"), 0o700); err != nil {
				t.Fatal(err)
			}
			if to == "" {
				to = filepath.Join(real, "root.zone")
			}
			symlink(t, "root.zone", filepath.Join(real, "link"))
			symlink(t, "real/below", filepath.Join(folder, "folder"))
			link := filepath.Join(folder, "a-link")
			symlink(t, to, link)
			at := filepath.Join(real, "root.zone")
			for serial := range uint32(3) { // without a file, and then with one
				w := newWorld(t, rootsigner.Options{Serial: serial + 1}, func(c *Config) { c.File = link })
				if err := w.round(t.Context()); err != nil || w.Counts.Failures[FaultFile].Load() > 0 {
					t.Errorf("%s: got %v, %v", name, err, w.told())
				}
				mustHold(t, at, serial+1)
				if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
					t.Errorf("%s: the link is replaced: %v, %v", name, info, err)
				}
			}
			if got := namesIn(t, real); !slices.Equal(got, []string{"below", "link", "root.zone"}) {
				t.Errorf("%s: got %v", name, got)
			}
		})
	}
}

// What is no regular file is never replaced.
func TestFileIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		symlink(t, "loop", filepath.Join(folder, "loop"))
		symlink(t, os.DevNull, filepath.Join(folder, "null"))
		for _, path := range []string{folder, filepath.Join(folder, "loop"), filepath.Join(folder, "null")} {
			w := newWorld(t, rootsigner.Options{}, func(c *Config) { c.File = path })
			w.start(t)
			last := w.told()[len(w.told())-1]
			if !w.State().InUse || w.Counts.Failures[FaultFile].Load() != 1 || len(w.told()) < 2 {
				t.Errorf("%s: got %+v, %v", path, w.State(), last)
			}
		}
		if got := namesIn(t, folder); !slices.Equal(got, []string{"loop", "null"}) {
			t.Errorf("got %v", got)
		}
		if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
			t.Errorf("the device: got %v, %v", info, err)
		}
	})
}

// A file keeps its mode, that of a file which only its owner may read, or write, too.
func TestFileKeepsItsMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []fs.FileMode{0, 0o600, 0o444, 0o664} {
			path := filepath.Join(t.TempDir(), "root.zone")
			if mode != 0 {
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			w := newWorld(t, rootsigner.Options{Serial: 5}, func(c *Config) { c.File = path })
			w.start(t)
			time.Sleep(time.Hour) // until it was confirmed
			info, err := os.Stat(path)
			if want := map[bool]fs.FileMode{true: newMode, false: mode}[mode == 0]; err != nil || info.Mode() != want || !info.ModTime().Equal(w.State().Confirmed) {
				t.Errorf("mode %v: got %v, %v, want %v, confirmed %v", mode, info.Mode(), info.ModTime(), want, w.State().Confirmed)
			}
			mustHold(t, path, 5)
			if n := w.Counts.Failures[FaultFile].Load(); n > 0 {
				t.Errorf("mode %v: got %d failures: %v", mode, n, w.told())
			}
		}
	})
}

// What a writer that was killed has left is removed at the next start, and nothing else.
func TestUnfinishedFilesAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const unfinished = ".unfinished-"
		folder := t.TempDir()
		others := []string{
			"other.zone" + unfinished + "12", "root.zone.tmp", "root.zone.tmp12", "root.zone" + unfinished, "root.zone" + unfinished + "1a",
			"root.zone.12.unfinished", "root.zone2" + unfinished + "12", "root.zone~", "x.root.zone" + unfinished + "12",
		}
		for _, name := range append(others, "root.zone"+unfinished+"1", "root.zone"+unfinished+"4294967295") {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(". 60 IN SO"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		others = append(others, "root.zone"+unfinished+"77") // a folder
		if err := os.Mkdir(filepath.Join(folder, "root.zone"+unfinished+"77"), 0o700); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, rootsigner.Options{}, func(c *Config) { c.File = filepath.Join(folder, "root.zone") })
		w.start(t)
		want := append(others, "root.zone")
		slices.Sort(want)
		if got := namesIn(t, folder); !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}

// Another process that starts removes a file that is being written now: it is written once more.
func TestUnfinishedFileIsTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.zone")
	writes := 0
	err := replace(path, time.Now(), func(w io.Writer) error {
		if writes++; writes == 1 {
			_ = atomicfile.RemoveUnfinished(path)
		}
		_, err := io.WriteString(w, "whole")
		return err
	})
	if text, _ := os.ReadFile(path); err != nil || string(text) != "whole" || writes != 2 {
		t.Errorf("got %q, %v, after %d writes", text, err, writes)
	}
}

// A file that was deleted, damaged, or replaced by an older copy is written anew when a source says that the
// copy in use is the newest, though there is nothing to fetch; a newer copy is another process's, and stays.
func TestFileIsWrittenAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "root.zone")
		w := newWorld(t, rootsigner.Options{Serial: 7}, func(c *Config) { c.File = path })
		w.start(t)
		for name, text := range map[string]string{
			"deleted": "", "damaged": "<html>", "empty": " ", "binary": "\x00\xff", "a comment": "; " + strings.Repeat("x", 10_000),
			"older": rootsigner.Sign(t, smallRoot, rootsigner.Options{Serial: 6, Signed: time.Now()}),
		} {
			err := os.Remove(path)
			if text != "" {
				err = os.WriteFile(path, []byte(text), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(31 * time.Minute)
			t.Log(name)
			mustHold(t, path, 7)
			if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(w.State().Confirmed) {
				t.Errorf("%s: got %v, %v, confirmed %v", name, info, err, w.State().Confirmed)
			}
		}
		if s := w.State(); w.Counts.Loaded.Load() != 1 || w.Counts.Failures[FaultFile].Load() > 0 || s.Err != nil {
			t.Errorf("got %+v", s)
		}
		newer := rootsigner.Sign(t, smallRoot, rootsigner.Options{Serial: 8, Signed: time.Now()})
		if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Minute)
		if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(then) {
			t.Errorf("another copy is confirmed: got %v, %v, want %v", info, err, then)
		}
		mustHold(t, path, 8)
	})
}

// A zone that cannot be written as it was read is not written at all.
func TestFileIsNotWrittenOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "root.zone")
		w := newWorld(t, rootsigner.Options{Serial: 7}, func(c *Config) {
			c.File, c.Trust = path, Trust{Anchors: func() []dnssec.Anchor { return nil }}
		})
		w.text = rootsigner.Sign(t, smallRoot+"x. 60 A 192.0.2.1\nx. 61 A 192.0.2.2\n", rootsigner.Options{Serial: 7, Unsigned: true})
		w.start(t)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Minute)
		if w.Counts.Failures[FaultFile].Load() == 0 || !w.State().InUse {
			t.Errorf("got %+v", w.State())
		}
		if got := namesIn(t, filepath.Dir(path)); len(got) > 0 {
			t.Errorf("got %v", got)
		}
	})
}

// Two processes may have the same file: it always holds a whole copy, and the newest in the end.
func TestFileOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "root.zone")
		inFile := func(c *Config) { c.File = path }
		a, b := newWorld(t, rootsigner.Options{Serial: 1}, inFile), newWorld(t, rootsigner.Options{Serial: 1}, inFile)
		a.start(t)
		b.start(t)
		for serial := uint32(2); serial < 12; serial++ {
			first, second := a, b
			if serial%2 == 0 {
				first, second = b, a
			}
			first.set(t, rootsigner.Options{Serial: serial})
			time.Sleep(31 * time.Minute)
			mustHold(t, path, serial)
			second.set(t, rootsigner.Options{Serial: serial - 1}) // it lags behind
			time.Sleep(62 * time.Minute)
			mustHold(t, path, serial)
			second.set(t, rootsigner.Options{Serial: serial})
			time.Sleep(31 * time.Minute)
			mustHold(t, path, serial)
		}
		if got := namesIn(t, filepath.Dir(path)); len(got) != 1 || a.Counts.Failures[FaultFile].Load()+b.Counts.Failures[FaultFile].Load() > 0 {
			t.Errorf("got %v, %v, %v", got, a.told(), b.told())
		}
	})
}

var errNoSpace = errors.New("no space left on device")

// A disk that is full at any byte leaves the old file as it was, nothing beside it, and one error.
func TestFileWithoutSpace(t *testing.T) {
	text := rootsigner.Sign(t, smallRoot, rootsigner.Options{Signed: signedAt})
	c, err := parseText(t.Context(), text, dnsname.Root)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "root.zone")
	if err := replace(path, signedAt, func(w io.Writer) error { _, err := io.WriteString(w, "old"); return err }); err != nil {
		t.Fatal(err)
	}
	for room := 0; room < len(text)/2; room += 97 {
		err := replace(path, time.Now(), func(w io.Writer) error { return c.writeText(&full{w, room}) })
		if !errors.Is(err, errNoSpace) || len(err.Error()) > 200 {
			t.Fatalf("room for %d bytes: got an error of %d bytes: %.200v", room, len(fmt.Sprint(err)), err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || !info.ModTime().Equal(signedAt) || info.Size() != 3 {
		t.Errorf("the old file: got %v, %v", info, err)
	}
	if got := namesIn(t, folder); len(got) != 1 {
		t.Errorf("got %v", got)
	}
	// A long zone fails as a short one does, without an error for each record.
	long := &contents{apex: dnsname.Root, soa: c.soa, records: slices.Repeat(c.records, 1000)}
	if err := long.writeText(bufio.NewWriterSize(&full{io.Discard, 0}, 16)); err == nil || len(err.Error()) > 200 {
		t.Errorf("got an error of %d bytes", len(fmt.Sprint(err)))
	}
}

// full is a writer that has room for some bytes.
type full struct {
	io.Writer
	room int
}

func (f *full) Write(b []byte) (int, error) {
	if len(b) <= f.room {
		f.room -= len(b)
		return f.Writer.Write(b)
	}
	n, _ := f.Writer.Write(b[:f.room])
	f.room = 0
	return n, errNoSpace
}
