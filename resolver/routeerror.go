package resolver

import "fmt"

// routeError is an error of a question that names the route it failed by. Its fields are those
// of resolver.RouteError, so that the one converts to the other.
type routeError struct {
	Zone string // of the route
	Err  error
}

func (e *routeError) Error() string {
	return fmt.Sprintf("route for %s: %s", e.Zone, printableLines(fmt.Sprint(e.Err)))
}

// Unwrap returns the cause.
func (e *routeError) Unwrap() error { return e.Err }

// failed returns the error of a question that failed by the route.
func (rt *route) failed(err error) *routeError { return &routeError{Zone: rt.zone.String(), Err: err} }
