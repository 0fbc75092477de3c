package routes

import (
	"fmt"

	"github.com/iterdns/iterdns/internal/printable"
)

// Error is an error of a question that names the route it failed by. Its fields are those
// of resolver.RouteError, so that the one converts to the other.
type Error struct {
	Zone string // of the route
	Err  error
}

func (e *Error) Error() string {
	return fmt.Sprintf("route for %s: %s", e.Zone, printable.Lines(fmt.Sprint(e.Err)))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// OptionError says that an option makes no sense. Its fields are those of resolver.OptionError, so
// that the one converts to the other.
type OptionError struct {
	Option string // the name of the field of resolver.Options
	Err    error
}

func (e *OptionError) Error() string { return "resolver: options: " + e.Option + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *OptionError) Unwrap() error { return e.Err }

// Failed returns the error of a question that failed by the route.
func (rt *Route) Failed(err error) *Error { return &Error{Zone: rt.Zone.String(), Err: err} }
