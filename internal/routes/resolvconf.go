package routes

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// resolvConf is a file in the form of resolv.conf(5) that a route takes its servers from.
type resolvConf struct {
	path    string
	checked atomic.Int64 // when the file was last looked at, Unix time in ns
	changed time.Time    // of the file that was read; not changed once read
	size    int64        // likewise
}

const (
	// resolvConfAge is how long the servers of a file are used before it is checked for
	// changes; the same as in package net.
	resolvConfAge = 5 * time.Second
	// maxResolvConf is how many bytes of the file are read.
	maxResolvConf = 64 << 10
	// maxResolvServers is how many servers are taken from the file. resolv.conf(5) takes 3;
	// here it is as many as a zone may have.
	maxResolvServers = 13
)

var errNoNameserver = errors.New("no nameserver line")

// read returns the servers of the file.
func (c *resolvConf) read() ([]ServerSpec, error) {
	f, err := os.Open(c.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c.checked.Store(time.Now().UnixNano())
	if info, err := f.Stat(); err == nil {
		c.changed, c.size = info.ModTime(), info.Size()
	}
	servers, err := parseResolvConf(io.LimitReader(f, maxResolvConf))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, err)
	}
	return servers, nil
}

// isStale reports whether the file has changed. It looks at most once in resolvConfAge.
func (c *resolvConf) isStale() bool {
	now := time.Now().UnixNano()
	checked := c.checked.Load()
	if now-checked < int64(resolvConfAge) || !c.checked.CompareAndSwap(checked, now) {
		return false
	}
	info, err := os.Stat(c.path)
	return err == nil && (!info.ModTime().Equal(c.changed) || info.Size() != c.size)
}

// parseResolvConf returns the servers of the nameserver lines. Other lines, and addresses
// that cannot be parsed, are skipped, as the system's own resolvers do.
func parseResolvConf(r io.Reader) ([]ServerSpec, error) {
	var servers []ServerSpec
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" || len(servers) == maxResolvServers {
			continue
		}
		a, err := netip.ParseAddr(fields[1])
		if err != nil || a.IsMulticast() {
			continue
		}
		if a.IsUnspecified() { // this host
			a = loopbackOf(a)
		}
		s := ServerSpec{Addr: netip.AddrPortFrom(a.Unmap(), DefaultPort)}
		if !slices.ContainsFunc(servers, func(o ServerSpec) bool { return o.Addr == s.Addr }) {
			servers = append(servers, s)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(servers) == 0 {
		return nil, errNoNameserver
	}
	return servers, nil
}

func loopbackOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// rereadServers installs a new route table when one of the files that rt depends on has
// changed. When that fails, rt stays.
func (r *Router) rereadServers(rt *Table) {
	changed := false
	for _, file := range rt.watched {
		changed = file.isStale() || changed
	}
	if !changed || !r.changeMu.TryLock() {
		return
	}
	defer r.changeMu.Unlock()
	if r.routeTable.Load() != rt || r.Base.Err() != nil {
		return // another goroutine was faster
	}
	next := rt.copyGiven()
	_ = r.install(rt, next) // a file that is being written may have no servers yet
}
