//go:build !race

package probes

// Look counts a look into a part of the cache, which takes a lock.
func Look() {}

// Hash counts a name that is hashed.
func Hash() {}
