package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// fuzzMain lists the targets that take what a hostile server or client sends, and those that
// judge proofs: they get more time.
var fuzzMain = []string{
	"cache.FuzzLoadEntry", "dnssec.FuzzAnchors", "dnssec.FuzzAuthenticationChain", "dnssec.FuzzNSEC", "dnssec.FuzzNSEC3",
	"dnssec.FuzzSignature", "dnssec.FuzzStoredChain", "internal/scrub.FuzzScrub", "internal/wire.FuzzParse", "internal/upstream.FuzzCheck", "internal/upstream.FuzzClassify",
	"resolver.FuzzServeWire",
}

// How long a target is fuzzed.
const (
	fuzzMainTime  = 20 * time.Second
	fuzzOtherTime = 2 * time.Second
)

// fuzzAttempts is how often a target is tried that trips over its own deadline: one run in
// twenty does, and there are some forty targets.
const fuzzAttempts = 8

// A fuzzTarget is a fuzz test and its package, relative to the module.
type fuzzTarget struct{ pkg, name string }

func (t fuzzTarget) String() string { return t.pkg + "." + t.name }

func fuzzAll(ctx context.Context, out io.Writer, _ []string) error {
	targets, err := fuzzTargets(ctx)
	if err != nil {
		return err
	}
	for _, main := range fuzzMain {
		if !slices.ContainsFunc(targets, func(t fuzzTarget) bool { return t.String() == main }) {
			return fmt.Errorf("there is no fuzz target %s", main)
		}
	}
	for _, target := range targets {
		fmt.Fprintln(out, target)
		if err := fuzzOne(ctx, out, target); err != nil {
			return err
		}
	}
	return nil
}

func fuzzTargets(ctx context.Context) ([]fuzzTarget, error) {
	module, err := lines(ctx, "go", "list", "-m")
	if err != nil {
		return nil, err
	}
	packages, err := lines(ctx, "go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "./...")
	if err != nil {
		return nil, err
	}
	var targets []fuzzTarget
	for _, pkg := range packages {
		listed, err := lines(ctx, "go", "test", "-list", "^Fuzz", pkg)
		if err != nil {
			return nil, err
		}
		for _, line := range listed {
			if strings.HasPrefix(line, "Fuzz") {
				targets = append(targets, fuzzTarget{strings.TrimPrefix(pkg, module[0]+"/"), line})
			}
		}
	}
	return targets, nil
}

// fuzzOne fuzzes one target. Go 1.26 reports the end of -fuzztime itself as a failure in
// about one run of twenty (golang/go#75804, mended in 1.27). That, and only that, is tried
// again, and its line "--- FAIL" is not shown, since nothing has failed.
func fuzzOne(ctx context.Context, out io.Writer, target fuzzTarget) error {
	limit := fuzzOtherTime
	if slices.Contains(fuzzMain, target.String()) {
		limit = fuzzMainTime
	}
	var log bytes.Buffer
	for attempt := 1; ; attempt++ {
		log.Reset()
		err := command(ctx, &log, "go", "test", "-run", "^$", "-fuzz", "^"+target.name+"$", "-fuzztime", limit.String(),
			"-fuzzminimizetime", "20x", "./"+target.pkg).Run()
		if err == nil {
			_, err = log.WriteTo(out)
			return err
		}
		if attempt == fuzzAttempts || !fuzzTripped(log.String()) {
			io.Copy(out, bytes.NewReader(log.Bytes()))
			showFuzzInput(out, log.String())
			return fmt.Errorf("%s: %w", target, err)
		}
		for line := range strings.Lines(log.String()) {
			if strings.HasPrefix(line, "fuzz: ") {
				io.WriteString(out, line)
			}
		}
		fmt.Fprintf(out, "attempt %d: the fuzzer tripped over its own deadline\n", attempt)
	}
}

var (
	fuzzInput = regexp.MustCompile(`(?m)^ *Failing input written to (.*)$`)
	fuzzFail  = regexp.MustCompile(`(?m)^--- FAIL.*\n(.*)$`)
)

// fuzzTripped reports whether all that failed is the end of the time.
func fuzzTripped(log string) bool {
	failed := fuzzFail.FindAllStringSubmatch(log, -1)
	return !fuzzInput.MatchString(log) && len(failed) == 1 && failed[0][1] == "    context deadline exceeded"
}

// showFuzzInput prints the input that a failed run has found, if it was one.
func showFuzzInput(out io.Writer, log string) {
	found := fuzzInput.FindStringSubmatch(log)
	if found == nil {
		return
	}
	// The path is one from the package's folder, so that it is looked for below all.
	_ = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "/"+found[1]) {
			return nil
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(out, "./%s\n%s", path, content)
		return err
	})
}
