package main

import (
	"slices"
	"time"
)

// window is how long the controller watches before it changes the limit.
const window = 500 * time.Millisecond

// Bounds by which the controller judges a window.
const (
	// lateWake is how late a timer may be: the processor has more work than it can do.
	lateWake = 30 * time.Millisecond
	// slowFactor and slowSlack are by how much replies may take longer than they usually do:
	// beyond that they wait in a queue, here or on the way.
	slowFactor, slowSlack = 2, 20 * time.Millisecond
	// lossFactor and lossSlack are the same for the part of the queries that get no reply. Lists
	// have dead servers, so that what is usual counts.
	lossFactor, lossSlack = 2, 0.10
	// fewQueries says too little about latency and loss.
	fewQueries = 50
	// usualWindows is how many windows say what is usual.
	usualWindows = 60
	// inVain is how many increases may bring no more answers before they are taken back, and
	// gain by how much more they have to bring.
	inVain = 3
	gain   = 1.05
	// rest is for how many windows the limit stays after that, and after a cut.
	rest, restAfterCut = 20, 4
)

// observation is what was seen in a window.
type observation struct {
	inFlight int           // questions under way, at the end
	paced    int           // queries that wait for the rate of a server
	done     int           // questions that ended
	sent     int           // queries
	lost     int           // queries without a reply
	latency  time.Duration // median of the round-trip times; 0: none
	late     time.Duration // how late a timer was at most
	starved  bool          // descriptors ran out
}

// controller chooses how many questions are under way. It begins with the least, grows by half while
// that is free of signs of congestion, then by a sixteenth, and cuts a fifth off when replies take
// longer than usual, get lost more often than usual, or the processor is late.
type controller struct {
	min, max int
	limit    int

	steady    bool            // there was congestion: the limit grows slowly
	resting   int             // windows until it grows again
	latencies []time.Duration // of the last windows
	losses    []float64
	failed    int // increases in vain
	before    int // the limit before the first of these
	rate      int // answers of the window before the last increase
}

func newController(least, most int) *controller {
	return &controller{min: least, max: most, limit: min(max(least, 64), most)}
}

// observe takes what was seen and returns the limit for the next window.
func (c *controller) observe(o observation) int {
	congested := o.starved || o.late > lateWake || c.isSlow(o) || c.isLossy(o)
	c.remember(o)
	switch {
	case o.starved:
		c.cut(c.limit / 2)
	case congested:
		c.cut(c.limit * 4 / 5)
	case o.paced > o.inFlight/2:
		c.cut(c.limit * 9 / 10) // they wait for servers, and more would wait longer
	case c.resting > 0:
		c.resting--
	case o.inFlight < c.limit*9/10:
		// The list, or the disk, is what is slow.
	default:
		c.grow(o)
	}
	return c.limit
}

func (c *controller) isSlow(o observation) bool {
	return o.sent >= fewQueries && len(c.latencies) > 0 && o.latency > slowFactor*slices.Min(c.latencies)+slowSlack
}

func (c *controller) isLossy(o observation) bool {
	if o.sent < fewQueries || len(c.losses) == 0 {
		return false
	}
	usual := slices.Sorted(slices.Values(c.losses))[len(c.losses)/2]
	return float64(o.lost)/float64(o.sent) > lossFactor*usual+lossSlack
}

// remember adds a window to what is usual.
func (c *controller) remember(o observation) {
	if o.sent < fewQueries {
		return
	}
	c.losses = append(c.losses, min(1, float64(o.lost)/float64(o.sent)))
	c.losses = c.losses[max(0, len(c.losses)-usualWindows):]
	if o.latency > 0 {
		c.latencies = append(c.latencies, o.latency)
		c.latencies = c.latencies[max(0, len(c.latencies)-usualWindows):]
	}
}

func (c *controller) cut(to int) {
	c.limit = max(c.min, to)
	c.steady, c.resting, c.failed, c.rate = true, restAfterCut, 0, 0
}

// grow raises the limit, unless the last increases have brought nothing.
func (c *controller) grow(o observation) {
	if c.rate > 0 && float64(o.done) < gain*float64(c.rate) {
		if c.failed++; c.failed >= inVain {
			c.limit, c.steady, c.resting, c.failed, c.rate = max(c.min, c.before), true, rest, 0, 0
			return
		}
	} else {
		c.failed, c.before, c.rate = 0, c.limit, o.done
	}
	step := c.limit / 2
	if c.steady {
		step = c.limit / 16
	}
	c.limit = min(c.max, c.limit+max(1, step))
}
