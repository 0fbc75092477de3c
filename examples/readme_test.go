package examples_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files into the README's blocks")

// block finds a Go program in the README, and the file that it is: a link above it.
var block = regexp.MustCompile("(?s)<!-- (\\S+) -->\n```go\n(.*?)```")

// TestREADME: the programs in the README are those in this folder, which are compiled
// and tested.
func TestREADME(t *testing.T) {
	const name = "../README.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	blocks := block.FindAllSubmatch(text, -1)
	if got := strings.Count(string(text), "```go\n"); len(blocks) != got || got < 3 {
		t.Errorf("got %d Go blocks, %d of them with the name of a file, want at least 3, all named", got, len(blocks))
	}
	for _, b := range blocks {
		file := string(b[1])
		want, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
		if err != nil {
			t.Error(err)
			continue
		}
		if string(b[2]) != string(want) {
			t.Errorf("the block for %s is not that file (-update mends it): got\n%s\nwant\n%s", file, b[2], want)
		}
	}
	if *update {
		write(t, name, string(text))
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	text = block.ReplaceAllStringFunc(text, func(old string) string {
		file := block.FindStringSubmatch(old)[1]
		program, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
		if err != nil {
			return old
		}
		return "<!-- " + file + " -->\n```go\n" + string(program) + "```"
	})
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// link finds a link or image of Markdown.
var link = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)

// TestLinks: what the README and the change log point at is there.
func TestLinks(t *testing.T) {
	for _, name := range []string{"../README.md", "../CHANGELOG.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			target := string(m[1])
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
