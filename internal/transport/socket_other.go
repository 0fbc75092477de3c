//go:build !linux && !darwin && !freebsd && !windows

package transport

import (
	"errors"
	"syscall"
)

// dontFragment4 does nothing: this system has no such option, or none that was
// tried. Queries are small enough not to be fragmented.
func dontFragment4(uintptr) {}

// dontFragment6 does nothing, as dontFragment4.
func dontFragment6(uintptr) {}

// portTaken reports whether another port may be bound where this one was not.
func portTaken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EACCES)
}
