package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A builder compiles test binaries, in a build cache of its own that ends with it.
type builder struct {
	mod  *module
	work string
	env  []string
}

// newBuilder makes the cache in work, from links to what the user's own cache holds. What
// is compiled of mutants is of no use to anyone afterwards, and would fill that in time.
func newBuilder(mod *module, work string) (*builder, error) {
	cache := filepath.Join(work, "cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	user, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	linkTree(strings.TrimSpace(string(user)), cache)
	return &builder{mod: mod, work: work, env: append(os.Environ(), "GOCACHE="+cache)}, nil
}

// linkTree links the files of folders one by one; what cannot be linked, as on another file
// system, is compiled again. Files at the top are the cache's own notes, such as when it was
// trimmed.
func linkTree(from, to string) {
	// Nobody waits for a cache that is incomplete, so that errors are left aside.
	_ = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(from, path)
		if err != nil || relErr != nil {
			return errors.Join(err, relErr)
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if filepath.Dir(rel) == "." {
			return nil
		}
		return os.Link(path, filepath.Join(to, rel))
	})
}

// compile builds the test binary of a package, with an overlay unless that is "", and
// returns what the compiler said if it does not compile. Our own packages are not
// optimised: compiling them is most of the work.
func (b *builder) compile(ctx context.Context, pkg, overlay, binary string) (message string, err error) {
	args := []string{"test", "-c", "-vet=off", "-gcflags=" + b.mod.path + "/...=-N -l -e", "-ldflags=-s -w", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	command := exec.CommandContext(ctx, "go", append(args, pkg)...)
	command.Dir, command.Env = b.mod.root, b.env
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), err
	}
	if _, err := os.Stat(binary); err != nil {
		return string(output), fmt.Errorf("%s has no tests", pkg)
	}
	return "", nil
}

var mutantLine = regexp.MustCompile(`([^\s/\\]+)` + regexp.QuoteMeta(mutantFile) + `:\d+`)

// compileCombined builds the test binaries of packages with as many mutants as compile
// together. Those that do not are taken out, by number, and it is tried again.
func (b *builder) compileCombined(ctx context.Context, pkgs []string, all map[int][]choice) (binaries map[string]string, err error) {
	for {
		combined := newCombination(b.mod)
		for _, one := range all {
			combined.add(one)
		}
		files, err := combined.files()
		if err != nil {
			return nil, err
		}
		overlay, err := writeOverlay(filepath.Join(b.work, "combined"), files)
		if err != nil {
			return nil, err
		}
		binaries, message, err := b.compileAll(ctx, pkgs, overlay)
		if err == nil {
			return binaries, nil
		}
		bad := combined.blamed(message)
		if len(bad) == 0 {
			return nil, fmt.Errorf("with mutants built in, but none switched on:\n%s%w", message, err)
		}
		for _, number := range bad {
			delete(all, number)
		}
	}
}

func (b *builder) compileAll(ctx context.Context, pkgs []string, overlay string) (binaries map[string]string, message string, err error) {
	binaries = map[string]string{}
	for i, pkg := range pkgs {
		binary := filepath.Join(b.work, fmt.Sprintf("%d.test", i))
		if message, err := b.compile(ctx, pkg, overlay, binary); err != nil {
			return nil, message, err
		}
		binaries[pkg] = binary
	}
	return binaries, "", nil
}

// blamed returns the numbers of the mutants that a compiler's messages are about.
func (c *combination) blamed(message string) []int {
	named := map[string]bool{}
	for _, match := range mutantLine.FindAllStringSubmatch(message, -1) {
		named[match[1]] = true
	}
	lines := strings.Split(message, "\n")
	var numbers []int
	for _, one := range c.choices {
		whole := slices.ContainsFunc(lines, one.inFunction)
		for _, v := range one.variants {
			if (whole || named[v.name]) && !slices.Contains(numbers, v.number) {
				numbers = append(numbers, v.number)
			}
		}
	}
	return numbers
}
