package realserver

import (
	"fmt"
	"runtime"
	"testing"
)

// missing is a product that no host has.
func missing() Product { return Product(-1) }

// judge is a testing.TB that keeps what Need decides.
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
	for _, test := range []struct {
		ci       string
		products []Product
		want     string
	}{
		{ci: "", products: nil, want: "go on"},
		{ci: "", products: []Product{missing()}, want: "skip"},
		{ci: "true", products: nil, want: "go on"},
		{ci: "true", products: []Product{missing()}, want: "fail"},
	} {
		t.Setenv("CI", test.ci)
		j := &judge{TB: t, verdict: "go on"}
		done := make(chan struct{})
		go func() {
			defer close(done)
			Need(j, test.products...)
		}()
		<-done
		if j.verdict != test.want {
			t.Errorf("Need(%v) with CI=%q: got %s (%s), want %s", test.products, test.ci, j.verdict, j.message, test.want)
		}
	}
}

func TestAvailableMissing(t *testing.T) {
	if Available(missing()) {
		t.Errorf("Available(%v): got true, want false", missing())
	}
}
