// Package rescue decides where a panic of a function that the program supplies (a Dial, a hook, a
// store) goes: to the caller whose question began the work, and nowhere else. Such a function may
// also end its goroutine with runtime.Goexit, as testing.T.FailNow does.
//
// In comes work that may do either; out comes an error, [Panic] or [ErrAborted], that Again turns
// into the panic on the caller's goroutine. It never hides a failure from the caller that it
// belongs to, and never lets it end a goroutine that serves others.
package rescue

import (
	"errors"
	"fmt"
)

// ErrAborted says that a function of the program did not return: it panicked, or ended its
// goroutine. Work is given this error before it begins, since runtime.Goexit leaves no other
// chance to set one.
var ErrAborted = errors.New("a function of the program panicked or ended its goroutine")

// Panic is a panic on its way to the goroutine of the caller that it belongs to.
type Panic struct{ Value any }

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Unwrap returns ErrAborted.
func (p *Panic) Unwrap() error { return ErrAborted }

// Into is deferred, and puts a panic into err:
//
//	err = rescue.ErrAborted
//	defer rescue.Into(&err)
//	err = work()
func Into(err *error) {
	if v := recover(); v != nil {
		*err = &Panic{v}
	}
}

// Quietly is deferred in goroutines without a caller that a panic could go to. Functions deferred
// after it release what the work holds.
func Quietly() { _ = recover() }

// Again panics as before if err is a Panic, or wraps one.
func Again(err error) {
	if p, ok := errors.AsType[*Panic](err); ok {
		panic(p.Value)
	}
}

// Shared returns err for callers that only waited for the work of another one: a panic does not go to them.
func Shared(err error) error {
	if p, ok := errors.AsType[*Panic](err); ok {
		return fmt.Errorf("%w: %v", ErrAborted, p.Value)
	}
	return err
}

// Guarded returns work for a goroutine. When that has ended, err says how: it is nil if work
// returned.
func Guarded(err *error, work func()) func() {
	return func() {
		*err = ErrAborted
		defer Into(err)
		work()
		*err = nil
	}
}
