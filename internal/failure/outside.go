package failure

// Errors that the program hands in may have types of package resolver in their trees, which the
// engine does not know. Those below carry the engine's forms of them, for Of.

// HookError is the error of a hook that refuses a question, or fails.
type HookError struct {
	Err   error
	Known []error // the engine's forms of errors in err's tree
}

func (e *HookError) Error() string { return e.Err.Error() }

// Unwrap returns the hook's error.
func (e *HookError) Unwrap() error { return e.Err }

// OutsideError is an error of another function of the program's, such as an Exchanger.
type OutsideError struct {
	Err   error
	Known []error // likewise
}

func (e *OutsideError) Error() string { return e.Err.Error() }

// Unwrap returns the program's error.
func (e *OutsideError) Unwrap() error { return e.Err }

// RefusedError is the error with which a hook refuses a question.
type RefusedError struct {
	Err      error // the hook's
	Rcode    int
	Extended ExtendedError
}

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the hook's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// ToldError is what an error that a resolver has returned says about itself. The method As of
// such an error fills it in: they come in again from hooks and Exchangers that ask a resolver,
// and as causes of the end of contexts.
type ToldError struct {
	Err      error // the one that says it
	Bogus    bool
	Extended ExtendedError
	Known    []error // likewise, of its cause
}

// Error makes it an error, as errors.As panics for targets that are none.
func (e *ToldError) Error() string { return e.Err.Error() }
