package failure

import (
	"errors"
	"testing"
)

// TestJoinedText: each cause is told once, and no more of them than fit on a line.
func TestJoinedText(t *testing.T) {
	e := func(texts ...string) (errs []error) {
		for _, text := range texts {
			errs = append(errs, errors.New(text))
		}
		return errs
	}
	for _, test := range []struct {
		errs []error
		want string
	}{
		{e("a"), "a"},
		{e("a", "b"), "a; b"},
		{e("a", "a"), "a"},
		{e("a", "b", "a", "c", "b"), "a; b; c"},
		{e("a", "b", "c", "d", "a"), "a; b; c; d"},
		{e("a", "b", "c", "d", "e", "a", "f"), "a; b; c; d; and 2 more"},
	} {
		if got := Join(test.errs).Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if Join(nil) != nil {
		t.Error("no errors are an error")
	}
}
