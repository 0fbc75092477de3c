// Command ci holds the checks of .ci/run that are more than one command.
//
//	go run ./internal/test/ci tracked   executables and large files that git tracks
//
// It runs at the top of the repository, and ends with status 1 if a check fails.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

var checks = map[string]func(out io.Writer, args []string) error{
	"tracked": checkTracked,
}

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out io.Writer, args []string) error {
	if len(args) == 0 {
		return errors.New("no check named")
	}
	check, ok := checks[args[0]]
	if !ok {
		return fmt.Errorf("no check %q", args[0])
	}
	return check(out, args[1:])
}
