package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

const (
	// heapShare is what the resolver may hold, as a part of the limit of its cache: a tenth
	// more (attacks.md section 4, gate 8).
	heapShare = 1.1
	// heapRest is what may be left when the resolver is gone, in bytes: signatures that the
	// servers have made meanwhile, and the descriptors of goroutines, half a kibibyte for each
	// that there was at the same time, which the runtime keeps for the next.
	heapRest = 10 << 20
	// mayBeUnanswered is the part of the questions for zones that work that may fail: a
	// busy machine loses datagrams.
	mayBeUnanswered = 0.01
)

// report is what a soak has found.
type report struct {
	config        config
	before, after usage
	phases        []phaseReport
	stats         resolver.Stats
	kinds         []kindReport
	examples      []string
}

// phaseReport is what was measured at the end of a phase.
type phaseReport struct {
	length    time.Duration
	questions uint64 // so far
	usage     usage
	cached    uint64 // bytes, as the cache counts them
	p50, p99  time.Duration
}

// kindReport is what came of a kind of question.
type kindReport struct {
	name                                       string
	hostile                                    bool
	asked, answered, failed, wrong, unanswered uint64
}

// add measures the end of a phase.
func (r *report) add(s *run, length time.Duration) {
	var questions uint64
	for i := range s.tallies {
		questions += s.tallies[i].asked.Load()
	}
	r.phases = append(r.phases, phaseReport{
		length: length, questions: questions, usage: usageNow(), cached: uint64(s.r.Stats().Cache.Bytes),
		p50: s.latency.quantile(0.5), p99: s.latency.quantile(0.99),
	})
}

// finish takes the counts.
func (r *report) finish(s *run) {
	r.stats = s.r.Stats()
	r.examples = s.examples
	for i, k := range s.kinds {
		t := &s.tallies[i]
		r.kinds = append(r.kinds, kindReport{
			k.name, k.hostile, t.asked.Load(), t.answered.Load(), t.failed.Load(), t.wrong.Load(), t.unanswered.Load(),
		})
	}
}

func (p phaseReport) String() string {
	return fmt.Sprintf("%6.1f s: %9d questions; %v; cache %.1f MiB; out of the cache in %v (p50), %v (p99)",
		p.length.Seconds(), p.questions, p.usage, mebi(p.cached), p.p50, p.p99)
}

// sums adds up the kinds.
func (r *report) sums() (good, hostile kindReport) {
	good, hostile = kindReport{name: "zones that work"}, kindReport{name: "hostile zones", hostile: true}
	for _, k := range r.kinds {
		sum := &good
		if k.hostile {
			sum = &hostile
		}
		sum.asked += k.asked
		sum.answered += k.answered
		sum.failed += k.failed
		sum.wrong += k.wrong
		sum.unanswered += k.unanswered
	}
	return good, hostile
}

// maxHeap is what the resolver held at most at the end of a phase: what was gone when it was.
// Of an early phase it is too low by what the servers have signed since; the last one is exact.
func (r *report) maxHeap() uint64 {
	var heap uint64
	for _, p := range r.phases {
		heap = max(heap, p.usage.heap-min(p.usage.heap, r.after.heap))
	}
	return heap
}

// heapLimit is what it may be.
func (r *report) heapLimit() uint64 { return uint64(float64(r.config.cache) * heapShare) }

// faults are the bounds that were exceeded.
func (r *report) faults() []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	good, hostile := r.sums()
	if n := good.wrong + hostile.wrong; n > 0 {
		fault("%d wrong answers, want none", n)
	}
	if good.answered == 0 || float64(good.unanswered) > mayBeUnanswered*float64(good.asked) {
		fault("%d of %d questions for zones that work are not answered, want at most %.0f %%",
			good.unanswered, good.asked, 100*mayBeUnanswered)
	}
	if r.maxHeap() > r.heapLimit() {
		fault("the resolver held %.1f MiB, want at most %.1f MiB", mebi(r.maxHeap()), mebi(r.heapLimit()))
	}
	if r.after.heap > r.before.heap+heapRest {
		fault("after Close the heap is %.1f MiB, want at most %.1f MiB", mebi(r.after.heap), mebi(r.before.heap+heapRest))
	}
	if r.after.goroutines > r.before.goroutines || r.after.files > r.before.files {
		fault("after Close %d goroutines and %d descriptors, want %d and %d as before",
			r.after.goroutines, r.after.files, r.before.goroutines, r.before.files)
	}
	return faults
}

// String is the report as text.
func (r *report) String() string {
	var b strings.Builder
	good, hostile := r.sums()
	fmt.Fprintf(&b, "\n%-18s %10s %10s %10s %10s %10s\n", "", "questions", "answered", "failed", "unanswered", "wrong")
	for _, k := range append(append([]kindReport(nil), r.kinds...), good, hostile) {
		fmt.Fprintf(&b, "%-18s %10d %10d %10d %10d %10d\n", k.name, k.asked, k.answered, k.failed, k.unanswered, k.wrong)
	}
	for _, e := range r.examples {
		fmt.Fprintf(&b, "  %s\n", e)
	}
	first, last := r.phases[0], r.phases[len(r.phases)-1]
	all := good.asked + hostile.asked
	sent := r.stats.SentUDP + r.stats.SentTCP
	fmt.Fprintf(&b, "seed %d, %d questions, %.1f %% hostile, wrong answers %d\n", r.config.seed, all, 100*float64(hostile.asked)/float64(max(all, 1)), good.wrong+hostile.wrong)
	fmt.Fprintf(&b, "the resolver held at most %.1f MiB, limit %.1f MiB (cache %.1f MiB)\n", mebi(r.maxHeap()), mebi(r.heapLimit()), mebi(uint64(r.config.cache)))
	fmt.Fprintf(&b, "out of the cache, first phase: p50 %v, p99 %v; last phase: p50 %v, p99 %v\n", first.p50, first.p99, last.p50, last.p99)
	fmt.Fprintf(&b, "%d queries sent (%d over TCP), %.3f an answer\n", sent, r.stats.SentTCP, float64(sent)/float64(max(good.answered+hostile.answered, 1)))
	fmt.Fprintf(&b, "failures %v, limits %v, bogus %v\n", some(r.stats.Failures), some(r.stats.Limits), some(r.stats.Bogus))
	fmt.Fprintf(&b, "before: %v\nafter Close: %v\n", r.before, r.after)
	return b.String()
}

// some leaves out what is zero.
func some[K ~string](counts map[K]uint64) map[K]uint64 {
	left := make(map[K]uint64)
	for k, n := range counts {
		if n > 0 {
			left[k] = n
		}
	}
	return left
}
