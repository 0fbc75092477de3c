package resolver

// Errors that the program hands in may have types of package resolver in their trees, which the
// engine does not know. Those below carry the engine's forms of them, for failureOf.

// hookError is the error of a hook that refuses a question, or fails.
type hookError struct {
	err   error
	known []error // the engine's forms of errors in err's tree
}

func (e *hookError) Error() string { return e.err.Error() }

// Unwrap returns the hook's error.
func (e *hookError) Unwrap() error { return e.err }

// outsideError is an error of another function of the program's, such as an Exchanger.
type outsideError struct {
	err   error
	known []error // likewise
}

func (e *outsideError) Error() string { return e.err.Error() }

// Unwrap returns the program's error.
func (e *outsideError) Unwrap() error { return e.err }

// refusedError is the error with which a hook refuses a question.
type refusedError struct {
	err      error // the hook's
	rcode    int
	extended extendedError
}

func (e *refusedError) Error() string { return e.err.Error() }

// Unwrap returns the hook's error.
func (e *refusedError) Unwrap() error { return e.err }

// toldError is what an error that a resolver has returned says about itself. The method As of
// such an error fills it in: they come in again from hooks and Exchangers that ask a resolver,
// and as causes of the end of contexts.
type toldError struct {
	err      error // the one that says it
	bogus    bool
	extended extendedError
	known    []error // likewise, of its cause
}

// Error makes it an error, as errors.As panics for targets that are none.
func (e *toldError) Error() string { return e.err.Error() }
