package examples_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
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
var link = regexp.MustCompile(`(?m)(?:\]\(|^\[[^]]+\]: )([^)#\s]+)`)

// code finds what is no text: programs, and code within a line. A call of a generic function looks
// like a link.
var code = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")

// TestLinks: what the pages point at is there.
func TestLinks(t *testing.T) {
	pages := []string{"../README.md", "../MIGRATING.md", "../CONTRIBUTING.md", "../SECURITY.md", "../CHANGELOG.md"}
	more, err := filepath.Glob("../docs/*.md")
	if err != nil || len(more) == 0 {
		t.Errorf("got %q, %v, want the pages below docs", more, err)
	}
	for _, name := range append(pages, more...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		links := link.FindAllSubmatch(code.ReplaceAll(text, nil), -1)
		for _, m := range links {
			target := string(m[1])
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
