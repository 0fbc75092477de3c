package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestCoverage(t *testing.T) {
	const profile = `mode: set
example.com/m/a/x.go:1.1,2.2 6 0
example.com/m/a/x.go:3.1,4.2 2 1
example.com/m/a/x.go:1.1,2.2 6 1
example.com/m/b/y.go:1.1,2.2 2 0
`
	for _, test := range []struct {
		name, profile, want, err string
	}{
		{"too few", profile, " 100.0 % of     8  example.com/m/a\n   0.0 % of     2  example.com/m/b\n" +
			"  80.0 % of    10 statements of the library packages, at least 85 % wanted\n", "too few"},
		{"enough", strings.Replace(profile, " 2 0", " 1 0", 1), " 100.0 % of     8  example.com/m/a\n   0.0 % of     1  example.com/m/b\n" +
			"  88.9 % of     9 statements of the library packages, at least 85 % wanted\n", ""},
		{"empty", "mode: set\n", "", "is empty"},
	} {
		packages, err := readProfile(strings.NewReader(test.profile))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		err = reportCoverage(&out, packages)
		if out.String() != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", test.name, err, out.String(), test.want)
		}
	}
	if _, err := readProfile(strings.NewReader("mode: set\nno profile\n")); err == nil {
		t.Error("what is no profile is read")
	}
}

func TestWithoutPackageLists(t *testing.T) {
	var out strings.Builder
	const in = "ok  \tm/a\t0.1s\tcoverage: 3.1% of statements in m/a, m/b\n--- FAIL: TestX\n"
	if err := withoutPackageLists(&out, strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	if want := "ok  \tm/a\t0.1s\tcoverage: 3.1% of statements\n--- FAIL: TestX\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestFuzzTripped(t *testing.T) {
	const tripped = "fuzz: elapsed: 3s, execs: 9\n--- FAIL: FuzzX (20.01s)\n    context deadline exceeded\nFAIL\n"
	for _, test := range []struct {
		name, log string
		want      bool
	}{
		{"the end of the time", tripped, true},
		{"an input", "--- FAIL: FuzzX (0.1s)\n    --- FAIL: FuzzX (0.0s)\n    Failing input written to testdata/fuzz/FuzzX/0a\n", false},
		{"the end of the time beside an input", tripped + "    Failing input written to testdata/fuzz/FuzzX/0a\n", false},
		{"another failure", "--- FAIL: FuzzX (0.1s)\n    x_test.go:3: no\n", false},
		{"two failures", tripped + "--- FAIL: TestMain\n    no\n", false},
		{"no failure of a test", "panic: no\n", false},
	} {
		if got := fuzzTripped(test.log); got != test.want {
			t.Errorf("%s: got %t", test.name, got)
		}
	}
}

func TestSimulationLog(t *testing.T) {
	var begun atomic.Int64
	l := simulationLog{begun: &begun}
	const log = "=== RUN   TestSimulation\n=== RUN   TestSimulation/1\n=== RUN   TestSimulation/2\n    --- PASS: TestSimulation/1 (0.1s)\n    --- FAIL: TestSimulation/2 (0.1s)\n    world: 7\n--- FAIL: TestSimulation\nFAIL"
	for _, piece := range []string{log[:30], log[30:31], log[31:90], log[90:]} {
		if n, err := l.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Errorf("got %d, %v for %d bytes", n, err, len(piece))
		}
	}
	l.flush()
	if want := "    --- FAIL: TestSimulation/2 (0.1s)\n    world: 7\n--- FAIL: TestSimulation\nFAIL"; l.kept.String() != want {
		t.Errorf("got %q, want %q", l.kept.String(), want)
	}
	if begun.Load() != 2 {
		t.Errorf("counted %d seeds, want 2", begun.Load())
	}
}

func TestComparison(t *testing.T) {
	outcomes := readOutcomes("/x/rpl/open/unbound/b.rpl\tFAIL\tno answer\n/x/rpl/open/unbound/a.rpl\tPASS\t\n/x/rpl/open/deckard/c.rpl\tPASS\n")
	for _, test := range []struct {
		name         string
		listed, ever []string
		want, err    string
	}{
		{"as listed", []string{"deckard/c.rpl", "unbound/a.rpl"}, []string{"unbound/a.rpl"},
			"2 listed, 2 pass, 0 of them are not listed yet\n", ""},
		{"more than listed", []string{"unbound/a.rpl"}, nil,
			"1 listed, 2 pass, 1 of them are not listed yet\n  deckard/c.rpl\n", ""},
		{"lost", []string{"deckard/c.rpl", "unbound/a.rpl", "unbound/b.rpl", "unbound/gone.rpl"}, nil,
			"4 listed, 2 pass, 0 of them are not listed yet\n",
			"passed before and do not now (path, status, reason):\n  unbound/b.rpl\tFAIL\tno answer\n  unbound/gone.rpl"},
		{"taken off", []string{"deckard/c.rpl", "unbound/a.rpl"}, []string{"unbound/a.rpl", "unbound/b.rpl"},
			"2 listed, 2 pass, 0 of them are not listed yet\n", "taken off the list, which may only grow:\n  unbound/b.rpl"},
	} {
		var out strings.Builder
		got := ""
		if err := (comparison{test.listed, outcomes}).report(&out, test.ever); err != nil {
			got = err.Error()
		}
		if out.String() != test.want || got != test.err {
			t.Errorf("%s: got %q and %q, want %q and %q", test.name, out.String(), got, test.want, test.err)
		}
	}
}

func TestLists(t *testing.T) {
	if got := listedScenarios("# all\nb.rpl  # why\n\na.rpl\nb.rpl\n"); !slices.Equal(got, []string{"a.rpl", "b.rpl"}) {
		t.Errorf("listed: %q", got)
	}
	if got := explainedScenarios("# all\nb.rpl  expects more\n\na.rpl\nc.rpl   # no reason\n"); !slices.Equal(got, []string{"b.rpl"}) {
		t.Errorf("explained: %q", got)
	}
	const history = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-old.rpl\n+new.rpl # why\n+# a comment\n kept.rpl\n"
	if got := everListed(history); !slices.Equal(got, []string{"new.rpl", "old.rpl"}) {
		t.Errorf("ever listed: %q", got)
	}
}

func TestExamplesPrinted(t *testing.T) {
	lookup := examplesPrinted[1].lines[0]
	if !lookup.MatchString("::1\n127.0.0.1\n") || lookup.MatchString("127.0.0.10\n") {
		t.Errorf("%s", lookup)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"nothing"}, {"rpl"}, {"exhaustive"}, {"simulation", "0"}, {"simulation", "9", "9"}} {
		if err := run(context.Background(), io.Discard, args); err == nil {
			t.Errorf("%q passes", args)
		}
	}
}
