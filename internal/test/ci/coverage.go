package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// coverageFloor is how many statements of the library packages the tests must reach, in
// per cent.
const coverageFloor = 85

// runTests is the README's command, with coverage, and without results that go test has cached.
func runTests(ctx context.Context, out io.Writer, _ []string) error {
	library, err := libraryPackages(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "coverage")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	profile := filepath.Join(dir, "cover.out")
	reader, writer := io.Pipe()
	shown := make(chan error, 1)
	go func() { shown <- withoutPackageLists(out, reader) }()
	tests := command(ctx, writer, "go", "test", "-count=1", "-covermode=set",
		"-coverpkg="+strings.Join(library, ","), "-coverprofile="+profile, "./...")
	err = errors.Join(tests.Run(), writer.Close(), <-shown)
	if err != nil {
		return err
	}
	return checkCoverage(out, profile)
}

// libraryPackages are all but programs, and what only tests use.
func libraryPackages(ctx context.Context) ([]string, error) {
	all, err := lines(ctx, "go", "list", "-f", `{{if ne .Name "main"}}{{.ImportPath}}{{end}}`, "./...")
	return slices.DeleteFunc(all, func(pkg string) bool {
		return strings.Contains(pkg, "/examples/") || strings.Contains(pkg, "/internal/test/")
	}), err
}

// withoutPackageLists copies what go test prints, but for the list of packages that it
// repeats at the end of each line.
func withoutPackageLists(out io.Writer, in io.Reader) error {
	const statements = " of statements"
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line, _, found := strings.Cut(scanner.Text(), statements+" in ")
		if found {
			line += statements
		}
		fmt.Fprintln(out, line)
	}
	return scanner.Err()
}

func checkCoverage(out io.Writer, profile string) error {
	file, err := os.Open(profile)
	if err != nil {
		return err
	}
	defer file.Close()
	packages, err := readProfile(file)
	if err != nil {
		return err
	}
	return reportCoverage(out, packages)
}

// A coverage counts statements.
type coverage struct{ reached, all int }

func (c coverage) percent() float64 { return 100 * float64(c.reached) / float64(c.all) }

// readProfile counts statements by package. With -coverpkg a profile has each block once for
// every test binary; a block is covered if any of them reached it.
func readProfile(profile io.Reader) (map[string]coverage, error) {
	statements, reached := map[string]int{}, map[string]bool{}
	scanner := bufio.NewScanner(profile)
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), "mode:") {
			continue
		}
		var block string
		var count, hits int
		if _, err := fmt.Sscan(scanner.Text(), &block, &count, &hits); err != nil {
			return nil, fmt.Errorf("profile: %q: %w", scanner.Text(), err)
		}
		statements[block] = count
		reached[block] = reached[block] || hits > 0
	}
	packages := map[string]coverage{}
	for block, count := range statements {
		c := packages[path.Dir(block)]
		c.all += count
		if reached[block] {
			c.reached += count
		}
		packages[path.Dir(block)] = c
	}
	return packages, scanner.Err()
}

func reportCoverage(out io.Writer, packages map[string]coverage) error {
	var total coverage
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		c := packages[name]
		fmt.Fprintf(out, "%6.1f %% of %5d  %s\n", c.percent(), c.all, name)
		total.reached, total.all = total.reached+c.reached, total.all+c.all
	}
	if total.all == 0 {
		return errors.New("the profile is empty")
	}
	fmt.Fprintf(out, "%6.1f %% of %5d statements of the library packages, at least %d %% wanted\n", total.percent(), total.all, coverageFloor)
	if 100*total.reached < coverageFloor*total.all {
		return errors.New("the tests reach too few statements")
	}
	return nil
}
