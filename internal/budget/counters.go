package budget

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
)

// Counters are the counters that Stats reads.
type Counters struct {
	Questions, FromCache striped

	Stale, StaleOverBogus                       atomic.Uint64
	FromFallback                                atomic.Uint64 // questions answered by the fallback
	SentUDP, SentTCP, Received, TimedOut        atomic.Uint64
	SentTLS                                     atomic.Uint64 // of SentTCP
	Prefetched, PrefetchFailed, PrefetchDropped atomic.Uint64

	Failures      [len(failure.Table)]atomic.Uint64
	Bogus         [dnssec.ReasonUnavailable + 1]atomic.Uint64
	Dropped       [DropReasons]atomic.Uint64
	LeftOut       [Excesses]atomic.Uint64
	LimitsReached limits.Counters
}

// Drop counts a message that was not accepted as a reply.
func (c *Counters) Drop(why DropReason) { c.Dropped[why].Add(1) }

// Leave counts that a reply had too much of something.
func (c *Counters) Leave(what Excess) { c.LeftOut[what].Add(1) }

// Asked counts a question and its outcome.
func (c *Counters) Asked(fromCache, stale bool, err error) {
	c.Questions.add()
	if err == nil {
		if fromCache {
			c.FromCache.add()
		}
		if stale {
			c.Stale.Add(1)
		}
		return
	}
	f := failure.Of(err)
	c.Failures[f.Counted()].Add(1)
	if f.Reaches(limits.Time) {
		c.LimitsReached.Count(limits.Time) // it is not counted where it is reached
	}
}

// Sent counts a query to a server.
func (c *Counters) Sent(network string, overTLS bool) {
	if overTLS {
		c.SentTLS.Add(1)
	}
	if network == "tcp" {
		c.SentTCP.Add(1)
		return
	}
	c.SentUDP.Add(1)
}

// Judged counts a bogus verdict, and one that NSEC3Iterations made insecure.
func (c *Counters) Judged(v *dnssec.Verdict) {
	if v.Status == dnssec.Bogus && int(v.Reason.Code) < len(c.Bogus) {
		c.Bogus[v.Reason.Code].Add(1)
	}
	if v.Reason.Code == dnssec.ReasonIterations {
		c.LimitsReached.Count(limits.NSEC3Iterations)
	}
}

// striped is a counter spread over cache lines, for events so frequent that cores would
// wait for each other.
type striped [16]struct {
	n atomic.Uint64
	_ [120]byte // a line of its own, also where lines are fetched in pairs
}

func (s *striped) add() { s[rand.Uint32()%uint32(len(s))].n.Add(1) }

func (s *striped) Sum() (n uint64) {
	for i := range s {
		n += s[i].n.Load()
	}
	return n
}

// DropReason is why a message that arrived was not accepted as a reply; resolver.DropReason
// says what each means.
type DropReason uint8

const (
	DroppedForeign DropReason = iota
	DroppedID
	DroppedCase
	DroppedCookie
	DroppedReferral
	DroppedMalformed

	DropReasons = iota
)

// Excess is what a reply had more of than is kept; resolver.Excess says what each
// means.
type Excess uint8

const (
	ExcessServers Excess = iota
	ExcessGlue
	ExcessSignatures
	ExcessDenials
	ExcessTypes
	ExcessAliases
	ExcessRecords

	Excesses = iota
)

// MessageError returns why a reply cannot be parsed: it goes beyond a bound, which is
// counted, or is malformed.
func (c *Counters) MessageError(err error) error {
	if l, value, ok := limits.OfMessage(err); ok {
		return fmt.Errorf("%w: %w", c.LimitsReached.Exceeded(l, value), err)
	}
	return fmt.Errorf("%w: %w", failure.ErrUnreadable, err)
}
