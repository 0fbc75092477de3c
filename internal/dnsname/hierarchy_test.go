package dnsname

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestIsAtOrBelow(t *testing.T) {
	tests := []struct {
		n, zone   Name
		at, below bool
	}{
		{MustParse("www.example."), MustParse("example."), true, true},
		{MustParse("a.b.c.example."), MustParse("c.example."), true, true},
		{MustParse("example."), MustParse("example."), true, false},
		{MustParse("example."), Root, true, true},
		{Root, Root, true, false},
		{Root, MustParse("example."), false, false},
		{MustParse("example."), MustParse("www.example."), false, false},
		{MustParse("www.example."), MustParse("www.other."), false, false},
		{MustParse("xexample."), MustParse("example."), false, false},
		// The tail of a label that reads like a label with its length byte.
		{MustParse(`\003www.`), MustParse("www."), false, false},
		{MustParse(`a\003www.example.`), MustParse("www.example."), false, false},
		{MustParse(`a\003www.example.`), MustParse("example."), true, true},
		{MustParse(`x\007example.`), MustParse("example."), false, false},
		{MustParse(`\007example.`), MustParse("example."), false, false},
		{MustParse(`www\.example.`), MustParse("example."), false, false},
		{MustParse(`a.\000.`), MustParse(`\000.`), true, true},
		{MustParse(`\001.`), Root, true, true},
		{"", Root, false, false},
		{"", "", false, false},
		{MustParse("example."), "", false, false},
		{Root, "", false, false},
	}
	for _, tt := range tests {
		if got := tt.n.IsAtOrBelow(tt.zone); got != tt.at {
			t.Errorf("%s at or below %s: got %t, want %t", tt.n, tt.zone, got, tt.at)
		}
		if got := tt.n.IsBelow(tt.zone); got != tt.below {
			t.Errorf("%s below %s: got %t, want %t", tt.n, tt.zone, got, tt.below)
		}
	}
}

func TestLabelParentLabels(t *testing.T) {
	tests := []struct {
		n      Name
		label  string
		parent Name
		labels int
	}{
		{MustParse("www.example."), "www", MustParse("example."), 2},
		{MustParse("example."), "example", Root, 1},
		{MustParse(`a\.b.c.`), "a.b", MustParse("c."), 2},
		{Root, "", Root, 0},
		{"", "", Root, 0},
	}
	for _, tt := range tests {
		if got := tt.n.Label(); got != tt.label {
			t.Errorf("%s: label %q, want %q", tt.n, got, tt.label)
		}
		if got := tt.n.Parent(); got != tt.parent {
			t.Errorf("%s: parent %s, want %s", tt.n, got, tt.parent)
		}
		if got := tt.n.Labels(); got != tt.labels {
			t.Errorf("%s: %d labels, want %d", tt.n, got, tt.labels)
		}
		if got := tt.n.IsRoot(); got != (tt.n == "\x00") {
			t.Errorf("%s: root %t", tt.n, got)
		}
	}
}

func TestAncestor(t *testing.T) {
	n := MustParse("a.b.c.example.")
	for labels, want := range map[int]string{
		-1: ".", 0: ".", 1: "example.", 2: "c.example.", 3: "b.c.example.", 4: "a.b.c.example.", 5: "a.b.c.example.",
	} {
		if got := n.Ancestor(labels); got != MustParse(want) {
			t.Errorf("%s with %d labels: got %s, want %s", n, labels, got, want)
		}
	}
}

func TestCommonAncestor(t *testing.T) {
	tests := []struct{ a, b, want string }{
		{"a.example.", "b.example.", "example."},
		{"a.example.", "a.example.", "a.example."},
		{"x.y.a.example.", "a.example.", "a.example."},
		{"a.example.", "a.other.", "."},
		{"example.", ".", "."},
		{".", ".", "."},
		{"a.b.c.", "x.b.d.", "."},                         // same label under different parents
		{`x\003www.example.`, "www.example.", "example."}, // label boundary
	}
	for _, tt := range tests {
		for _, pair := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got := CommonAncestor(MustParse(pair[0]), MustParse(pair[1])); got != MustParse(tt.want) {
				t.Errorf("%s and %s: got %s, want %s", pair[0], pair[1], got, tt.want)
			}
		}
	}
}

func TestChild(t *testing.T) {
	long := MustParse(longName(253))
	tests := []struct {
		n     Name
		label string
		want  Name
		err   error
	}{
		{MustParse("example."), "WWW", MustParse("www.example."), nil},
		{Root, "a.b", MustParse(`a\.b.`), nil},
		{Root, label(63), MustParse(label(63)), nil},
		{long, "a", "\x01a" + long, nil},
		{Root, "", "", ErrEmptyLabel},
		{Root, label(64), "", ErrLabelTooLong},
		{long, "ab", "", ErrTooLong},
	}
	for _, tt := range tests {
		if got, err := tt.n.Child(tt.label); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s below %s: got %s, %v; want %s, %v", tt.label, tt.n, got, err, tt.want, tt.err)
		}
	}
}

func TestWildcard(t *testing.T) {
	got, err := MustParse("example.").Wildcard()
	if want := MustParse("*.example."); got != want || err != nil {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if _, err := MustParse(longName(254)).Wildcard(); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v, want %v", err, ErrTooLong)
	}
	for name, want := range map[string]bool{
		"*.example.": true, "*.": true, "**.example.": false, "a.*.example.": false, "x.": false, ".": false, `\042.`: true,
	} {
		if got := MustParse(name).IsWildcard(); got != want {
			t.Errorf("%s: got %t, want %t", name, got, want)
		}
	}
}

func TestReplace(t *testing.T) {
	long := longName(250)
	tests := []struct {
		n, owner, target string
		want             string
		err              error
	}{
		{"www.old.example.", "old.example.", "new.example.", "www.new.example.", nil},
		{"a.b.old.example.", "old.example.", ".", "a.b.", nil},
		{"a.example.", "example.", "a.example.", "a.a.example.", nil},
		{"a.", ".", "example.", "a.example.", nil},
		{"abcd.old.", "old.", long, "abcd." + long, nil}, // 255 bytes
		{"abcde.old.", "old.", long, "", ErrTooLong},     // 256
	}
	for _, tt := range tests {
		want := Name("")
		if tt.want != "" {
			want = MustParse(tt.want)
		}
		got, err := MustParse(tt.n).Replace(MustParse(tt.owner), MustParse(tt.target))
		if got != want || !errors.Is(err, tt.err) {
			t.Errorf("%s from %s to %s: got %s, %v; want %s, %v", tt.n, tt.owner, tt.target, got, err, want, tt.err)
		}
	}
}

// The order that RFC 4034 §6.1 gives as its example.
func TestCompareSection6_1(t *testing.T) {
	ordered := []Name{
		MustParse("example."),
		MustParse("a.example."),
		MustParse("yljkjljk.a.example."),
		MustParse("Z.a.example."),
		MustParse("zABC.a.EXAMPLE."),
		MustParse("z.example."),
		MustParse(`\001.z.example.`),
		MustParse("*.z.example."),
		MustParse(`\200.z.example.`),
	}
	checkOrder(t, ordered)
}

func TestCompareTraps(t *testing.T) {
	checkOrder(t, []Name{
		Root,
		MustParse(`\000.`),
		MustParse(`b.\000.`),
		MustParse(`\000\000.`),
		MustParse("a."),
		MustParse("b.a."), // the last label decides before the first
		MustParse("a.b.a."),
		MustParse("aa."), // a prefix comes first, though "\x01" < "\x02" says nothing
		MustParse("b."),
		MustParse("a.b."),
		MustParse(`\255.`),
	})
}

func checkOrder(t *testing.T, ordered []Name) {
	t.Helper()
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := sign(Compare(a, b)), cmp.Compare(i, j); got != want {
				t.Errorf("Compare(%s, %s): got %d, want %d", a, b, got, want)
			}
		}
	}
}

func sign(n int) int { return cmp.Compare(n, 0) }

// naiveLabels returns the labels from the root down.
func naiveLabels(n Name) []string {
	var labels []string
	for rest := string(n); rest[0] != 0; rest = rest[1+rest[0]:] {
		labels = append(labels, rest[1:1+rest[0]])
	}
	slices.Reverse(labels)
	return labels
}

// randomName has few different labels, so that pairs of names share tails, and
// labels that contain what looks like other labels.
func randomName(r *rand.Rand) Name {
	labels := []string{"a", "b", "aa", "ab", "*", "\x00", "\x01a", "\x01", "\xff", "-", "a\x00", "\x01a\x01b"}
	n := Root
	for range r.IntN(5) {
		n, _ = n.Child(labels[r.IntN(len(labels))])
	}
	return n
}

func TestTreeAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		a, b := randomName(r), randomName(r)
		checkPair(t, a, b)
	}
}

// checkPair compares what the tree functions say of two names with what their
// lists of labels say.
func checkPair(t *testing.T, a, b Name) {
	t.Helper()
	la, lb := naiveLabels(a), naiveLabels(b)
	if got, want := sign(Compare(a, b)), slices.Compare(la, lb); got != want {
		t.Fatalf("Compare(%s, %s): got %d, want %d", a, b, got, want)
	}
	shared := 0
	for shared < min(len(la), len(lb)) && la[shared] == lb[shared] {
		shared++
	}
	if got, want := CommonAncestor(a, b), a.Ancestor(shared); got != want {
		t.Fatalf("CommonAncestor(%s, %s): got %s, want %s", a, b, got, want)
	}
	if got, want := a.IsAtOrBelow(b), shared == len(lb); got != want {
		t.Fatalf("%s at or below %s: got %t, want %t", a, b, got, want)
	}
	if got, want := a.IsBelow(b), shared == len(lb) && len(la) > len(lb); got != want {
		t.Fatalf("%s below %s: got %t, want %t", a, b, got, want)
	}
	if got := naiveLabels(a.Ancestor(shared)); !slices.Equal(got, la[:shared]) {
		t.Fatalf("%s.Ancestor(%d): got %q, want %q", a, shared, got, la[:shared])
	}
	if a.IsAtOrBelow(b) {
		moved, err := a.Replace(b, Root)
		if want := la[shared:]; err != nil || !slices.Equal(naiveLabels(moved), want) {
			t.Fatalf("%s.Replace(%s, .): got %s, %v; want %q", a, b, moved, err, want)
		}
	}
}

// FuzzTree compares pairs of any two names with the naive implementation.
func FuzzTree(f *testing.F) {
	f.Add([]byte("\x03www\x07example\x00"), []byte("\x07example\x00"))            // ancestor
	f.Add([]byte("\x04\x03www\x07example\x00"), []byte("\x03www\x07example\x00")) // label boundary
	f.Add([]byte("\x00"), []byte("\x01\x00\x00"))                                 // root and NUL
	f.Add([]byte("\x01a\x01c\x00"), []byte("\x01b\x01c\x00"))                     // siblings
	f.Add([]byte(strings.Repeat("\x01a", 127)+"\x00"), []byte("\x01a\x00"))       // most labels
	f.Fuzz(func(t *testing.T, x, y []byte) {
		a, err := FromWire(x)
		if err != nil {
			return
		}
		b, err := FromWire(y)
		if err != nil {
			return
		}
		checkPair(t, a, b)
		checkPair(t, b, a)
	})
}

func BenchmarkIsAtOrBelow(b *testing.B) {
	n, zone := MustParse("a.b.www.example.com."), MustParse("example.com.")
	b.ReportAllocs()
	for b.Loop() {
		if !n.IsAtOrBelow(zone) {
			b.Fatal("not below")
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	x, y := MustParse("a.b.www.example.com."), MustParse("a.c.www.example.com.")
	b.ReportAllocs()
	for b.Loop() {
		if Compare(x, y) >= 0 {
			b.Fatal("wrong order")
		}
	}
}

// The tree functions are on the path of every record of every reply.
func TestTreeDoesNotAllocate(t *testing.T) {
	n, zone, other := MustParse("a.b.www.example.com."), MustParse("example.com."), MustParse("a.c.www.example.com.")
	got := testing.AllocsPerRun(100, func() {
		if !n.IsAtOrBelow(zone) || CommonAncestor(n, other).Labels() != 3 || Compare(n, other) >= 0 || n.Ancestor(2) != zone {
			t.Error("wrong result")
		}
	})
	if got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
