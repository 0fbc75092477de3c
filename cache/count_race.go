//go:build race

package cache

import "sync/atomic"

// What was counted: looks into a shard, and hashes of a name.
var probesCounted, hashesCounted atomic.Int64

func countProbe() { probesCounted.Add(1) }

func countHash() { hashesCounted.Add(1) }
