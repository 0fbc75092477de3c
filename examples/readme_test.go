package examples_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files into the README's blocks")

// block finds a Go program on a page, and what it is, in a comment above it: a file, or the body
// of a function in it, behind a "#".
var block = regexp.MustCompile("(?s)<!-- (\\S+) -->\n```go\n(.*?)```")

// TestREADME: the programs on the pages are those in this folder, which are compiled and tested.
func TestREADME(t *testing.T) {
	t.Run("README", func(t *testing.T) { checkBlocks(t, "../README.md", 3) })
	t.Run("MIGRATING", func(t *testing.T) { checkBlocks(t, "../MIGRATING.md", 4) })
}

func checkBlocks(t *testing.T, name string, least int) {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	blocks := block.FindAllSubmatch(text, -1)
	if got := strings.Count(string(text), "```go\n"); len(blocks) != got || got < least {
		t.Errorf("got %d Go blocks, %d of them with the name of a file, want at least %d, all named", got, len(blocks), least)
	}
	for _, b := range blocks {
		file := string(b[1])
		want, err := program(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if string(b[2]) != want {
			t.Errorf("the block for %s is not that file (-update mends it): got\n%s\nwant\n%s", file, b[2], want)
		}
	}
	if *update {
		write(t, name, string(text))
	}
}

// program returns what a block has to be.
func program(name string) (string, error) {
	name, function, isFunction := strings.Cut(name, "#")
	path := filepath.Join("..", filepath.FromSlash(name))
	text, err := os.ReadFile(path)
	if err != nil || !isFunction {
		return string(text), err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, text, 0)
	if err != nil {
		return "", err
	}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != function {
			continue
		}
		body := string(text[files.Position(f.Body.Lbrace).Offset+1 : files.Position(f.Body.Rbrace).Offset])
		return strings.ReplaceAll(strings.TrimPrefix(body, "\n"), "\n\t", "\n")[1:], nil
	}
	return "", fmt.Errorf("%s has no function %s", name, function)
}

func write(t *testing.T, name, text string) {
	t.Helper()
	text = block.ReplaceAllStringFunc(text, func(old string) string {
		file := block.FindStringSubmatch(old)[1]
		text, err := program(file)
		if err != nil {
			return old
		}
		return "<!-- " + file + " -->\n```go\n" + text + "```"
	})
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// link finds a link or image of Markdown, or the place that a name for one stands for.
var link = regexp.MustCompile(`(?m)(?:\]\(|^\[[^]]+\]: )([^)\s]+)`)

// code finds what is no text: programs, and code within a line. A call of a generic function looks
// like a link.
var code = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")

// reference finds a use of a name that stands for a link.
var reference = regexp.MustCompile(`\[([^]\[]+)\](?:[^(:\[]|$)`)

// pages returns all pages of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata"):
			return filepath.SkipDir
		case filepath.Ext(path) == ".md":
			all = append(all, path)
		}
		return nil
	})
	if err != nil || len(all) < 15 {
		t.Fatalf("got %q, %v, want all pages", all, err)
	}
	return all
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLinks: what the pages point at is there, the heading too, and each name that stands for a link has
// one.
func TestLinks(t *testing.T) {
	for _, name := range pages(t) {
		text := code.ReplaceAllString(readPage(t, name), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, heading, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := name
			if target != "" {
				file = filepath.Join(filepath.Dir(name), filepath.FromSlash(target))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if heading != "" && !slices.Contains(headings(readPage(t, file)), heading) {
				t.Errorf("%s: %s has no heading %q", name, file, heading)
			}
		}
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "examples/") && !strings.Contains(text, "\n["+m[1]+"]: ") {
				t.Errorf("%s: [%s] stands for no link", name, m[1])
			}
		}
	}
}

var (
	headingLine = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// headings returns the anchors that a page has for its headings.
func headings(page string) []string {
	var all []string
	for _, m := range headingLine.FindAllStringSubmatch(page, -1) {
		all = append(all, strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

var (
	// command finds a command of the go tool, or of a program that was built in a page's folder, as far as
	// its arguments go.
	command = regexp.MustCompile("(?m)(?:(go run|go test) +|(\\./[a-z]+) +-)([^`|#>\n]*)")
	// ciStep finds a step of CI.
	ciStep = regexp.MustCompile(`\.ci/run ([a-z]+)`)
)

// testFlags are those of go test that the pages use.
var testFlags = []string{"short", "v", "run", "race", "count", "fuzz", "fuzztime", "bench", "tags", "exec", "timeout"}

// foreignFlags are of programs whose flags are declared in other modules.
var foreignFlags = []string{"h", "conf"}

// TestCommands: the packages, flags and tests in the commands on the pages are there.
func TestCommands(t *testing.T) {
	script := readPage(t, "../.ci/run")
	seen := 0
	for _, name := range pages(t) {
		text := readPage(t, name)
		for _, m := range ciStep.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(script, "step_"+m[1]+"()") {
				t.Errorf("%s: .ci/run has no step %s", name, m[1])
			}
		}
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			arguments := strings.Fields(m[3])
			if m[2] != "" && !strings.HasPrefix(name, filepath.FromSlash("../examples/")) {
				continue
			}
			seen++
			if m[2] != "" { // built in the folder of the page
				arguments = append([]string{".", "-" + arguments[0]}, arguments[1:]...)
			}
			for _, fault := range faultsOf(name, arguments, m[1] == "go test") {
				t.Errorf("%s: %q: %s", name, m[0], fault)
			}
		}
	}
	if seen < 20 {
		t.Errorf("got %d commands, want those of the pages", seen)
	}
}

// faultsOf returns what is missing of the arguments of go run or go test on a page.
func faultsOf(page string, arguments []string, isTest bool) (faults []string) {
	bases := []string{filepath.Dir(page), ".."}
	if len(arguments) > 1 && arguments[0] == "-C" {
		bases, arguments = []string{filepath.Join("..", arguments[1])}, arguments[2:]
	}
	dir := ""
	for _, a := range arguments {
		if a == "." || strings.HasPrefix(a, "./") && !strings.HasSuffix(a, "...") {
			dir = a
			break
		}
	}
	if dir == "" {
		return nil // a tool of others, or all packages
	}
	var files []string
	for _, base := range bases {
		if len(files) == 0 {
			files, _ = filepath.Glob(filepath.Join(base, filepath.FromSlash(dir), "*.go"))
		}
	}
	if len(files) == 0 {
		return []string{"there is no package " + dir}
	}
	var source strings.Builder
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil && (isTest || !strings.HasSuffix(f, "_test.go")) {
			source.Write(text)
		}
	}
	for i, a := range arguments {
		if len(a) < 2 || a[0] != '-' {
			continue
		}
		flag, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if isTest && flag == "run" && i+1 < len(arguments) {
			value, _, _ := strings.Cut(strings.Trim(arguments[i+1], "^$'"), "/")
			if named, err := regexp.MatchString(`func Test\w*`+strings.TrimPrefix(value, "Test"), source.String()); err != nil || !named {
				faults = append(faults, "there is no test "+value)
			}
		}
		if !(isTest && slices.Contains(testFlags, flag)) && !slices.Contains(foreignFlags, flag) && !strings.Contains(source.String(), `"`+flag+`"`) {
			faults = append(faults, "there is no flag "+a)
		}
	}
	return faults
}
