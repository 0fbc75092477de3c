package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// A printed is what a program in examples must print.
type printed struct {
	args  []string
	limit time.Duration
	lines []*regexp.Regexp
}

// examplesPrinted has the classic walk of the mock Internet of examples/trace, and the main
// job of examples/lookup, with the one name that needs no Internet: CI may have none, and
// leaves the public DNS alone.
var examplesPrinted = []printed{
	{[]string{"trace"}, 300 * time.Second, patterns(
		`^\.\s.*\sNS\s+a\.root-servers\.net\.`,
		`^me\.\s.*\sNS\s+a0\.nic\.me\.`,
		`^a0\.nic\.me\.\s.*\sA\s+199\.253\.59\.1`,
		`^b2\.nic\.me\.\s.*\sAAAA\s+2001:500:4f::1`,
		`^draveness\.me\.\s.*\sNS\s+f1g1ns1\.dnspod\.net\.`,
		`^draveness\.me\.\s+600\s+IN\s+A\s+123\.56\.94\.228`,
		`Received [0-9]+ bytes from [0-9a-f.:]+#53\([^)]+\) in [0-9.]+ m?s`,
	)},
	{[]string{"lookup", "localhost"}, 60 * time.Second, patterns(`^127\.0\.0\.1$`)},
}

func patterns(lines ...string) []*regexp.Regexp {
	var compiled []*regexp.Regexp
	for _, line := range lines {
		compiled = append(compiled, regexp.MustCompile("(?m)"+line))
	}
	return compiled
}

func checkExamples(ctx context.Context, out io.Writer, _ []string) error {
	dir, err := os.MkdirTemp("", "examples")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, example := range examplesPrinted {
		if err := example.check(ctx, out, dir); err != nil {
			return fmt.Errorf("examples/%s: %w", example.args[0], err)
		}
	}
	return nil
}

func (p printed) check(ctx context.Context, out io.Writer, dir string) error {
	binary := filepath.Join(dir, p.args[0])
	if err := command(ctx, out, "go", "build", "-o", binary, "./examples/"+p.args[0]).Run(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	var output bytes.Buffer
	err := command(ctx, io.MultiWriter(out, &output), binary, p.args[1:]...).Run()
	if err != nil {
		return err
	}
	for _, line := range p.lines {
		if !line.Match(output.Bytes()) {
			return fmt.Errorf("prints no line like %s", line)
		}
	}
	return nil
}
