//go:build !race

package cache

// raceDetector says that the race detector is on, under which memory has other sizes
// and everything takes many times as long.
const raceDetector = false
