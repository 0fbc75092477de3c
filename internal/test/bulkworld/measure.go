package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/realresolver"
)

// measured is what a run of a program was like.
type measured struct {
	program     string
	dnssec      bool
	names       int
	took        time.Duration
	most        time.Duration // until 99 of 100 lines were there; 0: not known
	cpu         time.Duration
	succeeded   int // right answers
	answerable  int // names with a living server
	wrong       []string
	queries     int64
	memory      int64 // bytes
	descriptors int
}

const mostWrong = 10

func (m *measured) success() float64 { return float64(m.succeeded) / float64(max(1, m.answerable)) }

func (m *measured) String() string {
	most := "-"
	if m.most > 0 {
		most = fmt.Sprintf("%.0f", 0.99*float64(m.names)/m.most.Seconds())
	}
	return fmt.Sprintf("%-18s %-6s %8.0f %8s %9.0f %9.3f %% %8.2f %8.1f %8d", m.program, onOff(m.dnssec),
		float64(m.names)/m.took.Seconds(), most, float64(m.cpu.Microseconds())/float64(m.names), 100*m.success(),
		float64(m.queries)/float64(m.names), float64(m.memory)/(1<<20), m.descriptors)
}

const tableHead = "program            DNSSEC  names/s  for 99%   us CPU    success    queries      MiB    files\n" +
	"                                                  /name                 /name"

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// files are what both programs read.
type files struct{ dir, hints, anchors, list, queries string }

func writeFiles(dir string, s *servers, names int) (files, error) {
	f := files{dir, filepath.Join(dir, "hints"), filepath.Join(dir, "anchors"), filepath.Join(dir, "list"), filepath.Join(dir, "queries")}
	var list, queries bytes.Buffer
	for n := range names {
		fmt.Fprintln(&list, nameOf(n))
		fmt.Fprintln(&queries, nameOf(n), "A")
	}
	anchors := ""
	if s.world.signer != nil {
		anchors = s.anchor()
	}
	return f, errors.Join(
		os.WriteFile(f.hints, []byte(hints()), 0o600), os.WriteFile(f.anchors, []byte(anchors), 0o600),
		os.WriteFile(f.list, list.Bytes(), 0o600), os.WriteFile(f.queries, queries.Bytes(), 0o600))
}

// measureBulk runs examples/bulk.
func measureBulk(ctx context.Context, c config, binary string, f files, s *servers) (*measured, error) {
	m := &measured{program: "bulk", dnssec: s.world.signer != nil, names: c.names}
	out := filepath.Join(f.dir, fmt.Sprintf("out-%s", onOff(m.dnssec)))
	args := []string{
		"-hints", f.hints, "-allow", "127.0.0.0/8", "-4", "-server-rate", "0", "-server-queries", "1000", "-progress", "lines",
		"-concurrency", strconv.Itoa(c.concurrency), "-cache", strconv.Itoa(c.cache), "-o", out, "-dnssec=" + strconv.FormatBool(m.dnssec),
	}
	if m.dnssec {
		args = append(args, "-anchors", f.anchors)
	}
	cmd := exec.CommandContext(ctx, binary, append(args, f.list)...)
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, dieWithParent()
	before, begun := s.queries.Load(), time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := watch(cmd.Process.Pid, out)
	err := cmd.Wait()
	m.took = time.Since(begun)
	sizes := w.end()
	var ended *exec.ExitError
	if err != nil && !(errors.As(err, &ended) && ended.ExitCode() == 1) { // 1: some names have no living server
		return nil, fmt.Errorf("bulk: %w", err)
	}
	m.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.memory, m.descriptors, m.queries = maxMemory(cmd.ProcessState), w.files, s.queries.Load()-before
	m.most = sizes.until(0.99)
	return m, m.judge(out)
}

// judge reads the lines and compares them with the world.
func (m *measured) judge(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	seen := make([]bool, m.names)
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		var r struct {
			Seq    int
			Status string
			DNSSEC string
			Reason string
			Answer []struct{ Data string }
		}
		if err := errors.Join(err, json.Unmarshal(line, &r)); err != nil {
			return err
		}
		n := r.Seq - 1
		if n < 0 || n >= m.names || seen[n] {
			m.fault("question %d is there twice, or is none of the list", r.Seq)
			continue
		}
		seen[n] = true
		want := map[kind]string{hasAddress: "answer", hasNothing: "nodata", isMissing: "nxdomain"}[kindOf(n)]
		security := "indeterminate"
		if m.dnssec {
			security = map[bool]string{true: "secure", false: "insecure"}[isSignedZone(n) || kindOf(n) == isMissing]
		}
		switch {
		case r.Status == "error" && (r.Reason == "bogus" || r.Reason == "input"):
			m.fault("%s: reason %s", nameOf(n), r.Reason)
		case r.Status == "error":
		case r.Status != want || r.DNSSEC != security || want == "answer" && (len(r.Answer) != 1 || r.Answer[0].Data != addressOf(n).String()):
			m.fault("%s: got %s, %s %v, want %s, %s", nameOf(n), r.Status, r.DNSSEC, r.Answer, want, security)
		default:
			m.succeeded++
		}
	}
	for n, ok := range seen {
		if !ok {
			m.fault("%s has no line", nameOf(n))
		}
		if isReachable(n) {
			m.answerable++
		}
	}
	return nil
}

func (m *measured) fault(format string, args ...any) {
	if len(m.wrong) < mostWrong {
		m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
	}
}

// sizes are those of an output as it grew.
type sizes []struct {
	at   time.Duration
	size int64
}

// until returns when the output had a part of its final size; 0: not known.
func (s sizes) until(part float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	for _, e := range s {
		if float64(e.size) >= part*float64(s[len(s)-1].size) {
			return e.at
		}
	}
	return 0
}

// watching looks at a process while it runs.
type watching struct {
	stop  chan struct{}
	over  sync.WaitGroup
	files int
	sizes sizes
}

func watch(pid int, out string) *watching {
	w := &watching{stop: make(chan struct{})}
	begun := time.Now()
	w.over.Go(func() {
		for {
			if entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
				w.files = max(w.files, len(entries))
			}
			if info, err := os.Stat(out); err == nil {
				w.sizes = append(w.sizes, struct {
					at   time.Duration
					size int64
				}{time.Since(begun), info.Size()})
			}
			select {
			case <-w.stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return w
}

// end ends the watch. files and the sizes are whole then.
func (w *watching) end() sizes {
	close(w.stop)
	w.over.Wait()
	return w.sizes
}

// peerAddr is where Unbound listens.
var peerAddr = netip.MustParseAddrPort("127.0.0.1:5301")

// measureUnbound runs Unbound with an empty cache, and dnsperf with that many queries under way.
func measureUnbound(ctx context.Context, c config, f files, s *servers, queries int) (*measured, error) {
	m := &measured{program: fmt.Sprintf("Unbound, %d", queries), dnssec: s.world.signer != nil, names: c.names}
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
	before, cpu, begun := s.queries.Load(), cpuOf(pid), time.Now()
	cmd := exec.CommandContext(ctx, "dnsperf", "-s", peerAddr.Addr().String(), "-p", strconv.Itoa(int(peerAddr.Port())),
		"-d", f.queries, "-n", "1", "-c", "1", "-q", strconv.Itoa(queries), "-t", "20", "-v")
	cmd.SysProcAttr = dieWithParent()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("dnsperf: %w", err)
	}
	m.readReplies(pipe, begun)
	err = cmd.Wait()
	m.took = time.Since(begun)
	w.end()
	if err != nil {
		return nil, fmt.Errorf("dnsperf: %w", err)
	}
	m.cpu, m.memory, m.descriptors, m.queries = cpuOf(pid)-cpu, highWater(pid), w.files, s.queries.Load()-before
	for n := range m.names {
		if isReachable(n) {
			m.answerable++
		}
	}
	return m, nil
}

// readReplies reads what dnsperf -v prints: one line for each reply, with its response code and its name.
func (m *measured) readReplies(r io.Reader, begun time.Time) {
	lines, ended := bufio.NewScanner(r), 0
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 || fields[0] != ">" {
			continue
		}
		if ended++; m.most == 0 && ended*100 >= 99*m.names {
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

// peerConfig is room for many questions, and the memory that bulk has.
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
