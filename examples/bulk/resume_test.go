//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the program as a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// exitStatus returns the exit status of a process that was waited for.
func exitStatus(t *testing.T, err error) int {
	t.Helper()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended):
		return ended.ExitCode()
	}
	t.Fatal(err)
	return -1
}

// listOfMock writes a list of mock.txt without names below silent servers, which take long.
func listOfMock(t *testing.T, n int) string {
	var lines strings.Builder
	for i := range n {
		if line := mockLine(i); !strings.Contains(line, "dead") {
			fmt.Fprintln(&lines, line)
		}
	}
	return writeFile(t, "list", lines.String())
}

// countLines counts the whole lines of a file that may not be there yet.
func countLines(path string) int {
	text, _ := os.ReadFile(path)
	return bytes.Count(text, []byte("\n"))
}

// startAndWait starts the program and returns when its output has lines more than before.
func startAndWait(t *testing.T, cmd *exec.Cmd, out string, more int) {
	t.Helper()
	before := countLines(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); countLines(out) < before+more; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			t.Fatalf("no %d lines in a minute", more)
		}
	}
}

// TestKilled: a run that is killed three times has each question once in the end, with the status that
// it has in a run that is not.
func TestKilled(t *testing.T) {
	t.Parallel()
	list := listOfMock(t, 3000)
	dir := t.TempDir()
	out, whole := filepath.Join(dir, "out"), filepath.Join(dir, "whole")
	args := []string{"-mock", "mock.txt", "-type", "A,MX", "-server-rate", "20", "-resume", "-o", out, list}
	for range 3 { // each time long before the end: it would take 15 s
		cmd := program(t, args...)
		startAndWait(t, cmd, out, 500)
		cmd.Process.Kill()
		cmd.Wait() // it was killed
		if n := countLines(out); n > 5500 {
			t.Fatalf("got %d lines before the kill, want the list not to be done", n)
		}
	}
	args[5] = "0"
	last := program(t, args...)
	text, err := last.CombinedOutput()
	if got := exitStatus(t, err); got != exitFailures || !strings.Contains(string(text), "were there before") {
		t.Errorf("got status %d and %s", got, text)
	}
	if _, err := program(t, "-mock", "mock.txt", "-type", "A,MX", "-server-rate", "0", "-o", whole, list).CombinedOutput(); exitStatus(t, err) != exitFailures {
		t.Errorf("the run that was not killed: %v", err)
	}
	var differences bytes.Buffer
	if got := compareFiles(out, whole, &differences, &differences); got != exitDone {
		t.Errorf("got status %d: %s", got, differences.String())
	}
	seen := bySeq(t, parseRecords(t, readFile(t, out)))
	if want := countQuestions(t, list, 2); len(seen) != want {
		t.Errorf("got %d lines, want %d", len(seen), want)
	}
}

// countQuestions counts those of a list of names and URLs with that many types.
func countQuestions(t *testing.T, list string, types int) int {
	n := 0
	for line := range strings.Lines(readFile(t, list)) {
		if strings.Contains(line, "://") {
			n++
		} else {
			n += types
		}
	}
	return n
}

// continued is what is said of a list that is not done.
const continued = "the list is not done, and the same command with -resume continues it"

// TestInterrupted: SIGINT leaves whole lines, and the run goes on later.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	list, out := listOfMock(t, 1000), filepath.Join(t.TempDir(), "out")
	// The end is half a minute away when it is interrupted.
	const begun = 50
	args := []string{"-mock", "mock.txt", "-server-rate", "2", "-resume", "-o", out, list}
	cmd := program(t, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	startAndWait(t, cmd, out, begun)
	cmd.Process.Signal(os.Interrupt)
	if got := exitStatus(t, cmd.Wait()); got != exitInterrupted || !strings.HasSuffix(stderr.String(), "bulk: interrupted: "+continued+"\n") {
		t.Errorf("got status %d and %q, want %d and how to go on", got, stderr.String(), exitInterrupted)
	}
	half := readFile(t, out)
	if n := len(parseRecords(t, half)); n < begun || n >= 999 || !strings.HasSuffix(half, "\n") {
		t.Errorf("got %d lines, want a part of the list in whole lines", n)
	}
	args[3] = "0"
	if _, err := program(t, args...).CombinedOutput(); exitStatus(t, err) != exitFailures {
		t.Errorf("going on: %v", err)
	}
	if got, want := len(bySeq(t, parseRecords(t, readFile(t, out)))), countQuestions(t, list, 1); got != want {
		t.Errorf("got %d lines, want %d", got, want)
	}
}

// TestBrokenPipe: a reader that goes away ends the run with a reason, and has read whole lines.
func TestBrokenPipe(t *testing.T) {
	cmd := program(t, "-mock", "mock.txt", "-server-rate", "0", listOfMock(t, 3000))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReaderSize(pipe, 16).ReadString('\n')
	pipe.Close()
	if err != nil || len(parseRecords(t, line)) != 1 {
		t.Errorf("got %q, %v, want a line", line, err)
	}
	if got := exitStatus(t, cmd.Wait()); got != exitIncomplete || !strings.Contains(stderr.String(), syscall.EPIPE.Error()) {
		t.Errorf("got status %d and %q, want %d and a broken pipe", got, stderr.String(), exitIncomplete)
	}
	if !strings.Contains(stderr.String(), "the list is not done") {
		t.Errorf("got %q, want that the list is not done", stderr.String())
	}
}

// TestOutputLimit: where the file may not grow, whole lines stay, and the run goes on when it may.
func TestOutputLimit(t *testing.T) {
	t.Parallel()
	list, out := listOfMock(t, 600), filepath.Join(t.TempDir(), "out")
	self := program(t, "-mock", "mock.txt", "-server-rate", "0", "-resume", "-o", out, list)
	limited := exec.Command("sh", append([]string{"-c", `ulimit -f 40; trap "" XFSZ; exec "$@"`, "sh", self.Path}, self.Args[1:]...)...)
	limited.Env = self.Env
	text, err := limited.CombinedOutput()
	if got := exitStatus(t, err); got != exitIncomplete || !strings.Contains(string(text), syscall.EFBIG.Error()) {
		t.Errorf("got status %d and %s, want %d and a limit", got, text, exitIncomplete)
	}
	half := readFile(t, out)
	if summary := fmt.Sprintf("%d questions: ", strings.Count(half, "\n")); !strings.HasPrefix(string(text), summary) || !strings.HasSuffix(string(text), continued+"\n") {
		t.Errorf("got %s, want the summary %q of what is written, and how to go on", text, summary)
	}
	if !strings.HasSuffix(half, "\n") || len(parseRecords(t, half)) < 20 {
		t.Errorf("got %d bytes, want some whole lines", len(half))
	}
	if _, err := self.CombinedOutput(); exitStatus(t, err) != exitFailures { // the URLs, and what is bogus
		t.Errorf("going on: %v", err)
	}
	if got, want := len(bySeq(t, parseRecords(t, readFile(t, out)))), countQuestions(t, list, 1); got != want {
		t.Errorf("got %d lines, want %d", got, want)
	}
}

// TestResumeTorn: a last line that is not whole is cut off and its question asked again, wherever the
// cut is.
func TestResumeTorn(t *testing.T) {
	list, out := writeFile(t, "list", "n1.host0.example\nn2.host0.example\nn3.host0.example\n"), filepath.Join(t.TempDir(), "out")
	args := []string{"-mock", "mock.txt", "-resume", "-o", out, list}
	if got := bulk(t, "", args...); got.status != exitDone {
		t.Fatalf("got status %d: %s", got.status, got.stderr)
	}
	whole := readFile(t, out)
	begin := strings.LastIndex(strings.TrimSuffix(whole, "\n"), "\n") + 1
	for _, cut := range []int{0, 1, 5, begin - 1, begin, begin + 1, begin + 20, len(whole) - 2, len(whole) - 1, len(whole)} {
		for _, tail := range []string{"", "\x00\x00\x00"} { // blocks that a power cut left empty
			if tail != "" && cut < begin {
				continue
			}
			if err := os.WriteFile(out, []byte(whole[:cut]+tail), 0o600); err != nil {
				t.Fatal(err)
			}
			got := bulk(t, "", args...)
			if seen := bySeq(t, parseRecords(t, readFile(t, out))); got.status != exitDone || len(seen) != 3 {
				t.Errorf("cut at %d of %d: got status %d and %d questions: %s", cut, len(whole), got.status, len(seen), got.stderr)
			}
			if none := strings.HasSuffix(got.stderr, "3 of them were there before\nnothing was left to do\n"); none != (cut == len(whole)) {
				t.Errorf("cut at %d of %d: got the summary %q", cut, len(whole), got.stderr)
			}
		}
	}
}

// TestResumeRefuses: a file that is no output of this list is left as it is.
func TestResumeRefuses(t *testing.T) {
	dir := t.TempDir()
	list, out := writeFile(t, "list", "n1.host0.example\nn2.host0.example\n"), filepath.Join(dir, "out")
	if got := bulk(t, "", "-mock", "mock.txt", "-o", out, list); got.status != exitDone {
		t.Fatalf("got status %d: %s", got.status, got.stderr)
	}
	line, _, _ := strings.Cut(readFile(t, out), "\n")
	for name, test := range map[string]struct {
		text string
		args []string
	}{
		"another file":            {"n1.host0.example\n", []string{list}},
		"a file without lines":    {"no end", []string{list}},
		"damage in the middle":    {line + "\n{\"seq\":2,\x00\n" + line + "\n", []string{list}},
		"a question twice":        {line + "\n" + line + "\n", []string{list}},
		"no status":               {`{"seq":1}` + "\n", []string{list}},
		"a number out of bounds":  {`{"seq":99999999999999,"status":"error"}` + "\n", []string{list}},
		"another list":            {"", []string{writeFile(t, "other", "other.host0.example\nn2.host0.example\n")}},
		"other types":             {"", []string{"-type", "AAAA", list}},
		"a shorter list":          {"", []string{writeFile(t, "short", "n1.host0.example\n")}},
		"another list from stdin": {"", nil},
	} {
		text := test.text
		if text == "" {
			text = readFile(t, out)
		}
		path := writeFile(t, "out", text)
		got := bulk(t, "x.host0.example\ny.host0.example\n", append([]string{"-mock", "mock.txt", "-resume", "-o", path}, test.args...)...)
		if got.status != exitUsage {
			t.Errorf("%s: got status %d, want %d: %s", name, got.status, exitUsage, got.stderr)
		}
		if after := readFile(t, path); after != text {
			t.Errorf("%s: the file was changed to %q", name, after)
		}
	}
	if got := bulk(t, "", "-mock", "mock.txt", "-o", out, list); got.status != exitUsage || !strings.Contains(got.stderr, "-resume") {
		t.Errorf("without -resume: got status %d and %q", got.status, got.stderr)
	}
}

// TestLocked: two processes do not write to one output.
func TestLocked(t *testing.T) {
	t.Parallel()
	list, out := listOfMock(t, 1000), filepath.Join(t.TempDir(), "out")
	args := []string{"-mock", "mock.txt", "-server-rate", "2", "-resume", "-o", out, list}
	first := program(t, args...)
	startAndWait(t, first, out, 1)
	defer func() {
		first.Process.Kill()
		first.Wait() // it was killed
	}()
	if got := bulk(t, "", args...); got.status != exitUsage || !strings.Contains(got.stderr, "another process") {
		t.Errorf("got status %d and %q, want %d and the reason", got.status, got.stderr, exitUsage)
	}
}

// TestStdinResumes: a list from standard input goes on too, when it is the same.
func TestStdinResumes(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	for i, stdin := range []string{"n1.host0.example\n", "n1.host0.example\nn2.host0.example\n"} {
		if got := bulk(t, stdin, "-mock", "mock.txt", "-resume", "-o", out); got.status != exitDone {
			t.Errorf("got status %d: %s", got.status, got.stderr)
		}
		if n := len(bySeq(t, parseRecords(t, readFile(t, out)))); n != i+1 {
			t.Errorf("got %d lines, want %d", n, i+1)
		}
	}
}

// TestUnreadList: what can be read of a list is resolved, and the status says that it was not all.
func TestUnreadList(t *testing.T) {
	whole := compressed(t, strings.Repeat("n1.host0.example\nn2.host0.example\n", 2000))
	got := bulk(t, "", "-mock", "mock.txt", "-server-rate", "0", writeFile(t, "list.gz", whole[:len(whole)-4]))
	if got.status != exitIncomplete || !strings.Contains(got.stderr, io.ErrUnexpectedEOF.Error()+": the list is not done") || len(got.records) < 1000 {
		t.Errorf("got status %d, %d lines and %q", got.status, len(got.records), got.stderr)
	}
}
