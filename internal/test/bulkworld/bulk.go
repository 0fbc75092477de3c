package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// bulkName is the program's name in the table.
const bulkName = "bulk"

// files are what the programs read.
type files struct{ dir, hints, anchors, list string }

func writeFiles(dir string, s *servers, names int) (files, error) {
	f := files{dir, filepath.Join(dir, "hints"), filepath.Join(dir, "anchors"), filepath.Join(dir, "list")}
	var list bytes.Buffer
	for n := range names {
		fmt.Fprintln(&list, nameOf(n))
	}
	anchors := ""
	if s.world.signer != nil {
		anchors = s.anchor()
	}
	return f, errors.Join(
		os.WriteFile(f.hints, []byte(hints()), 0o600), os.WriteFile(f.anchors, []byte(anchors), 0o600),
		os.WriteFile(f.list, list.Bytes(), 0o600))
}

// bulkRun is a run of examples/bulk that has ended.
type bulkRun struct {
	took, cpu   time.Duration
	memory      int64
	descriptors int
	sizes       sizes
}

// runBulk runs examples/bulk. What it says goes to stderr.
func runBulk(ctx context.Context, c config, binary string, f files, signed bool, list, out string, stderr io.Writer) (*bulkRun, error) {
	args := []string{
		"-hints", f.hints, "-allow", "127.0.0.0/8", "-4", "-server-rate", "0", "-server-queries", "1000", "-progress", "lines",
		"-concurrency", strconv.Itoa(c.concurrency), "-cache", strconv.Itoa(c.cache), "-o", out, "-dnssec=" + strconv.FormatBool(signed),
	}
	if signed {
		args = append(args, "-anchors", f.anchors)
	}
	cmd := exec.CommandContext(ctx, binary, append(args, list)...)
	cmd.Stderr, cmd.SysProcAttr = stderr, dieWithParent()
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := watch(cmd.Process.Pid, out)
	err := cmd.Wait()
	took, sizes := time.Since(begun), w.end()
	var ended *exec.ExitError
	if err != nil && !(errors.As(err, &ended) && ended.ExitCode() == 1) { // 1: some names have no living server
		return nil, fmt.Errorf("bulk: %w", errors.Join(context.Cause(ctx), err))
	}
	return &bulkRun{took, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), maxMemory(cmd.ProcessState), w.files, sizes}, nil
}

// measureBulk runs examples/bulk with all names.
func measureBulk(ctx context.Context, c config, binary string, f files, s *servers) (*measured, error) {
	m := &measured{program: bulkName, dnssec: s.world.signer != nil, names: c.names}
	var err error
	if m.lines, err = measureLines(ctx, c, binary, f, m.dnssec); err != nil {
		return nil, err
	}
	out := filepath.Join(f.dir, "out")
	defer os.Remove(out) // half a kilobyte a name, of no use any more
	before := s.queries.Load()
	run, err := runBulk(ctx, c, binary, f, m.dnssec, f.list, out, os.Stderr)
	if err != nil {
		return nil, err
	}
	m.took, m.cpu, m.memory, m.descriptors, m.queries = run.took, run.cpu, run.memory, run.descriptors, s.queries.Load()-before
	m.most = run.sizes.until(0.99)
	return m, m.judge(out)
}

// manyLines is how often one name is in the list by which the cost of lines is measured.
const manyLines = 20_000

// measureLines measures what bulk spends beside resolving, with a list of one name and with one that has
// the name many times.
func measureLines(ctx context.Context, c config, binary string, f files, signed bool) (lineCost, error) {
	var cpu [2]time.Duration
	for i, lines := range []int{1, manyLines} {
		list, out := filepath.Join(f.dir, "same-name"), filepath.Join(f.dir, "same-name.out")
		if err := os.WriteFile(list, bytes.Repeat([]byte(nameOf(livingName())+"\n"), lines), 0o600); err != nil {
			return lineCost{}, err
		}
		run, err := runBulk(ctx, c, binary, f, signed, list, out, io.Discard)
		os.Remove(out) // the next run would not write over it
		if err != nil {
			return lineCost{}, err
		}
		cpu[i] = run.cpu
	}
	return lineCost{start: cpu[0], each: max(0, cpu[1]-cpu[0]) / (manyLines - 1)}, nil
}

// livingName returns the number of a signed zone with an address, whose servers are alive.
func livingName() int {
	n := 0
	for of := hostersOf(n); kindOf(n) != hasAddress || isDead(of[0]) || isDead(of[1]); of = hostersOf(n) {
		n += 2
	}
	return n
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
		var r outputLine
		if err := errors.Join(err, json.Unmarshal(line, &r)); err != nil {
			return err
		}
		n := r.Seq - 1
		if n < 0 || n >= m.names || seen[n] {
			m.fault("question %d is there twice, or is none of the list", r.Seq)
			continue
		}
		seen[n] = true
		m.judgeLine(n, &r)
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

// outputLine is what of a line of bulk is judged.
type outputLine struct {
	Seq    int
	Status string
	DNSSEC string
	Reason string
	Answer []struct{ Data string }
}

func (m *measured) judgeLine(n int, r *outputLine) {
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
