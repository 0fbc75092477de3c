// Command ci holds the checks of .ci/run that are more than one command.
//
//	go run ./internal/test/ci tracked              executables and large files that git tracks
//	go run ./internal/test/ci exhaustive TOOL      TOOL, a package with its version, finds a missing case
//	go run ./internal/test/ci test                 all tests, and what they reach
//	go run ./internal/test/ci simulation [SEEDS]   TestSimulation, on two processors
//	go run ./internal/test/ci fuzz                 every fuzz target, for a while
//	go run ./internal/test/ci examples             what programs in examples print
//	go run ./internal/test/ci rpl SHARED [-update] scenarios by the authors of other resolvers
//
// It runs at the top of the repository, and ends with status 1 if a check fails.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

var checks = map[string]func(ctx context.Context, out io.Writer, args []string) error{
	"tracked":    checkTracked,
	"exhaustive": checkExhaustive,
	"test":       runTests,
	"simulation": simulate,
	"fuzz":       fuzzAll,
	"examples":   checkExamples,
	"rpl":        replayScenarios,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) == 0 {
		return errors.New("no check named")
	}
	check, ok := checks[args[0]]
	if !ok {
		return fmt.Errorf("no check %q", args[0])
	}
	return check(ctx, out, args[1:])
}

// command prepares a program whose output, of both kinds, goes to out.
func command(ctx context.Context, out io.Writer, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr = out, out
	return c
}

// lines runs a program, and returns the lines that it prints.
func lines(ctx context.Context, name string, args ...string) ([]string, error) {
	c := exec.CommandContext(ctx, name, args...)
	c.Stderr = os.Stderr
	output, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.FieldsFunc(string(output), func(r rune) bool { return r == '\n' }), nil
}
