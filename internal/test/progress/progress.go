// Package progress is how programs that take minutes or hours say how far they are, and how they
// have ended: for people who wait, and for scripts that look at the last line only.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// How often a program says how far it is: where somebody looks on, and where it is read later.
const (
	everyTerminal = 10 * time.Second
	everyLog      = time.Minute
)

// Every returns how often f is to be told of progress.
func Every(f *os.File) time.Duration {
	if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return everyTerminal
	}
	return everyLog
}

// Tell writes a line to w every so often, until stop is called, which waits for the last one:
// how much of what there is to do is done, and how long the rest takes at that pace. done is
// called from a goroutine of its own; of what it returns nothing to do, or nothing done, says
// that there is no estimate yet.
func Tell(w io.Writer, every time.Duration, name string, done func() (n, of int)) (stop func()) {
	over := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		begin := time.Now()
		for {
			select {
			case <-over:
				return
			case <-time.After(every):
				n, of := done()
				fmt.Fprintf(w, "%s: %s\n", name, line(n, of, time.Since(begin)))
			}
		}
	})
	return func() {
		close(over)
		telling.Wait()
	}
}

// line says how far n of so many are after that time.
func line(n, of int, took time.Duration) string {
	text := fmt.Sprintf("%d of %d after %v", n, of, took.Round(time.Second))
	if n <= 0 || n > of {
		return text
	}
	left := time.Duration(float64(took) / float64(n) * float64(of-n))
	return fmt.Sprintf("%s, %d %%, about %v left", text, 100*n/of, left.Round(time.Second))
}

// End writes the last line of a program: PASS, or FAIL with the first line of what went wrong.
func End(w io.Writer, name string, begin time.Time, err error) {
	took := time.Since(begin).Round(time.Second)
	if err == nil {
		fmt.Fprintf(w, "PASS %s: %v\n", name, took)
		return
	}
	reason, _, _ := strings.Cut(err.Error(), "\n")
	fmt.Fprintf(w, "FAIL %s: %v: %s\n", name, took, strings.TrimSuffix(reason, ":"))
}
