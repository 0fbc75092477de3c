// Refresh rewrites the embedded root hints from a hints file as IANA publishes it,
// after checking it. `go generate` runs it in the directory of roothints:
//
//	ROOT_HINTS=/path/to/named.root go generate ./rootHints
//
// Without a file it leaves the hints as they are, so that `go generate ./...`
// works without one.
package main

import (
	"fmt"
	"os"

	roothints "github.com/iterdns/iterdns/rootHints"
)

// target is the embedded file, seen from where `go generate` runs.
const target = "named.root"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "refresh root hints:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] == "" { // go generate makes an empty argument of an unset variable
		fmt.Println("ROOT_HINTS names no file:", target, "stays as it is")
		return nil
	}
	if len(args) > 1 {
		return fmt.Errorf("one file expected, got %d", len(args))
	}
	source, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	text, err := refreshed(string(source), roothints.Date())
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return os.WriteFile(target, []byte(text), 0o644)
}
