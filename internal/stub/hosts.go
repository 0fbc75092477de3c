package stub

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

// HostsFile is a hosts file (hosts(5)), read again when it has changed. A nil *HostsFile has
// no hosts.
type HostsFile struct {
	path string

	mu      sync.Mutex
	hosts   *Hosts    // guarded by mu; not changed once made
	checked time.Time // guarded by mu
	changed time.Time // guarded by mu: of the file that was read
	size    int64     // guarded by mu: of the file that was read
}

// hostsFileAge is how long a hosts file is used without looking whether it has
// changed; as long as package net.
const hostsFileAge = 5 * time.Second

// maxHostsFile is how many bytes of a hosts file are read. Block lists with a million names
// have 30 MiB.
const maxHostsFile = 64 << 20

// NewHostsFile returns the hosts file at path; "" is the system's. It is read when it is
// first needed.
func NewHostsFile(path string) *HostsFile {
	if path == "" {
		path = systemHostsFile(runtime.GOOS, os.Getenv("SystemRoot"))
	}
	return &HostsFile{path: path, hosts: &Hosts{}}
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

// Host returns what the file says about a name now, in any letter case.
func (f *HostsFile) Host(name string) Host {
	if f == nil {
		return Host{}
	}
	return f.get().Names[hostsKey(name)]
}

// NamesOf returns the names that the file has for an address now. The caller must not change
// them.
func (f *HostsFile) NamesOf(addr netip.Addr) []string {
	if f == nil {
		return nil
	}
	return f.get().Addrs[addr]
}

// get reads the file if it is time to, and returns what it says.
func (f *HostsFile) get() *Hosts {
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
func (f *HostsFile) read() {
	hosts, err := readHostsFile(f.path)
	switch {
	case err == nil:
		f.hosts = hosts
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		f.hosts, f.changed, f.size = &Hosts{}, time.Time{}, 0
	}
}

func readHostsFile(path string) (*Hosts, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return ReadHosts(file)
}

// Hosts is what a hosts file says. Readers must not change it.
type Hosts struct {
	// Names has the hosts by name: in lower case, without a trailing dot unless it is a
	// single label that has one.
	Names map[string]Host
	// Addrs has the names of each address as they are written, with a trailing dot unless
	// they are single labels.
	Addrs map[netip.Addr][]string
}

// Host is what a hosts file says about one name. The zero Host is not in the file.
type Host struct {
	Addrs     []netip.Addr // in the file's order
	Canonical string       // the first name of the first line that has the name
}

// ReadHosts reads a hosts file: on each line an address and names for it. What follows a #
// is a comment, and lines that do not begin with an address are skipped.
func ReadHosts(r io.Reader) (*Hosts, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxHostsFile))
	if err != nil {
		return nil, err
	}
	return parseHosts(text), nil
}

func parseHosts(text []byte) *Hosts {
	h := &Hosts{Names: make(map[string]Host), Addrs: make(map[netip.Addr][]string)}
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

// maxHostsLine is how many bytes a line may have. A file with a longer one is not read any
// further, since it is no hosts file.
const maxHostsLine = 1 << 20

func (h *Hosts) add(addr netip.Addr, names []string) {
	canonical := hostsName(strings.ToLower(names[0]))
	for _, name := range names {
		h.Addrs[addr] = append(h.Addrs[addr], hostsName(name))
		key := hostsKey(name)
		e, ok := h.Names[key]
		if !ok {
			e.Canonical = canonical
		}
		e.Addrs = append(e.Addrs, addr)
		h.Names[key] = e
	}
}

// hostsName is the form in which package net returns names of a hosts file: with a
// trailing dot, but for those of one label, such as localhost.
func hostsName(s string) string {
	if strings.Contains(s, ".") && !strings.HasSuffix(s, ".") {
		return s + "."
	}
	return s
}

// hostsKey returns one key for names that are the same to the file: in any letter case, with
// or without the trailing dot, except for single labels, where the dot makes another name.
func hostsKey(s string) string {
	s = strings.ToLower(s)
	if bare, ok := strings.CutSuffix(s, "."); ok && strings.Contains(bare, ".") {
		return bare
	}
	return s
}
