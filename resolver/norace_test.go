//go:build !race

package resolver_test

// raceDetector says that the race detector is on, under which everything takes many times
// as long.
const raceDetector = false
