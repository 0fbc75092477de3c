package progress

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		counts := [][2]int{{0, 0}, {10, 40}, {30, 40}}
		stop := Tell(&out, 10*time.Second, "soak", func() (n, of int) {
			n, of = counts[0][0], counts[0][1]
			counts = counts[1:]
			return n, of
		})
		time.Sleep(35 * time.Second)
		stop()
		time.Sleep(time.Minute)
		const want = "soak: 0 of 0 after 10s\n" +
			"soak: 10 of 40 after 20s, 25 %, about 1m0s left\n" +
			"soak: 30 of 40 after 30s, 75 %, about 10s left\n"
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", &out, want)
		}
	})
}

func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		time.Sleep(90 * time.Second)
		for want, err := range map[string]error{
			"PASS soak: 1m30s\n":               nil,
			"FAIL soak: 1m30s: out of time\n":  errors.New("out of time"),
			"FAIL soak: 1m30s: 2 were wrong\n": errors.New("2 were wrong:\na\nb"),
		} {
			var out strings.Builder
			if End(&out, "soak", begin, err); out.String() != want {
				t.Errorf("got %q, want %q", &out, want)
			}
		}
	})
}

func TestEvery(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := Every(f); got != everyLog {
		t.Errorf("a file: got %v, want %v", got, everyLog)
	}
}
