// Package flight does equal work once: those who ask for the same thing at the same time share
// one flight.
//
// In come a key, a piece of work and the caller that waits; out comes what the work returned, to
// all that wait. The package decides who leads, and in which goroutine: that of the caller, if its
// context is that of a flight (flight.go) or it has a place that it can be made to leave (place.go).
// It decides when a flight ends because nobody waits any more, who panics when the function does,
// and that no loop of flights waiting for each other ever closes (circle.go). It also runs all
// background work, so that Close can wait for it.
//
// It never looks at the work or its result, and nothing is kept when a flight has ended: the
// cache is for that.
//
// It is the defence of RFC 5452 §5 against birthday attacks. Unbound has it in the mesh and
// its dependency cycles (mesh_detect_cycle); Knot Resolver's word is subrequest
// (daemon/worker.c).
package flight
