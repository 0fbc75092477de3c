package localroot

import (
	"errors"
	"fmt"
)

// Fault says in what way a source, or a copy of the zone, is of no use.
type Fault uint8

// The faults. resolver.LocalRootFault says what each means.
const (
	FaultSource Fault = iota
	FaultSize
	FaultSyntax
	FaultUnverifiable
	FaultDigest
	FaultSignature
	FaultSerial
	FaultExpired
	FaultFile
	Faults int = iota
)

// Error says why a copy of the zone was not taken, or not kept in the file.
type Error struct {
	Fault  Fault
	Source string // "" until it is known
	Serial uint32 // of the copy; 0: not known
	Err    error
}

func (e *Error) Error() string {
	if e.Serial != 0 {
		return fmt.Sprintf("%s: serial %d: %v", e.Source, e.Serial, e.Err)
	}
	return e.Source + ": " + e.Err.Error()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

func faultf(f Fault, format string, args ...any) error {
	return &Error{Fault: f, Err: fmt.Errorf(format, args...)}
}

// from returns err as an *Error with its source; an error of another kind is the source's own.
func from(source string, err error) *Error {
	e := new(Error)
	if found := (*Error)(nil); errors.As(err, &found) {
		*e = *found
	} else {
		e.Fault, e.Err = FaultSource, err
	}
	e.Source = source
	return e
}
