package main

import (
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// startingPoint says where a run that may not get to the end begins, as a part of all
// mutants between 0 and 1. It is another one for another commit, by its hash, and on another
// day: steps of the golden section come near every place soon, and never in a circle.
func startingPoint(root string, now time.Time) float64 {
	const golden = 0.6180339887498949
	days := now.Unix() / (24 * 60 * 60)
	at := commitPoint(root) + golden*float64(days)
	return at - float64(int64(at))
}

// commitPoint is the hash of the commit at root as a number from 0 to 1, and 0 without one.
func commitPoint(root string) float64 {
	hash, err := exec.Command("git", "-c", "safe.directory=*", "-C", root, "rev-parse", "HEAD").Output()
	if err != nil || len(hash) < 8 {
		return 0
	}
	number, err := strconv.ParseUint(strings.TrimSpace(string(hash[:8])), 16, 32)
	if err != nil {
		return 0
	}
	return float64(number) / (1 << 32)
}

// turn moves what is before a part of a list behind the rest.
func turn[T any](list []T, part float64) {
	at := int(part * float64(len(list)))
	turned := append(append([]T(nil), list[at:]...), list[:at]...)
	copy(list, turned)
}
