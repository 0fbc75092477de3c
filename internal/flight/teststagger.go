package flight

import "time"

// stagger makes goroutines that one event sets going continue one after the other: those
// that begin at the same instant, or wait for the same thing. It draws how long each has to
// wait. It is nil, and there is no wait, except in tests under virtual time that must repeat
// exactly, where the order must not be left to Go's scheduler.
type stagger func() time.Duration

// Pause draws a wait now, in the order of the program, and returns the function that waits
// it later, when the order is not defined.
func (s stagger) Pause() func() {
	if s == nil {
		return func() {}
	}
	wait := s()
	return func() { time.Sleep(wait) }
}

// Delayed returns work that begins after a wait of its own.
func (s stagger) Delayed(work func()) func() {
	if s == nil {
		return work
	}
	pause := s.Pause()
	return func() {
		pause()
		work()
	}
}
