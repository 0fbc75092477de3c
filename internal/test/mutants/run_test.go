package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// exampleFiles are a module with a mutant for each verdict but HANGS, which would take the
// whole of testLimit.
var exampleFiles = map[string]string{
	"go.mod": "module example.com/m\n\ngo 1.26\n",
	"a/a.go": `package a

import "example.com/m/b"

const limit = 10

func capped(n int) int {
	if n > limit {
		return limit
	}
	return n
}

func positive(n int) int {
	return max(n, 1)
}

func first(list []int) (int, bool) {
loop:
	for _, n := range list {
		if n < 0 {
			continue loop
		}
		return b.Double(n), true
	}
	return 0, false
}
`,
	"b/b.go": "package b\n\n// Double doubles.\nfunc Double(n int) int { return 2 * n }\n",
	"a/a_test.go": `package a

import "testing"

func TestCapped(t *testing.T) {
	if got := capped(11); got != 10 {
		t.Error(got)
	}
}

func TestFirst(t *testing.T) {
	if got, ok := first([]int{-1, 2}); got != 4 || !ok {
		t.Error(got, ok)
	}
	first(nil)
}

func TestNothing(t *testing.T) {}

func TestFails(t *testing.T) { t.Error("always") }
`,
	tables + "/a.txt": `
mutant: compiled_with_others
rule: r
test: ./a -run TestCapped
in: a.capped
-n > limit
+n < 0

mutant: the_same_function
rule: r
test: ./a -run TestCapped
in: a.capped
-		return limit
+		return limit + 1

mutant: constant
rule: r
test: ./a -run TestCapped
in: a.limit
-10
+12

mutant: with_a_label
rule: r
test: ./a -run TestFirst
in: a.first
-n < 0
+n > 0

mutant: another_package
rule: r
test: ./a -run TestFirst
in: b.Double
-2 *
+3 *

mutant: panics
rule: r
test: ./a -run TestFirst
in: b.Double
-return 2 * n
+panic("no")

mutant: not_noticed
rule: r
test: ./a -run TestNothing
in: a.capped
-		return limit
+		return 0

mutant: unused_variable
rule: r
test: ./a -run TestCapped
in: a.capped
-	return n
+	m := n
+	return n

mutant: missing_return
rule: r
test: ./a -run TestCapped
in: a.positive
-	return max(n, 1)

mutant: gone
rule: r
test: ./a -run TestCapped
in: a.capped
-n > 100
+true

mutant: no_such_test
rule: r
test: ./a -run TestAbsent
in: a.capped
-n > limit
+true

mutant: test_that_always_fails
rule: r
test: ./a -run TestFails
in: a.capped
-n > limit
+true
`,
}

func writeExample(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range exampleFiles {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestVerdicts(t *testing.T) {
	root := writeExample(t)
	all, mod, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	results, err := tryAll(context.Background(), &out, mod, all, options{parallel: 2}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		verdict verdict
		detail  string
	}{
		"compiled_with_others":   {killed, "by TestCapped"},
		"the_same_function":      {killed, "by TestCapped"},
		"constant":               {killed, "by TestCapped"},
		"with_a_label":           {killed, "by TestFirst"},
		"another_package":        {killed, "by TestFirst"},
		"panics":                 {killed, "by TestFirst"},
		"not_noticed":            {survived, "the test passes"},
		"unused_variable":        {broken, "does not compile"},
		"missing_return":         {broken, "does not compile"},
		"gone":                   {stale, "is not in it"},
		"no_such_test":           {unknown, "without a mutant"},
		"test_that_always_fails": {unknown, "without a mutant"},
	}
	for _, r := range results {
		w := want[r.mutant.name]
		if r.verdict != w.verdict || !strings.Contains(r.detail, w.detail) {
			t.Errorf("%s: got %s, %s, want %s, %s\n%s", r.mutant.name, r.verdict, r.detail, w.verdict, w.detail, r.log)
		}
	}
	if len(results) != len(want) {
		t.Errorf("%d results", len(results))
	}
	// Not the constant, the label, what is gone, and what is broken.
	if !strings.HasPrefix(out.String(), "7 of 12 mutants compile together, ") {
		t.Errorf("got %s", out.String())
	}
	report := report(&out, results, 0)
	if report == nil || !strings.Contains(report.Error(), "SURVIVED not_noticed (a.txt:") || strings.Contains(report.Error(), "constant") {
		t.Errorf("report: %v", report)
	}
}

func TestCheck(t *testing.T) {
	root := writeExample(t)
	err := run(context.Background(), &strings.Builder{}, root, options{check: true})
	if err == nil {
		t.Fatal("nothing is stale")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "gone: a.capped: \"n > 100\" is not in it") ||
		!strings.Contains(lines[1], "no_such_test: no test in ./a is named TestAbsent") {
		t.Errorf("got %q", lines)
	}
}

// TestOutOfTime has no time for any mutant: all are named, and none is a failure.
func TestOutOfTime(t *testing.T) {
	root := writeExample(t)
	var out strings.Builder
	if err := run(context.Background(), &out, root, options{time: time.Nanosecond, parallel: 1}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"constant", "gone", "not_noticed"} {
		if !regexp.MustCompile(`(?m)^not tried +0 s  ` + name + ` *$`).MatchString(out.String()) {
			t.Errorf("%s is not named:\n%s", name, out.String())
		}
	}
}

func TestChooseNames(t *testing.T) {
	all := []*mutant{{name: "a", seed: 3}, {name: "b"}, {name: "c", seed: 1}}
	for _, test := range []struct {
		o    options
		want []string
	}{
		{options{}, []string{"a", "b", "c"}},
		{options{simulation: true}, []string{"a", "c"}},
		{options{search: 5}, []string{"a", "c"}},
		{options{simulation: true, names: []string{"b"}}, []string{"b"}},
		{options{names: []string{"c", "a"}}, []string{"c", "a"}},
	} {
		chosen, err := choose(all, test.o)
		var names []string
		for _, mu := range chosen {
			names = append(names, mu.name)
		}
		if err != nil || !slices.Equal(names, test.want) {
			t.Errorf("%+v: got %v, %v, want %v", test.o, names, err, test.want)
		}
	}
	if _, err := choose(all, options{names: []string{"d"}}); err == nil {
		t.Error("a name that does not exist is chosen")
	}
}

// TestTurnReachesAll has runs on following days, each of which tries a fifth.
func TestTurnReachesAll(t *testing.T) {
	tried := map[int]bool{}
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 12 {
		list := make([]int, 209)
		for i := range list {
			list[i] = i
		}
		part := startingPoint(t.TempDir(), day)
		if part < 0 || part >= 1 {
			t.Fatalf("begins at %f", part)
		}
		turn(list, part)
		for _, i := range list[:42] {
			tried[i] = true
		}
		day = day.Add(24 * time.Hour)
	}
	if len(tried) != 209 {
		t.Errorf("after twelve days %d of 209 have been tried", len(tried))
	}
}
