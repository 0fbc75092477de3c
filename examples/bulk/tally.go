package main

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// tally counts what came of the questions whose lines are written. The zero value has counted nothing.
type tally struct {
	before                    uint64 // lines that were there at the start, among the others
	answers, noData, nxDomain atomic.Uint64
	duplicates                atomic.Uint64     // among the others
	failures                  [16]atomic.Uint64 // by place in reasons
}

// ending is what a line says came of its question.
type ending struct {
	status    status
	reason    reason
	duplicate bool
}

// count adds a line.
func (t *tally) count(e ending) {
	if e.duplicate {
		t.duplicates.Add(1)
	}
	switch e.status {
	case statusAnswer:
		t.answers.Add(1)
	case statusNoData:
		t.noData.Add(1)
	case statusNXDomain:
		t.nxDomain.Add(1)
	case statusError:
		t.failures[placeOf(e.reason)].Add(1)
	}
}

// placeOf returns the place of a reason in reasons; one that is not known is the last.
func placeOf(why reason) int {
	for i, r := range reasons {
		if r == why {
			return i
		}
	}
	return len(reasons) - 1
}

// add adds what another has counted.
func (t *tally) add(other *tally) {
	t.answers.Add(other.answers.Load())
	t.noData.Add(other.noData.Load())
	t.nxDomain.Add(other.nxDomain.Load())
	t.duplicates.Add(other.duplicates.Load())
	for i := range t.failures {
		t.failures[i].Add(other.failures[i].Load())
	}
}

func (t *tally) failed() uint64 {
	var sum uint64
	for i := range t.failures {
		sum += t.failures[i].Load()
	}
	return sum
}

func (t *tally) all() uint64 {
	return t.answers.Load() + t.noData.Load() + t.nxDomain.Load() + t.failed()
}

// kinds returns the failures by reason, as text.
func (t *tally) kinds() string {
	var parts []string
	for i, why := range reasons {
		if n := t.failures[i].Load(); n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", why, n))
		}
	}
	if len(parts) == 0 {
		return "no failures"
	}
	return "failures: " + strings.Join(parts, ", ")
}

// summary returns what a run has done, for people. done says that the list is done.
func (b *batch) summary(done bool) string {
	t, took := b.tally, time.Since(b.start)
	asked, queries := t.all()-t.before, b.stats.SentUDP+b.stats.SentTCP
	perQuestion := 0.0
	if asked > 0 {
		perQuestion = float64(queries) / float64(asked)
	}
	text := fmt.Sprintf("%d questions: %d answers, %d without records of the type, %d names that do not exist, %d failures\n",
		t.all(), t.answers.Load(), t.noData.Load(), t.nxDomain.Load(), t.failed())
	if t.failed() > 0 {
		text += t.kinds() + "\n"
	}
	if n := t.duplicates.Load(); n > 0 {
		text += fmt.Sprintf("%d of them are in the lists before (duplicate)\n", n)
	}
	if t.before > 0 {
		text += fmt.Sprintf("%d of them were there before\n", t.before)
	}
	if done && t.before > 0 && asked == 0 {
		return text + "nothing was left to do\n"
	}
	text += fmt.Sprintf("%d in %v, %.0f a second, %d queries to servers, %.2f a question\n",
		asked, took.Round(time.Millisecond), float64(asked)/max(took.Seconds(), 0.001), queries, perQuestion)
	if s := b.stats.SecondLevel; b.config.secondLevel != "" {
		text += fmt.Sprintf("second level: %d hits, %d misses, %d errors, %d writes\n", s.Hits, s.Misses, s.Errors, s.Writes)
	}
	return text
}
