package stub

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const hostsText = `# a comment
127.0.0.1	localhost
::1		localhost ip6-localhost # another
192.0.2.1	Www.Shop.Example www.shop.example. shop
192.0.2.2	WWW.shop.example
fe80::1%eth0	router.example
192.0.2.3
no-address	nobody.example
300.0.0.1	nobody.example
 192.0.2.4 	indented.example
192.0.2.5	dotted.
`

func TestParseHosts(t *testing.T) {
	h := parseHosts([]byte(hostsText))
	for _, c := range []struct{ name, addrs, canonical string }{
		{"localhost", "[127.0.0.1 ::1]", "localhost"},
		{"LOCALHOST", "[127.0.0.1 ::1]", "localhost"},
		{"ip6-localhost", "[::1]", "localhost"},
		{"www.shop.example", "[192.0.2.1 192.0.2.1 192.0.2.2]", "www.shop.example."},
		{"Www.shop.example.", "[192.0.2.1 192.0.2.1 192.0.2.2]", "www.shop.example."},
		{"shop", "[192.0.2.1]", "www.shop.example."},
		{"shop.", "[]", ""},
		{"dotted.", "[192.0.2.5]", "dotted."},
		{"dotted", "[]", ""},
		{"router.example", "[fe80::1%eth0]", "router.example."},
		{"indented.example", "[192.0.2.4]", "indented.example."},
		{"nobody.example", "[]", ""},
		{"", "[]", ""},
	} {
		if e := h.Names[hostsKey(c.name)]; fmt.Sprint(e.Addrs) != c.addrs || e.Canonical != c.canonical {
			t.Errorf("%q: got %v %q, want %s %q", c.name, e.Addrs, e.Canonical, c.addrs, c.canonical)
		}
	}
	for addr, want := range map[string][]string{
		"192.0.2.1":    {"Www.Shop.Example.", "www.shop.example.", "shop"},
		"::1":          {"localhost", "ip6-localhost"},
		"fe80::1%eth0": {"router.example."},
		"fe80::1":      nil,
	} {
		if got := h.Addrs[netip.MustParseAddr(addr)]; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", addr, got, want)
		}
	}
}

func FuzzParseHosts(f *testing.F) {
	f.Add([]byte(hostsText), "localhost")                                       // everything that the table has
	f.Add([]byte("192.0.2.1 a\r\n192.0.2.2 b"), "b")                            // DOS lines, no end of line
	f.Add([]byte("192.0.2.1 \x00 \xff ."), ".")                                 // no names at all
	f.Add([]byte("#192.0.2.1 a"), "a")                                          // only a comment
	f.Add([]byte("192.0.2.1 "+strings.Repeat("a", 70000)+"\n192.0.2.2 b"), "b") // longer than a Scanner's own limit
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		h := parseHosts(text)
		e := h.Names[hostsKey(name)]
		if (len(e.Addrs) == 0) != (e.Canonical == "") {
			t.Errorf("%q: got %v with canonical name %q", name, e.Addrs, e.Canonical)
		}
		for _, a := range e.Addrs {
			if len(h.Addrs[a]) == 0 {
				t.Errorf("%q has %v, which has no names", name, a)
			}
		}
	})
}

func writeHosts(t *testing.T, path, text string, changed time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, changed, changed); err != nil {
		t.Fatal(err)
	}
}

func TestHostsFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	synctest.Test(t, func(t *testing.T) {
		f := NewHostsFile(path)
		expect := func(when string, want ...string) {
			t.Helper()
			if got := fmt.Sprint(f.Host("a.example").Addrs); got != fmt.Sprint(want) {
				t.Errorf("%s: got %s, want %v", when, got, want)
			}
		}
		expect("without a file")
		begin := time.Now()
		writeHosts(t, path, "192.0.2.1 a.example", begin)
		expect("at once after it appeared")
		time.Sleep(hostsFileAge)
		expect("later", "192.0.2.1")
		writeHosts(t, path, "192.0.2.2 a.example", begin.Add(time.Second))
		time.Sleep(hostsFileAge - 1)
		expect("before it is looked at", "192.0.2.1")
		time.Sleep(time.Nanosecond)
		expect("after a change", "192.0.2.2")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(hostsFileAge)
		expect("removed")
		writeHosts(t, path, "192.0.2.2 a.example", begin.Add(time.Second))
		time.Sleep(hostsFileAge)
		expect("back, with the time and size of the one before", "192.0.2.2")
	})
}

// A file that has been read before goes on being used when reading fails in other ways
// than that it is gone: here it has become a directory.
func TestHostsFileUnreadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	synctest.Test(t, func(t *testing.T) {
		writeHosts(t, path, "192.0.2.1 a.example", time.Now())
		f := NewHostsFile(path)
		f.get()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(hostsFileAge)
		if got := f.Host("a.example").Addrs; len(got) != 1 {
			t.Errorf("got %v, want what was read before", got)
		}
	})
}

func TestNoHostsFile(t *testing.T) {
	var f *HostsFile
	if e := f.Host("localhost"); e.Canonical != "" {
		t.Errorf("got %+v, want nothing", e)
	}
	if got := f.NamesOf(netip.MustParseAddr("127.0.0.1")); got != nil {
		t.Errorf("got %v, want nothing", got)
	}
}

func TestSystemHostsFile(t *testing.T) {
	for goos, want := range map[string]string{
		"linux":   "/etc/hosts",
		"darwin":  "/etc/hosts",
		"android": "/system/etc/hosts",
		"windows": filepath.Join("C", "System32", "drivers", "etc", "hosts"),
	} {
		if got := systemHostsFile(goos, "C"); got != want {
			t.Errorf("%s: got %q, want %q", goos, got, want)
		}
	}
}
