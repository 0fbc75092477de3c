// Package rescue keeps what a function of the program's does to its goroutine from going further
// than the work it was called for. Such a function (a Dial, a hook, a store) may panic, or end the
// goroutine with runtime.Goexit as testing.T.FailNow does; it runs on goroutines that others
// wait for, and on some that nobody can recover in.
package rescue

import (
	"errors"
	"fmt"
)

// ErrAborted says that a function of the program's did not return: it panicked, or ended its
// goroutine. It is also what work comes to until it has returned, since nothing can be recovered
// of a goroutine that is being ended.
var ErrAborted = errors.New("a function of the program's panicked or ended its goroutine")

// Panic is a panic on its way to the goroutine that it is for.
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

// Quietly is deferred where nobody is there whom a panic would be for. What the work owes others
// is given back by functions deferred after it.
func Quietly() { _ = recover() }

// Again panics as before if err is a Panic, or wraps one.
func Again(err error) {
	if p, ok := errors.AsType[*Panic](err); ok {
		panic(p.Value)
	}
}

// Shared returns err for those who only waited for the work: a panic is none of theirs.
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
