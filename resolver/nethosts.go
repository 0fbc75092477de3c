package resolver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// hostsFile is a hosts file (hosts(5)), read anew when it has changed.
type hostsFile struct {
	path string

	mu      sync.Mutex
	hosts   *hosts    // guarded by mu; not changed once made
	checked time.Time // guarded by mu
	changed time.Time // guarded by mu: of the file that was read
	size    int64     // guarded by mu: of the file that was read
}

// hostsFileAge is how long a hosts file is used without looking whether it has
// changed; as long as package net.
const hostsFileAge = 5 * time.Second

// maxHostsFile is how much of a hosts file is read in octets. Block lists with a
// million names have 30 MiB.
const maxHostsFile = 64 << 20

// newHostsFile names a hosts file; "" is the system's. Nothing is read yet.
func newHostsFile(path string) *hostsFile {
	if path == "" {
		path = systemHostsFile(runtime.GOOS, os.Getenv("SystemRoot"))
	}
	return &hostsFile{path: path, hosts: &hosts{}}
}

func systemHostsFile(goos, systemRoot string) string {
	switch goos {
	case "windows":
		return filepath.Join(systemRoot, "System32", "drivers", "etc", "hosts")
	case "android":
		return "/system/etc/hosts"
	}
	return "/etc/hosts"
}

// name gives what the file says about a name now, in any letter case. A nil hostsFile
// says nothing.
func (f *hostsFile) name(name string) hostsEntry {
	if f == nil {
		return hostsEntry{}
	}
	return f.get().byName[hostsKey(name)]
}

// addr gives the names that the file has for an address now.
func (f *hostsFile) addr(addr netip.Addr) []string {
	if f == nil {
		return nil
	}
	return f.get().byAddr[addr]
}

// get reads the file if it is time to, and gives what it says.
func (f *hostsFile) get() *hosts {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if !f.checked.IsZero() && now.Sub(f.checked) < hostsFileAge {
		return f.hosts
	}
	f.checked = now
	info, err := os.Stat(f.path)
	if err == nil && info.ModTime().Equal(f.changed) && info.Size() == f.size {
		return f.hosts
	}
	if err == nil {
		f.changed, f.size = info.ModTime(), info.Size()
	}
	f.read()
	return f.hosts
}

// read reads the file. One that is not there, or may not be read, has no hosts; after
// any other error what was read before goes on being used. f.mu must be held.
func (f *hostsFile) read() {
	text, err := readStart(f.path)
	switch {
	case err == nil:
		f.hosts = parseHosts(text)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		f.hosts, f.changed, f.size = &hosts{}, time.Time{}, 0
	}
}

func readStart(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxHostsFile))
}

// hosts is what a hosts file says.
type hosts struct {
	byName map[string]hostsEntry   // by hostsKey
	byAddr map[netip.Addr][]string // hostsNames, as written
}

// hostsEntry is what a hosts file says about one name.
type hostsEntry struct {
	addrs     []netip.Addr // in the file's order
	canonical string       // the first name of the line that has the name first
}

// parseHosts reads a hosts file: on each line an address and names for it. What
// follows a # is a comment, and lines that do not begin with an address are none.
func parseHosts(text []byte) *hosts {
	h := &hosts{byName: make(map[string]hostsEntry), byAddr: make(map[netip.Addr][]string)}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxHostsLine)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		h.add(addr, fields[1:])
	}
	return h
}

// maxHostsLine is the longest line that is read, in octets; the file's rest is not,
// since it is no hosts file.
const maxHostsLine = 1 << 20

func (h *hosts) add(addr netip.Addr, names []string) {
	canonical := hostsName(strings.ToLower(names[0]))
	for _, name := range names {
		h.byAddr[addr] = append(h.byAddr[addr], hostsName(name))
		key := hostsKey(name)
		e, ok := h.byName[key]
		if !ok {
			e.canonical = canonical
		}
		e.addrs = append(e.addrs, addr)
		h.byName[key] = e
	}
}

// hostsName is the form in which package net gives names of a hosts file: with a
// trailing dot, but for those of one label, such as localhost.
func hostsName(s string) string {
	if strings.Contains(s, ".") && !strings.HasSuffix(s, ".") {
		return s + "."
	}
	return s
}

// hostsKey makes names equal that the file takes for the same: in any letter case, with
// or without the trailing dot, but for names of one label, where the dot makes another
// name.
func hostsKey(s string) string {
	s = strings.ToLower(s)
	if bare, ok := strings.CutSuffix(s, "."); ok && strings.Contains(bare, ".") {
		return bare
	}
	return s
}
