package main

import (
	"testing"
	"time"
)

// busy is a window in which all places are taken and nothing is wrong.
func busy(c *controller) observation {
	return observation{inFlight: c.limit, done: c.limit * 10, sent: c.limit * 15, lost: c.limit / 10, latency: 30 * time.Millisecond}
}

func TestControllerGrows(t *testing.T) {
	c := newController(16, 1000)
	for range 20 {
		c.observe(busy(c))
	}
	if c.limit != 1000 {
		t.Errorf("got a limit of %d where more is better, want 1000", c.limit)
	}
}

func TestControllerCuts(t *testing.T) {
	for name, bad := range map[string]func(*observation){
		"replies are slow":       func(o *observation) { o.latency = 200 * time.Millisecond },
		"replies are lost":       func(o *observation) { o.lost = o.sent / 2 },
		"the processor is late":  func(o *observation) { o.late = 100 * time.Millisecond },
		"descriptors run out":    func(o *observation) { o.starved = true },
		"servers' rates are met": func(o *observation) { o.paced = o.inFlight * 3 / 4 },
	} {
		c := newController(16, 1000)
		for range 5 {
			c.observe(busy(c))
		}
		before := c.limit
		o := busy(c)
		bad(&o)
		if after := c.observe(o); after >= before {
			t.Errorf("%s: got a limit of %d after %d, want less", name, after, before)
		}
		for range 100 {
			o := busy(c)
			bad(&o)
			c.observe(o)
			if c.limit < c.min || c.limit > c.max {
				t.Fatalf("%s: got a limit of %d, want %d to %d", name, c.limit, c.min, c.max)
			}
		}
	}
}

// TestControllerPlateau: where more questions under way bring no more answers, the limit goes back to
// what it was.
func TestControllerPlateau(t *testing.T) {
	c := newController(16, 10_000)
	const most = 2000 // answers a window
	largest := 0
	for range 200 {
		o := busy(c)
		o.done = min(o.done, most)
		c.observe(o)
		largest = max(largest, c.limit)
	}
	if largest > 10*most/10 || c.limit > most/2 {
		t.Errorf("got a limit of %d at the end and %d at most, want about %d", c.limit, largest, most/10)
	}
}

// TestControllerUsualLoss: a list with many dead servers is no congestion.
func TestControllerUsualLoss(t *testing.T) {
	c := newController(16, 1000)
	for range 40 {
		o := busy(c)
		o.lost = o.sent / 3
		c.observe(o)
	}
	if c.limit != 1000 {
		t.Errorf("got a limit of %d, want 1000", c.limit)
	}
}

// TestControllerIdle: the limit does not grow while it is not used.
func TestControllerIdle(t *testing.T) {
	c := newController(16, 1000)
	before := c.limit
	for range 40 {
		c.observe(observation{inFlight: before / 4, done: 10, sent: 100, latency: time.Millisecond})
	}
	if c.limit != before {
		t.Errorf("got a limit of %d, want %d", c.limit, before)
	}
}
