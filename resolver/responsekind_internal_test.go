package resolver

import "testing"

// TestKinds: each kind has a name, and is final or not.
func TestKinds(t *testing.T) {
	seen := make(map[string]bool)
	for k := kindUnusable; k <= kindRecursive; k++ {
		if s := k.String(); s == "unknown" || seen[s] {
			t.Errorf("kind %d is called %q", k, s)
		} else {
			seen[s] = true
		}
		if want := k != kindUnusable && k != kindLame && k != kindRecursive; k.final() != want {
			t.Errorf("%s: final %t, want %t", k, k.final(), want)
		}
	}
	if s := (kindRecursive + 1).String(); s != "unknown" || (kindRecursive + 1).final() {
		t.Errorf("what is no kind is called %q", s)
	}
}
