//go:build !race

package cache

// countProbe and countHash count what a question costs, in builds with the race detector, for
// tests.
func countProbe() {}

func countHash() {}
