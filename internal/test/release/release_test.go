package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is one with a library, an example that requires it and another example, and a module
// that is not released.
var repository = map[string]string{
	"go.mod":        "module example.com/lib\n\ngo 1.26\n",
	"lib.go":        "package lib\n\n// One is one.\nfunc One() int { return 1 }\n",
	"sub/sub.go":    "package sub\n\nimport \"example.com/lib\"\n\nvar One = lib.One()\n",
	"x/a/go.mod":    "module example.com/lib/x/a\n\ngo 1.26\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../..\n",
	"x/a/a.go":      "package a\n\nimport \"example.com/lib/sub\"\n\nvar One = sub.One\n",
	"x/b/go.mod":    "module example.com/lib/x/b\n\ngo 1.26\n\nrequire (\n\texample.com/lib v0.0.0\n\texample.com/lib/x/a v0.0.0\n)\n\nreplace example.com/lib => ../..\n\nreplace example.com/lib/x/a => ../a\n",
	"x/b/main.go":   "package main\n\nimport \"example.com/lib/x/a\"\n\nfunc main() { println(a.One) }\n",
	"tool/go.mod":   "module example.com/tool\n\ngo 1.26\n",
	"tool/tool.go":  "package tool\n",
	"untracked.txt": "",
}

func newRepository(t *testing.T, changes map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, files := range []map[string]string{repository, changes} {
		for name, text := range files {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"rm", "-q", "--cached", "untracked.txt"}} {
		if output, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Skipf("git: %v\n%s", err, output)
		}
	}
	return dir
}

func TestRelease(t *testing.T) {
	t.Setenv("GOPROXY", "off") // all that is needed is there
	t.Setenv("GOFLAGS", "")
	for _, test := range []struct {
		name, version, wrong string
		changes              map[string]string
	}{
		{"as it should be", "v0.2.0", "", nil},
		{"a module path would need a suffix", "v2.0.0", "is no version", nil},
		{"not a version", "0.2", "is no version", nil},
		{"a replacement that nobody else has", "v0.2.0", "x/a/go.mod replaces example.com/other",
			map[string]string{"x/a/go.mod": repository["x/a/go.mod"] + "\nreplace example.com/other => ../other\n"}},
		{"a module that is not released", "v0.2.0", "cannot be required",
			map[string]string{"x/a/a.go": "package a\n\nimport _ \"example.com/tool\"\n"}},
		{"does not compile", "v0.2.0", "cannot be built", map[string]string{"x/a/a.go": "package a\n\nimport \"example.com/lib\"\n\nvar _ = lib.Two\n"}},
		{"in another place than its path says", "v0.2.0", "only example.com/lib/x/a is found",
			map[string]string{"x/a/go.mod": strings.Replace(repository["x/a/go.mod"], "lib/x/a", "lib/a", 1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := newRepository(t, test.changes)
			var out strings.Builder
			err := release(t.Context(), &out, root, options{version: test.version, write: true})
			written, readErr := os.ReadFile(filepath.Join(root, "x", "b", "go.mod"))
			if readErr != nil {
				t.Fatal(readErr)
			}
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Errorf("got %v, want %q", err, test.wrong)
				}
				if string(written) != repository["x/b/go.mod"] {
					t.Errorf("got\n%s\nwant it unchanged", written)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			const want = "example.com/lib@v0.2.0: 2 packages built from outside\n" +
				"example.com/lib/x/a@v0.2.0: 1 packages built from outside\n" +
				"example.com/lib/x/b@v0.2.0: 1 packages built from outside\n" +
				"tag v0.2.0\ntag x/a/v0.2.0\ntag x/b/v0.2.0\n"
			if out.String() != want {
				t.Errorf("got\n%s\nwant\n%s", &out, want)
			}
			for _, line := range []string{"example.com/lib v0.2.0\n", "example.com/lib/x/a v0.2.0\n", "replace example.com/lib => ../..\n"} {
				if !strings.Contains(string(written), line) {
					t.Errorf("no %q in\n%s", line, written)
				}
			}
		})
	}
}

// What git does not track, and modules below, are in no module.
func TestFiles(t *testing.T) {
	all, err := readModules(t.Context(), newRepository(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all {
		got = append(got, m.path+": "+strings.Join(m.files, " "))
	}
	const want = "example.com/lib: go.mod lib.go sub/sub.go\nexample.com/lib/x/a: x/a/a.go x/a/go.mod\nexample.com/lib/x/b: x/b/go.mod x/b/main.go"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}
