package answer

import "testing"

// TestKinds: each kind has a name, and is final or not.
func TestKinds(t *testing.T) {
	seen := make(map[string]bool)
	for k := KindUnusable; k <= KindRecursive; k++ {
		if s := k.String(); s == "unknown" || seen[s] {
			t.Errorf("kind %d is called %q", k, s)
		} else {
			seen[s] = true
		}
		if want := k != KindUnusable && k != KindLame && k != KindRecursive; k.Final() != want {
			t.Errorf("%s: final %t, want %t", k, k.Final(), want)
		}
	}
	if s := (KindRecursive + 1).String(); s != "unknown" || (KindRecursive + 1).Final() {
		t.Errorf("what is no kind is called %q", s)
	}
}
