package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseTable(t *testing.T) {
	const table = `# Rules of packages.

mutant: first
rule: RFC 1: a rule: with a colon
test: ./a -run TestA|TestB
seed: 14
in: a.T.f
 	context
-	old
-	older
+	new
in: internal/b.limit
-const limit = 1

mutant: second
rule: another
test: ./a -run TestC
in: a.g
-x && y
+y
`
	got, err := parseTable("a.txt", table)
	if err != nil {
		t.Fatal(err)
	}
	want := []*mutant{
		{
			name: "first", rule: "RFC 1: a rule: with a colon", test: "./a -run TestA|TestB", seed: 14, at: "a.txt:3",
			edits: []edit{
				{in: "a.T.f", old: []string{"\tcontext", "\told", "\tolder"}, new: []string{"\tcontext", "\tnew"}},
				{in: "internal/b.limit", old: []string{"const limit = 1"}},
			},
		},
		{
			name: "second", rule: "another", test: "./a -run TestC", at: "a.txt:15",
			edits: []edit{{in: "a.g", old: []string{"x && y"}, new: []string{"y"}}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %+v\nwant %+v %+v", *got[0], *got[1], *want[0], *want[1])
	}
}

func TestParseTableRefuses(t *testing.T) {
	const head = "mutant: m\nrule: r\ntest: ./a -run T\n"
	for _, test := range []struct{ name, table, want string }{
		{"no rule", "mutant: m\ntest: ./a\nin: a.f\n-x\n", "m says no rule"},
		{"no test", "mutant: m\nrule: r\nin: a.f\n-x\n", "no line \"test:"},
		{"no name", "mutant:\nrule: r\ntest: ./a\nin: a.f\n-x\n", "no name"},
		{"no edit", head, "changes nothing"},
		{"no old text", head + "in: a.f\n+x\n", "has no old text"},
		{"blank old text", head + "in: a.f\n-\n+x\n", "has no old text"},
		{"first of two edits without old text", head + "in: a.f\n+x\nin: a.g\n-x\n", "has no old text"},
		{"text before a declaration", head + "-x\n", "stands before a line \"in:\""},
		{"field before a mutant", "rule: r\n", "stands before a line \"mutant:\""},
		{"unknown field", head + "why: not\n", "no field \"why\""},
		{"no field", head + "in: a.f\n-x\nreturn\n", "neither a field nor"},
		{"seed that is no number", head + "seed: x\n", "invalid syntax"},
	} {
		_, err := parseTable("a.txt", test.table)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// TestTables reads those of the repository: all parse, and no name is used twice.
func TestTables(t *testing.T) {
	all, mod, err := read("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 200 {
		t.Errorf("%d mutants in %s", len(all), tables)
	}
	if _, err := mod.find("cache.mayReplace"); err != nil {
		t.Error(err)
	}
}
