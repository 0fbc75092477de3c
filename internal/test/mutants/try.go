package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// testLimit is how long the named test may take, unless the command line says otherwise, as
// where a machine has other work. It is meant for a mutant that makes the code wait; a test
// that is slower than this without a mutant is the wrong one to name.
const testLimit = 120 * time.Second

// searchLimit is what the simulator gets instead: it is to run out of seeds, not of time.
const searchLimit = time.Hour

// A verdict says what became of a mutant. README.md beside the tables explains each.
type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "SURVIVED"
	hangs    verdict = "HANGS"
	broken   verdict = "BROKEN"
	stale    verdict = "STALE"
	unknown  verdict = "UNKNOWN"
	notTried verdict = "not tried"
)

// good reports whether a verdict is none to mend.
func (v verdict) good() bool { return v == killed || v == notTried }

// A result is the verdict on one mutant, and why.
type result struct {
	mutant  *mutant
	verdict verdict
	detail  string
	log     string
	took    time.Duration
}

// A trial tries mutants against their tests.
type trial struct {
	mod      *module
	build    *builder
	seeds    int  // for the simulator, which is run instead of the named tests unless this is 0
	baseline bool // whether tests are run without a mutant first
	limit    time.Duration

	numbers  map[*mutant]int   // of those that are in the combined binaries
	binaries map[string]string // combined, by package
	plain    sync.Map          // test line to func() error: the test without a mutant
}

// words are the arguments for go test: the package, then flags.
func (t *trial) words(mu *mutant) []string {
	if t.seeds == 0 {
		return strings.Fields(mu.test)
	}
	return strings.Fields(fmt.Sprintf("./resolver -run ^TestSimulation$ -failfast -args -seeds %d", t.seeds))
}

// prepare builds the binaries that hold as many of the mutants as they can.
func (t *trial) prepare(ctx context.Context, all []*mutant) error {
	together := map[int][]choice{}
	var pkgs []string
	seen := map[string]bool{}
	for i, mu := range all {
		if pkg := t.words(mu)[0]; !seen[pkg] {
			seen[pkg] = true
			pkgs = append(pkgs, pkg)
		}
		changes, err := t.mod.changes(mu)
		if err != nil {
			continue // stale, which try says
		}
		if one, ok := choices(mu, i+1, changes); ok {
			together[i+1] = one
		}
	}
	binaries, err := t.build.compileCombined(ctx, pkgs, together)
	if err != nil {
		return err
	}
	t.binaries, t.numbers = binaries, map[*mutant]int{}
	for number := range together {
		t.numbers[all[number-1]] = number
	}
	return nil
}

// try tries one mutant.
func (t *trial) try(ctx context.Context, mu *mutant) result {
	begin := time.Now()
	r := t.judge(ctx, mu)
	r.mutant, r.took = mu, time.Since(begin)
	return r
}

func (t *trial) judge(ctx context.Context, mu *mutant) result {
	changes, err := t.mod.changes(mu)
	if err != nil {
		return result{verdict: stale, detail: err.Error()}
	}
	words := t.words(mu)
	if t.baseline {
		if err := t.passesPlain(ctx, words); err != nil {
			return result{verdict: unknown, detail: "without a mutant go test " + strings.Join(words, " ") + " fails", log: err.Error()}
		}
	}
	if number := t.numbers[mu]; number != 0 {
		return t.judgeRuns(ctx, t.binaries[words[0]], words, number)
	}
	return t.judgeAlone(ctx, mu, words, changes)
}

// judgeAlone builds a binary with nothing but this mutant.
func (t *trial) judgeAlone(ctx context.Context, mu *mutant, words []string, changes []change) result {
	files, err := mutatedFiles(changes)
	if err != nil {
		return result{verdict: broken, detail: err.Error()}
	}
	dir := filepath.Join(t.build.work, mu.name)
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(dir, files)
	if err != nil {
		return result{verdict: unknown, detail: err.Error()}
	}
	binary := filepath.Join(dir, "alone.test")
	if message, err := t.build.compile(ctx, words[0], overlay, binary); err != nil {
		return result{verdict: broken, detail: "does not compile, which is no test", log: message}
	}
	return t.judgeRuns(ctx, binary, words, 0)
}

// survivorRuns is how often a test that passes with a mutant is run before the mutant counts as survived.
// Tests draw servers and times at random, so that some notice a mutant in most runs only.
const survivorRuns = 5

// judgeRuns judges a mutant by its test, which is run again while it passes. The result says which run
// has failed, if it is not the first, so that such tests can be made to look harder.
func (t *trial) judgeRuns(ctx context.Context, binary string, words []string, number int) result {
	r := t.judgeRun(t.execute(ctx, binary, words, number))
	for run := 2; r.verdict == survived && run <= survivorRuns && ctx.Err() == nil; run++ {
		if r = t.judgeRun(t.execute(ctx, binary, words, number)); r.verdict == killed {
			r.detail += fmt.Sprintf(", in run %d only", run)
		}
	}
	return r
}

// passesPlain runs a test without a mutant, once: there it has to run and to pass, or its
// failure with one would say nothing.
func (t *trial) passesPlain(ctx context.Context, words []string) error {
	once, _ := t.plain.LoadOrStore(strings.Join(words, " "), sync.OnceValue(func() error {
		output, err := t.execute(ctx, t.binaries[words[0]], words, 0)
		if err == nil && strings.Contains(output, "no tests to run") {
			err = errors.New("no test is named so")
		}
		if err != nil {
			return fmt.Errorf("%s%w", output, err)
		}
		return nil
	}))
	return once.(func() error)()
}

// execute runs a test binary with the words of a test line, in its package's folder as go
// test does: what follows -args is the test's own.
func (t *trial) execute(ctx context.Context, binary string, words []string, number int) (output string, err error) {
	args := []string{"-test.count=1", "-test.failfast", "-test.timeout=" + t.limit.String()}
	own := false
	for _, word := range words[1:] {
		switch {
		case own:
			args = append(args, word)
		case word == "-args":
			own = true
		case strings.HasPrefix(word, "-"):
			args = append(args, "-test."+word[1:])
		default:
			args = append(args, word)
		}
	}
	command := exec.CommandContext(ctx, binary, args...)
	command.Dir = filepath.Join(t.mod.root, filepath.FromSlash(words[0]))
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%d", selectedEnv, number))
	command.WaitDelay = 10 * time.Second // for what the test has started and left behind
	bytes, err := command.CombinedOutput()
	return string(bytes), err
}

var (
	timedOut   = regexp.MustCompile(`(?m)^panic: test timed out`)
	failed     = regexp.MustCompile(`(?m)^ *--- FAIL|^panic:|^fatal error:`)
	failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	failedSeed = regexp.MustCompile(`(?m)^ *--- FAIL: TestSimulation/(\d+)`)
)

func (t *trial) judgeRun(output string, err error) result {
	switch {
	case err == nil:
		return result{verdict: survived, detail: "the test passes", log: output}
	case timedOut.MatchString(output):
		return result{verdict: hangs, detail: "the test must fail, not run out of time", log: output}
	case failed.MatchString(output):
		return result{verdict: killed, detail: "by " + t.failedTests(output)}
	}
	return result{verdict: unknown, detail: "the test command itself has failed: " + err.Error(), log: output}
}

// failedTests names the tests that failed, a few of them: a seed too, if it is one's.
func (t *trial) failedTests(output string) string {
	if seed := failedSeed.FindStringSubmatch(output); t.seeds != 0 && seed != nil {
		return "seed " + seed[1]
	}
	var names []string
	for _, match := range failedTest.FindAllStringSubmatch(output, 3) {
		names = append(names, match[1])
	}
	if len(names) == 0 {
		return "a panic"
	}
	return strings.Join(names, " ")
}
