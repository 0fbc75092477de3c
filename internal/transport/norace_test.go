//go:build !race

package transport

// raceDetector says that the race detector is on, under which sync.Pool drops some of what it is
// given.
const raceDetector = false
