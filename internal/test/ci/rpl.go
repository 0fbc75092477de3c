package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// rplList holds the scenarios that have passed before. It may only grow, but for those of
// which rplReasons says why they cannot pass any more.
const rplList = ".ci/rpl-pass.txt"

// rplReasons says why the others do not pass: a name, and a reason, in each line.
const rplReasons = ".ci/rpl-not.txt"

// replayScenarios replays the open scenarios of other resolvers' authors, and compares the
// result with the list; with -update what passes is added to it. The first argument is the
// folder that holds tools/rplrun and rpl/open.
func replayScenarios(ctx context.Context, out io.Writer, args []string) error {
	update := len(args) == 2 && args[1] == "-update"
	if len(args) != 1 && !update {
		return errors.New("rpl takes the folder of scenarios, and -update")
	}
	shared, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	outcomes, err := replay(ctx, out, shared)
	if err != nil {
		return err
	}
	list, err := os.ReadFile(rplList)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	c := comparison{listed: listedScenarios(string(list)), outcomes: outcomes}
	if update {
		return c.update(out)
	}
	reasons, err := os.ReadFile(rplReasons)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	// A shallow clone knows of fewer commits, an export of none.
	history, _ := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "log", "-p", "--format=", "--", rplList).Output()
	return c.report(out, without(everListed(string(history)), explainedScenarios(string(reasons))))
}

// An outcome is what became of a scenario, whose name is its path below rpl/open.
type outcome struct{ name, status, reason string }

// replay runs the tool of that folder on this checkout.
func replay(ctx context.Context, out io.Writer, shared string) ([]outcome, error) {
	dir, err := os.MkdirTemp("", "rpl")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	table := filepath.Join(dir, "result.tsv")
	var log bytes.Buffer
	err = command(ctx, &log, "bash", filepath.Join(shared, "tools/rplrun/iterdns/run.sh"), root,
		"-tsv", table, filepath.Join(shared, "rpl/open")).Run()
	// 1 says that a scenario fails, which is judged below. Anything else, or no result, is a
	// run that went wrong.
	result, readErr := os.ReadFile(table)
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) || readErr != nil || len(result) == 0 {
		writeTail(out, log.String(), 50)
		return nil, fmt.Errorf("the replay did not run: %w", errors.Join(err, readErr))
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, " scenarios: ") {
			io.WriteString(out, line)
		}
	}
	return readOutcomes(string(result)), nil
}

func writeTail(out io.Writer, log string, count int) {
	all := strings.SplitAfter(log, "\n")
	io.WriteString(out, strings.Join(all[max(0, len(all)-count):], ""))
}

func readOutcomes(table string) []outcome {
	var all []outcome
	for line := range strings.Lines(table) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) < 2 {
			continue
		}
		o := outcome{name: fields[0], status: fields[1]}
		if _, name, below := strings.Cut(fields[0], "/rpl/open/"); below {
			o.name = name
		}
		if len(fields) > 2 {
			o.reason = fields[2]
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b outcome) int { return strings.Compare(a.name, b.name) })
	return all
}

// listedScenarios returns the names in a list, without comments.
func listedScenarios(list string) []string {
	var names []string
	for line := range strings.Lines(list) {
		name, _, _ := strings.Cut(line, "#")
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// explainedScenarios returns the names in a list of reasons.
func explainedScenarios(list string) []string {
	var names []string
	for line := range strings.Lines(list) {
		line, _, _ = strings.Cut(line, "#")
		if name, reason, _ := strings.Cut(strings.TrimSpace(line), " "); strings.TrimSpace(reason) != "" {
			names = append(names, name)
		}
	}
	return names
}

var listChange = regexp.MustCompile(`(?m)^[+-]([^+#\s-][^#\s]*)`)

// everListed returns every scenario that was in the list in some commit.
func everListed(history string) []string {
	var names []string
	for _, match := range listChange.FindAllStringSubmatch(history, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// A comparison is the list beside what came of a replay.
type comparison struct {
	listed   []string
	outcomes []outcome
}

func (c comparison) passed() []string {
	var names []string
	for _, o := range c.outcomes {
		if o.status == "PASS" {
			names = append(names, o.name)
		}
	}
	return names
}

// report fails if a scenario is lost: off the list, or listed and not passing.
func (c comparison) report(out io.Writer, ever []string) error {
	passed := c.passed()
	var failures []error
	if removed := without(ever, c.listed); len(removed) > 0 {
		failures = append(failures, fmt.Errorf("taken off the list, which may only grow:\n  %s", strings.Join(removed, "\n  ")))
	}
	if lost := without(c.listed, passed); len(lost) > 0 {
		for i, name := range lost {
			lost[i] = c.describe(name)
		}
		failures = append(failures, fmt.Errorf("passed before and do not now (path, status, reason):\n  %s", strings.Join(lost, "\n  ")))
	}
	added := without(passed, c.listed)
	fmt.Fprintf(out, "%d listed, %d pass, %d of them are not listed yet\n", len(c.listed), len(passed), len(added))
	for _, name := range added {
		fmt.Fprintf(out, "  %s\n", name)
	}
	return errors.Join(failures...)
}

// describe says why a scenario does not pass. One that is gone from the folder has no outcome.
func (c comparison) describe(name string) string {
	for _, o := range c.outcomes {
		if o.name == name {
			return strings.Join([]string{o.name, o.status, o.reason}, "\t")
		}
	}
	return name
}

func (c comparison) update(out io.Writer) error {
	names := append(slices.Clone(c.listed), c.passed()...)
	slices.Sort(names)
	names = slices.Compact(names)
	fmt.Fprintf(out, "%d scenarios in the list\n", len(names))
	return os.WriteFile(rplList, []byte(strings.Join(names, "\n")+"\n"), 0o644)
}

// without returns what is in a and not in b.
func without(a, b []string) []string {
	var left []string
	for _, name := range a {
		if !slices.Contains(b, name) {
			left = append(left, name)
		}
	}
	return left
}
