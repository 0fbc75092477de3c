package realserver

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// missing is a product that no host has.
func missing() Product { return Product(-1) }

// judge is a testing.TB that keeps what Need and Program decide.
type judge struct {
	testing.TB
	verdict, message string
}

func (j *judge) Helper() {}

func (j *judge) Skipf(format string, args ...any) { j.end("skip", format, args) }

func (j *judge) Fatalf(format string, args ...any) { j.end("fail", format, args) }

func (j *judge) end(verdict, format string, args []any) {
	j.verdict, j.message = verdict, fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestNeed(t *testing.T) {
	need := func(products ...Product) func(testing.TB) {
		return func(t testing.TB) { Need(t, products...) }
	}
	program := func(name string) func(testing.TB) {
		return func(t testing.TB) { Program(t, name) }
	}
	for _, test := range []struct {
		name, ci string
		call     func(testing.TB)
		want     string
		noted    string
	}{
		{"no product", "", need(), "go on", ""},
		{"no product", "true", need(), "go on", ""},
		{"a product that no host has", "", need(missing()), "skip", "Product(-1)\n"},
		{"a product that no host has", "true", need(missing(), missing()), "fail", "Product(-1)\nProduct(-1)\n"},
		{"a program that this host has", "true", program("go"), "go on", ""},
		{"a program that no host has", "", program("no-such-program"), "skip", "no-such-program\n"},
		{"a program that no host has", "true", program("no-such-program"), "fail", "no-such-program\n"},
	} {
		t.Setenv("CI", test.ci)
		notes := filepath.Join(t.TempDir(), "missing")
		t.Setenv(MissingFile, notes)
		j := &judge{TB: t, verdict: "go on"}
		done := make(chan struct{})
		go func() {
			defer close(done)
			test.call(j)
		}()
		<-done
		if j.verdict != test.want {
			t.Errorf("%s, with CI=%q: got %s (%s), want %s", test.name, test.ci, j.verdict, j.message, test.want)
		}
		if text, _ := os.ReadFile(notes); string(text) != test.noted {
			t.Errorf("%s, with CI=%q: noted %q, want %q", test.name, test.ci, text, test.noted)
		}
	}
}

func TestAvailableMissing(t *testing.T) {
	if Available(missing()) {
		t.Errorf("Available(%v): got true, want false", missing())
	}
}
