package resolver

import "time"

// stagger makes what one event sets going go on one after the other in time: the
// goroutines that begin at the same instant, or wait for the same thing. It draws how
// long each has to wait. It is nil, and nobody waits, but in tests under virtual time
// that must repeat exactly, where who comes first must not be left to Go's scheduler.
type stagger func() time.Duration

// pause draws a wait now, in the order of the program, and gives what waits it later,
// when the order is nobody's.
func (s stagger) pause() func() {
	if s == nil {
		return func() {}
	}
	wait := s()
	return func() { time.Sleep(wait) }
}

// delayed gives work that begins after a wait of its own.
func (s stagger) delayed(work func()) func() {
	if s == nil {
		return work
	}
	pause := s.pause()
	return func() {
		pause()
		work()
	}
}
