package rescue

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// Work that does not return leaves an error that says so, and a panic keeps its value.
func TestGuarded(t *testing.T) {
	for _, tt := range []struct {
		work    func()
		aborted bool
		value   any
	}{
		{func() {}, false, nil},
		{func() { panic("boom") }, true, "boom"},
		{func() { runtime.Goexit() }, true, nil},
	} {
		var err error
		var all sync.WaitGroup
		all.Go(Guarded(&err, tt.work))
		all.Wait()
		var p *Panic
		if errors.Is(err, ErrAborted) != tt.aborted || errors.As(err, &p) != (tt.value != nil) || p != nil && p.Value != tt.value {
			t.Errorf("got %v, want aborted %t with %v", err, tt.aborted, tt.value)
		}
	}
}

// The leader panics with the same value, also when the error was wrapped; others get an error
// that is no panic any more.
func TestAgainAndShared(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &Panic{42})
	got := func() (v any) {
		defer func() { v = recover() }()
		Again(err)
		return nil
	}()
	if got != 42 {
		t.Errorf("got %v, want the value", got)
	}
	shared := Shared(err)
	Again(shared)
	if !errors.Is(shared, ErrAborted) {
		t.Errorf("got %v", shared)
	}
	if other := errors.New("other"); Shared(other) != other || Shared(nil) != nil {
		t.Error("an error that is no panic was changed")
	}
	Again(nil)
}

// Nothing is left of a panic that is for nobody.
func TestQuietly(t *testing.T) {
	func() {
		defer Quietly()
		panic("boom")
	}()
}
