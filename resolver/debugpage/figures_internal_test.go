package debugpage

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFigures: as many as are kept, from the oldest on, however many there have been.
func TestFigures(t *testing.T) {
	var f figures
	start := time.Unix(0, 0)
	for i := range 5*maxFigures + 3 {
		f.add(figure{at: start.Add(time.Duration(i) * time.Second), questions: uint64(i)})
		all := f.all()
		first := max(0, i-maxFigures+1)
		if len(all) != i-first+1 || all[0].questions != uint64(first) || all[len(all)-1].questions != uint64(i) {
			t.Fatalf("after %d: got %d figures, from %d to %d", i, len(all), all[0].questions, all[len(all)-1].questions)
		}
	}
}

// TestFirsts: the first ones in order, of any number, in memory for twice as many.
func TestFirsts(t *testing.T) {
	kept := firsts[int]{n: 10, order: cmp.Compare[int]}
	for _, v := range rand.New(rand.NewPCG(1, 2)).Perm(1000) {
		kept.add(v)
		if len(kept.kept) >= 20 {
			t.Fatalf("%d are kept", len(kept.kept))
		}
	}
	kept.cut()
	if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(kept.kept, want) || kept.total != 1000 {
		t.Errorf("got %v of %d", kept.kept, kept.total)
	}
}

// TestWords: figures as they are written.
func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(999): "999", number(uint64(1234567)): "1,234,567", number(int64(-3)): "-3",
		size(5): "5 B", size(1536): "1.5 KiB", size(64 << 20): "64 MiB", size(3 << 30): "3 GiB",
		span(1400 * time.Millisecond): "1 s", span(61 * time.Second): "1 min 1 s", span(25 * time.Hour): "1 d 1 h", span(2 * time.Hour): "2 h 0 min", span(-time.Second): "–",
		short(0.25): "0.25", short(12.34): "12.3", short(1500): "1.5k", short(2e6): "2M", short(100): "100",
		bucketName(0): "up to 1 ms", bucketName(len(bounds)): "over 5 s", bucketLabel(len(bounds)): ">5s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for v, want := range map[float64]float64{0: 1, -1: 1, 0.3: 0.5, 1: 1, 1.1: 2, 7: 10, 480: 500, 501: 1000} {
		if got := ceiling(v); got != want {
			t.Errorf("ceiling(%v): got %v, want %v", v, got, want)
		}
	}
	for d, want := range map[time.Duration]int{0: 0, time.Millisecond: 0, time.Millisecond + 1: 1, 5 * time.Second: 11, time.Hour: 12, -1: 0} {
		if got := bucketOf(d); got != want {
			t.Errorf("%v: got bucket %d, want %d", d, got, want)
		}
	}
	if got := shorten(strings.Repeat("ä", maxText)); len(got) > maxText+4 || !strings.HasSuffix(got, "ä …") {
		t.Errorf("got %d bytes ending in %q", len(got), got[len(got)-8:])
	}
}
