package resolver

import (
	"reflect"
	"sync"
	"testing"
)

// No hook is forgotten when hooks are guarded.
func TestGuardedTrace(t *testing.T) {
	original := reflect.ValueOf(new(Trace)).Elem()
	called := 0
	for _, field := range original.Fields() {
		field.Set(reflect.MakeFunc(field.Type(), func([]reflect.Value) []reflect.Value { called++; return nil }))
	}
	var mu sync.Mutex
	open := true
	guarded := reflect.ValueOf(original.Addr().Interface().(*Trace).guarded(&mu, func() bool {
		if mu.TryLock() {
			t.Error("a hook is called without the lock")
		}
		return open
	})).Elem()
	for _, open = range []bool{true, false} {
		called = 0
		want := 0
		for i := range guarded.NumField() {
			hook := guarded.Field(i)
			if hook.IsNil() {
				t.Fatalf("%s is forgotten", guarded.Type().Field(i).Name)
			}
			hook.Call([]reflect.Value{reflect.Zero(hook.Type().In(0))})
			if open {
				want++
			}
		}
		if called != want {
			t.Errorf("open %t: got %d calls, want %d", open, called, want)
		}
	}
	if empty := new(Trace).guarded(&mu, nil); !reflect.ValueOf(*empty).IsZero() {
		t.Error("guarding made hooks of none")
	}
}
