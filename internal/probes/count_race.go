//go:build race

package probes

import "sync/atomic"

var looks, hashes atomic.Int64

// Look counts a look into a part of the cache, which takes a lock.
func Look() { looks.Add(1) }

// Hash counts a name that is hashed.
func Hash() { hashes.Add(1) }

// Counts is what has been counted.
type Counts struct{ Looks, Hashes int64 }

// Counted returns the counts so far.
func Counted() Counts { return Counts{looks.Load(), hashes.Load()} }

// Since returns what has been counted since before.
func (before Counts) Since() Counts {
	now := Counted()
	return Counts{now.Looks - before.Looks, now.Hashes - before.Hashes}
}
