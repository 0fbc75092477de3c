package iterdns

import (
	"bytes"
	golog "log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/snapshot"
)

// until waits for what must happen at some time.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("never: %s", what)
		}
	}
}

// logged returns what the log says while f runs.
func logged(f func()) string {
	var out bytes.Buffer
	golog.SetOutput(&out)
	defer golog.SetOutput(os.Stderr)
	f()
	return out.String()
}

// knows asks for a name, and reports whether the answer was in the cache.
func knows(t *testing.T, h *Iterdns, qname string) bool {
	t.Helper()
	before := h.resolver.Stats().FromCache
	reply, _, err := ask(h, qname, dns.TypeA)
	if err != nil || len(reply.Answer) == 0 {
		t.Fatalf("%s: got %v and %v, want an answer", qname, reply, err)
	}
	return h.resolver.Stats().FromCache > before
}

// snapshotZones are no others', which would share the cache.
const snapshotZones = "iterdns shop.example "

// What the plugin has learnt is there again after its end.
func TestSnapshotOutlivesTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache")
	text := snapshotZones + "{\nmock\nsnapshot " + file + "\n}"
	first := start(t, text)
	if knows(t, first, "www.shop.example.") {
		t.Fatal("a new cache knows the name")
	}
	first.saver.finish()
	if err := os.Rename(file, file+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the snapshot is written after the last time, when the process may end")
	}
	if err := os.Rename(file+".kept", file); err != nil {
		t.Fatal(err)
	}
	var second *Iterdns
	said := logged(func() { second = start(t, text) })
	if !strings.Contains(said, "Snapshot "+file+" is read: ") {
		t.Errorf("got the log\n%s", said)
	}
	if !knows(t, second, "www.shop.example.") {
		t.Error("the name was asked for again")
	}
}

// A snapshot is written while the plugin runs, and one that is damaged is not used.
func TestSnapshotAtAnInterval(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache")
	for _, content := range []string{"", "half a snapsh"} {
		if content != "" {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var h *Iterdns
		said := logged(func() { h = start(t, snapshotZones+"{\nmock\nsnapshot "+file+" 1ms\n}") })
		want := "No snapshot yet"
		if content != "" {
			want = "is not used, the cache is empty: "
		}
		if !strings.Contains(said, want) {
			t.Errorf("%q: got the log\n%swant %q in it", content, said, want)
		}
		if knows(t, h, "www.shop.example.") {
			t.Errorf("%q: a new cache knows the name", content)
		}
		kept := cache.New(cache.Options{})
		until(t, "a snapshot with what was learnt", func() bool { return snapshot.File(file).Read(kept) == nil && kept.Len() > 0 })
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// Over a reload the cache that is in use stays as it is, and one of other bounds begins with
// what the old one knows, interval or not.
func TestSnapshotOverReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cache")
	text := func(properties string) string {
		return snapshotZones + "{\nmock\nsnapshot " + file + " " + properties + "\n}"
	}
	reload := func(old *Iterdns, properties string) *Iterdns {
		t.Helper()
		h := &Iterdns{config: parseOne(t, text(properties))}
		h.config.mark = new(struct{ _ byte }) // another instance of the server
		if err := h.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Stop() })
		if err := old.Stop(); err != nil {
			t.Error(err)
		}
		return h
	}
	first := start(t, text("0s"))
	knows(t, first, "www.shop.example.")
	second := reload(first, "0s")
	if _, err := os.Stat(file); err == nil || second.saver != first.saver {
		t.Error("a saver that goes on has written")
	}
	third := reload(second, "0s\ncache 32MiB")
	if !knows(t, third, "www.shop.example.") {
		t.Error("the larger cache was cold")
	}
	if err := os.WriteFile(file, []byte("half a snapsh"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fourth := reload(third, "1h\ncache 32MiB"); !knows(t, fourth, "www.shop.example.") {
		t.Error("a damaged file has emptied a cache in use")
	}
}

// A file that cannot be written any more is told of once, and so is that it can be again.
func TestSnapshotTroubleIsLoggedOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h := start(t, snapshotZones+"{\nmock\nsnapshot "+filepath.Join(dir, "cache")+" 0s\n}")
	said := logged(func() {
		for _, change := range []func(string) error{os.Remove, func(dir string) error { return os.Mkdir(dir, 0o700) }} {
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			h.saver.save()
			h.saver.save()
		}
	})
	if strings.Count(said, "cannot be written: no such file") != 1 || strings.Count(said, "is written again") != 1 {
		t.Errorf("got the log\n%swant each once", said)
	}
}

// Plugins of one cache have one saver.
func TestSnapshotIsShared(t *testing.T) {
	text := snapshotZones + "{\nmock\nsnapshot " + filepath.Join(t.TempDir(), "cache") + "\n}"
	if a, b := start(t, text), start(t, text); a.saver != b.saver {
		t.Error("two savers write one cache to one file")
	}
}
