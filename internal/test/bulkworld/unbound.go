package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/progress"
	"github.com/iterdns/iterdns/internal/test/realresolver"
)

// trialNames is how many names Unbound is tried with, to find how many queries suit it best, before it
// is measured with all.
const trialNames = 20_000

// peerIsThere reports whether Unbound and dnsperf are installed.
func peerIsThere() bool {
	for _, program := range []string{"unbound", "dnsperf"} {
		if _, err := exec.LookPath(program); err != nil {
			if _, err := os.Stat("/usr/sbin/" + program); err != nil {
				fmt.Fprintf(os.Stderr, "%s is not installed: bulk is measured alone\n", program)
				return false
			}
		}
	}
	return true
}

// bestUnbound returns the best run of Unbound; nil where it is not installed, or not wanted.
func bestUnbound(ctx context.Context, c config, f files, s *servers) (*measured, error) {
	if len(c.peerQueries) == 0 || !peerIsThere() {
		return nil, nil
	}
	var best *measured
	suits := c.peerQueries[0]
	for _, queries := range c.peerQueries {
		if len(c.peerQueries) == 1 && c.names > trialNames {
			break // nothing to choose
		}
		m, err := measureUnbound(ctx, c, f, s, queries, min(c.names, trialNames))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "Unbound, %d names with %d queries under way, DNSSEC %s: %.0f names a second, success %.3f %%\n",
			m.names, queries, onOff(m.dnssec), float64(m.names)/m.took.Seconds(), 100*m.success())
		if best == nil || m.suitsBetter(best) {
			best, suits = m, queries
		}
	}
	if c.names > trialNames {
		return measureUnbound(ctx, c, f, s, suits, c.names)
	}
	return best, nil
}

// suitsBetter reports whether a number of queries suits Unbound better than another: it finds more names,
// or as many sooner.
func (m *measured) suitsBetter(other *measured) bool {
	const asMany = 0.005
	if d := m.success() - other.success(); d > asMany || d < -asMany {
		return d > 0
	}
	return m.most != 0 && (other.most == 0 || m.most < other.most)
}

// peerAddr is where Unbound listens.
var peerAddr = netip.MustParseAddrPort("127.0.0.1:5301")

// measureUnbound runs Unbound with an empty cache, and dnsperf with so many names and that many queries
// under way.
func measureUnbound(ctx context.Context, c config, f files, s *servers, queries, names int) (*measured, error) {
	m := &measured{program: fmt.Sprintf("Unbound, %d", queries), dnssec: s.world.signer != nil, names: names}
	setting := realresolver.Setting{Listen: peerAddr, Hints: hints(), Extra: peerConfig(c.cache, m.dnssec)}
	if m.dnssec {
		anchors, err := dnssec.ParseAnchors(strings.NewReader(s.anchor()))
		if err != nil {
			return nil, err
		}
		setting.Anchors = anchors
	}
	dir, err := os.MkdirTemp(f.dir, "unbound")
	if err != nil {
		return nil, err
	}
	process, err := realresolver.Run(dir, realresolver.Unbound, setting)
	if err != nil {
		return nil, err
	}
	defer process.Stop()
	client := dns.Client{Timeout: time.Second}
	ready := func(ctx context.Context) error {
		_, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion("t0.", dns.TypeSOA), peerAddr.String())
		return err
	}
	if err := process.Await(ready); err != nil {
		return nil, fmt.Errorf("start Unbound: %w\n%s", err, process.Log())
	}
	pid := childCalled("unbound")
	w := watch(pid, "")
	before, cpu := s.queries.Load(), cpuOf(pid)
	err = m.feed(ctx, f, queries)
	w.end()
	if err != nil {
		return nil, err
	}
	m.cpu, m.memory, m.descriptors, m.queries = cpuOf(pid)-cpu, highWater(pid), w.files, s.queries.Load()-before
	for n := range m.names {
		if isReachable(n) {
			m.answerable++
		}
	}
	return m, nil
}

// feed has dnsperf ask for the first names of the list.
func (m *measured) feed(ctx context.Context, f files, queries int) error {
	list := filepath.Join(f.dir, "queries")
	var text bytes.Buffer
	for n := range m.names {
		fmt.Fprintln(&text, nameOf(n), "A")
	}
	if err := os.WriteFile(list, text.Bytes(), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "dnsperf", "-s", peerAddr.Addr().String(), "-p", strconv.Itoa(int(peerAddr.Port())),
		"-d", list, "-n", "1", "-c", "1", "-q", strconv.Itoa(queries), "-t", "20", "-v")
	cmd.SysProcAttr = dieWithParent()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("dnsperf: %w", err)
	}
	var ended atomic.Int64
	stop := progress.Tell(os.Stderr, progress.Every(os.Stderr), m.program, func() (n, of int) { return int(ended.Load()), m.names })
	m.readReplies(pipe, begun, &ended)
	err = cmd.Wait()
	m.took = time.Since(begun)
	stop()
	if err != nil {
		return fmt.Errorf("dnsperf: %w", errors.Join(context.Cause(ctx), err))
	}
	return nil
}

// readReplies reads what dnsperf -v prints: one line for each reply, with its response code and its name.
// It counts them in ended.
func (m *measured) readReplies(r io.Reader, begun time.Time, ended *atomic.Int64) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[0] != ">" {
			continue
		}
		if n := ended.Add(1); m.most == 0 && int(n)*100 >= 99*m.names {
			m.most = time.Since(begun)
		}
		n, ok := numberOf(fields[2])
		want := "NOERROR"
		if kindOf(n) == isMissing {
			want = "NXDOMAIN"
		}
		if ok && fields[1] == want {
			m.succeeded++
		}
	}
}

// peerConfig sets Unbound up for many questions, with the memory that bulk has.
func peerConfig(cacheMiB int, validates bool) string {
	text := fmt.Sprintf(`do-not-query-localhost: no
	outgoing-range: 8192
	num-queries-per-thread: 4096
	incoming-num-tcp: 100
	outgoing-num-tcp: 100
	msg-cache-size: %dm
	rrset-cache-size: %dm
	so-rcvbuf: 4m
	minimal-responses: yes
`, max(1, cacheMiB/3), max(1, 2*cacheMiB/3))
	if !validates {
		text += "\tmodule-config: \"iterator\"\n"
	}
	return text
}
