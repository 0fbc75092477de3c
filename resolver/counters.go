package resolver

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/iterdns/iterdns/dnssec"
)

// counts are the counters that Stats reads.
type counts struct {
	questions, fromCache striped

	stale                                       atomic.Uint64
	sentUDP, sentTCP, received, timedOut        atomic.Uint64
	prefetched, prefetchFailed, prefetchDropped atomic.Uint64

	failures [len(failureTable)]atomic.Uint64
	bogus    [dnssec.ReasonUnavailable + 1]atomic.Uint64
	dropped  [dropReasonCount]atomic.Uint64
	leftOut  [excessCount]atomic.Uint64
	refusals refusals
}

// drop counts a message that was not accepted as a reply.
func (c *counts) drop(why dropReason) { c.dropped[why].Add(1) }

// leave counts that a reply had too much of something.
func (c *counts) leave(what excess) { c.leftOut[what].Add(1) }

// asked counts a question and its outcome.
func (c *counts) asked(fromCache, stale bool, err error) {
	c.questions.add()
	if err == nil {
		if fromCache {
			c.fromCache.add()
		}
		if stale {
			c.stale.Add(1)
		}
		return
	}
	f := failureOf(err)
	c.failures[f.counted()].Add(1)
	if f.reaches(limitTime) {
		c.refusals.count(limitTime) // it is not counted where it is reached
	}
}

// sent counts a query to a server.
func (c *counts) sent(network string) {
	if network == "tcp" {
		c.sentTCP.Add(1)
		return
	}
	c.sentUDP.Add(1)
}

// judged counts a bogus verdict, and one that NSEC3Iterations made insecure.
func (c *counts) judged(v *dnssec.Verdict) {
	if v.Status == dnssec.Bogus && int(v.Reason.Code) < len(c.bogus) {
		c.bogus[v.Reason.Code].Add(1)
	}
	if v.Reason.Code == dnssec.ReasonIterations {
		c.refusals.count(limitNSEC3Iterations)
	}
}

// striped is a counter spread over cache lines, for events so frequent that cores would
// wait for each other.
type striped [16]struct {
	n atomic.Uint64
	_ [120]byte // a line of its own, also where lines are fetched in pairs
}

func (s *striped) add() { s[rand.Uint32()%uint32(len(s))].n.Add(1) }

func (s *striped) sum() (n uint64) {
	for i := range s {
		n += s[i].n.Load()
	}
	return n
}

// dropReason is why a message that arrived was not accepted as a reply; DropReason says what
// each means.
type dropReason uint8

const (
	droppedForeign dropReason = iota
	droppedID
	droppedCase
	droppedCookie
	droppedReferral
	droppedMalformed

	dropReasonCount = iota
)

// excess is what a reply had more of than is kept; Excess says what each means.
type excess uint8

const (
	excessServers excess = iota
	excessGlue
	excessSignatures
	excessDenials
	excessTypes
	excessAliases
	excessRecords

	excessCount = iota
)

// messageError returns why a reply cannot be parsed: it goes beyond a bound, which is
// counted, or is malformed.
func (c *counts) messageError(err error) error {
	if l, value, ok := limitOfMessage(err); ok {
		return fmt.Errorf("%w: %w", c.refusals.refuse(l, value), err)
	}
	return fmt.Errorf("%w: %w", errUnreadable, err)
}
