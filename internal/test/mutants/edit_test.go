package main

import (
	"path/filepath"
	"strings"
	"testing"
)

const exampleSource = `package a

// f is documented: x == y.
func (t *T[K]) f(x, y int) int {
	if x == y {
		for x < 10 {
			x++
			y++
		}
		return x // why
	}
	return y
}

func g() int { return 1 }

const (
	one = 1
	two = 2
)

var list = []int{
	1,
	2,
}
`

func exampleModule(t *testing.T, files map[string]string) *module {
	t.Helper()
	m := &module{root: t.TempDir(), path: "example.com/m", decls: map[string][]*declaration{}}
	for name, src := range files {
		if err := m.addFile(filepath.Join(m.root, name), []byte(src)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestChange(t *testing.T) {
	m := exampleModule(t, map[string]string{"a/a.go": exampleSource})
	for _, test := range []struct {
		name     string
		edit     edit
		old, new string // of the file; or new alone, the error
	}{
		{"line", edit{"a.T.f", []string{"if x == y {"}, []string{"if true {"}},
			"\tif x == y {\n", "\tif true {\n",
		},
		{"part of a line", edit{"a.T.f", []string{"x == y"}, []string{"false"}},
			"\tif x == y {\n", "\tif false {\n",
		},
		{"deeper than in the table", edit{"a.T.f", []string{"x++", "y++"}, []string{"if x > 0 {", "\tx++", "}"}},
			"\t\t\tx++\n\t\t\ty++\n", "\t\t\tif x > 0 {\n\t\t\t\tx++\n\t\t\t}\n",
		},
		{"block taken apart", edit{"a.T.f", []string{"\t\tfor x < 10 {", "\t\t\tx++", "\t\t\ty++", "\t\t}"}, []string{"\t\tx++"}},
			"\t\tfor x < 10 {\n\t\t\tx++\n\t\t\ty++\n\t\t}\n", "\t\tx++\n",
		},
		{"lines without new text", edit{"a.T.f", []string{"x++", "y++"}, nil},
			"\t\t\tx++\n\t\t\ty++\n", "",
		},
		{"part of a line without new text", edit{"a.T.f", []string{"// why"}, nil},
			"return x // why\n", "return x \n",
		},
		{"function of one line", edit{"a.g", []string{"return 1"}, []string{"return 2"}}, "return 1", "return 2"},
		{"constant of a group", edit{"a.two", []string{"2"}, []string{"3"}}, "two = 2\n", "two = 3\n"},
		{"variable with its keyword", edit{"a.list", []string{"var list = []int{", "1,"}, []string{"var list = []int{"}},
			"var list = []int{\n\t1,\n", "var list = []int{\n",
		},
		{"moved to another package", edit{"b.g", []string{"return 1"}, []string{"return 2"}}, "return 1", "return 2"},

		{"twice", edit{"a.T.f", []string{"++"}, nil}, "", "more than once"},
		{"twice, overlapping", edit{"a.T.f", []string{"\t}", "}"}, []string{"x"}}, "", "is not in it"},
		{"not there", edit{"a.T.f", []string{"z"}, nil}, "", "is not in it"},
		{"in the comment above only", edit{"a.T.f", []string{"documented"}, nil}, "", "is not in it"},
		{"no such function", edit{"a.h", []string{"x"}, nil}, "", "is not declared"},
		{"no such method", edit{"a.f", []string{"x"}, nil}, "", "is not declared"},
		{"no package", edit{"g", []string{"x"}, nil}, "", "is not package.function"},
	} {
		src, err := mutate(m, test.edit)
		if test.old == "" {
			if err == nil || !strings.Contains(err.Error(), test.new) {
				t.Errorf("%s: got %v, want %q", test.name, err, test.new)
			}
			continue
		}
		want := strings.Replace(exampleSource, test.old, test.new, 1)
		if err != nil || src != want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", test.name, err, src, want)
		}
	}
}

func mutate(m *module, edits ...edit) (string, error) {
	changes, err := m.changes(&mutant{edits: edits})
	if err != nil {
		return "", err
	}
	src, err := apply(changes[0].decl.file.src, changes)
	return string(src), err
}

func TestSeveralEdits(t *testing.T) {
	m := exampleModule(t, map[string]string{"a/a.go": exampleSource})
	got, err := mutate(m,
		edit{"a.T.f", []string{"return y"}, []string{"return x"}},
		edit{"a.T.f", []string{"x == y"}, []string{"x != y"}},
	)
	want := strings.Replace(strings.Replace(exampleSource, "return y", "return x", 1), "if x == y", "if x != y", 1)
	if err != nil || got != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
	_, err = mutate(m,
		edit{"a.T.f", []string{"return y", "}"}, []string{"return x", "}"}},
		edit{"a.T.f", []string{"return y"}, []string{"return 1"}},
	)
	if err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("edits that overlap: %v", err)
	}
}

func TestFindAmong(t *testing.T) {
	m := exampleModule(t, map[string]string{
		"a/a.go":          "package a\n\nfunc f() {}\n\nfunc only() {}\n",
		"internal/b/b.go": "package b\n\nfunc f() {}\n",
	})
	for _, test := range []struct{ name, pkg, err string }{
		{"a.f", "a", ""},
		{"internal/b.f", "internal/b", ""},
		{"c.f", "", "is declared 2 times"},
		{"c.only", "a", ""},
	} {
		d, err := m.find(test.name)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: got %v, want %q", test.name, err, test.err)
			}
		} else if err != nil || d.pkg != test.pkg {
			t.Errorf("%s: got %+v, %v", test.name, d, err)
		}
	}
}

func TestMutatedFilesMustBeGo(t *testing.T) {
	m := exampleModule(t, map[string]string{"a/a.go": exampleSource})
	changes, err := m.changes(&mutant{edits: []edit{{"a.T.f", []string{"x == y {"}, []string{"x == y"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mutatedFiles(changes); err == nil {
		t.Error("a mutant that is no Go passes")
	}
}
