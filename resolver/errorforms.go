package resolver

import (
	"errors"
	"slices"

	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
)

// The engine has errors of its own for what LimitError, RouteError and Refusal say. shown makes
// those that callers know of them, and handedIn the engine's of those that the program returns.

// shown returns an error of the engine as callers see it: the same tree, with a *LimitError, a
// *RouteError or an error of the program's in each place where the engine has its own.
func shown(err error) error {
	switch e := err.(type) {
	case *limits.Error:
		return (*LimitError)(e)
	case *routes.Error:
		return &RouteError{Zone: e.Zone, Err: shown(e.Err)}
	case *failure.OutsideError:
		return shown(e.Err)
	}
	switch _, several := err.(interface{ Unwrap() []error }); {
	case !isOfEngine(err):
		return err
	case several:
		return &shownErrors{err}
	}
	return &shownError{err}
}

// isOfEngine reports whether there is an error in the tree that callers do not know.
func isOfEngine(err error) bool {
	switch err.(type) {
	case *limits.Error, *routes.Error, *failure.OutsideError:
		return true
	}
	return slices.ContainsFunc(failure.Wrapped(err), isOfEngine)
}

// shownError is an error that wraps one of the engine's.
type shownError struct{ err error }

func (e *shownError) Error() string { return e.err.Error() }

// As finds the types in the tree that callers know.
func (e *shownError) As(target any) bool { return asShown(e.err, target) }

// Unwrap returns the cause, as callers see it.
func (e *shownError) Unwrap() error { return shown(errors.Unwrap(e.err)) }

// shownErrors is a shownError that wraps several.
type shownErrors struct{ err error }

func (e *shownErrors) Error() string { return e.err.Error() }

// As finds the types in the tree that callers know.
func (e *shownErrors) As(target any) bool { return asShown(e.err, target) }

// Unwrap returns the causes, as callers see them.
func (e *shownErrors) Unwrap() []error {
	var causes []error
	for _, err := range failure.Wrapped(e.err) {
		causes = append(causes, shown(err))
	}
	return causes
}

// asShown is errors.As, except for the types that only Unwrap makes.
func asShown(err error, target any) bool {
	switch target.(type) {
	case **LimitError, **RouteError:
		return false
	}
	return errors.As(err, target)
}

// handedIn returns an error of the program's in a form in which the engine knows what it says.
func handedIn(err error) error {
	if known := engineForms(err); len(known) > 0 {
		return &failure.OutsideError{Err: err, Known: known}
	}
	return err
}

// engineForms returns the engine's forms of the errors in a tree that it does not know. An *Error
// is not among them, as it has the method As.
func engineForms(err error) []error {
	switch e := err.(type) {
	case *LimitError:
		return []error{(*limits.Error)(e)}
	case *Refusal:
		return []error{&failure.RefusedError{Err: e, Rcode: e.rcode(), Extended: failure.ExtendedError(e.extended())}}
	case *shownError:
		return []error{e.err}
	case *shownErrors:
		return []error{e.err}
	case *Error:
		return nil
	}
	var forms []error
	for _, each := range failure.Wrapped(err) {
		forms = append(forms, engineForms(each)...)
	}
	return forms
}
