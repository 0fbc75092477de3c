package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/progress"
)

// report is what all resolvers have said.
type report struct {
	names    []string
	outcomes [][]outcome // by question and resolver, ours first
	tooLong  []string    // TTLs of ours that are longer than written
	repeated int         // questions asked again
}

// maxRepeated is how many questions may be asked again: more differ for a reason that
// time does not mend.
const maxRepeated = 2000

// askAll asks everybody everything, and again what differs.
func askAll(ctx context.Context, w *world, classes []*class) *report {
	names, addrs := resolvers()
	r := &report{names: names, outcomes: make([][]outcome, len(w.questions))}
	for i := range r.outcomes {
		r.outcomes[i] = make([]outcome, len(addrs))
	}
	var asked atomic.Int64
	stop := progress.Tell(os.Stderr, progress.Every(os.Stderr), "differential", func() (n, of int) {
		return min(int(asked.Load()), len(w.questions)*len(addrs)), len(w.questions) * len(addrs)
	})
	defer stop()
	var mu sync.Mutex
	put := func(question, resolver int) {
		defer asked.Add(1)
		o, reply := ask(ctx, w.questions[question], addrs[resolver])
		r.outcomes[question][resolver] = o
		if resolver == 0 && reply != nil {
			mu.Lock()
			defer mu.Unlock()
			r.tooLong = append(r.tooLong, w.tooLong(reply)...)
		}
	}
	var all sync.WaitGroup
	for resolver := range addrs {
		all.Go(func() {
			each(len(w.questions), atOnce, func(question int) { put(question, resolver) })
		})
	}
	all.Wait()
	for round := range askedAgain {
		again := r.unexplained(w, classes)
		if len(again) == 0 || len(again) > maxRepeated || ctx.Err() != nil {
			break
		}
		r.repeated += len(again)
		time.Sleep(pause)
		each(len(again), atOnce/(1+3*round), func(i int) {
			for resolver := range addrs {
				put(again[i], resolver)
			}
		})
	}
	return r
}

// tooLong lists TTLs of our answer that exceed what the zones say, or a day, which is
// the most that we keep anything.
func (w *world) tooLong(m *dns.Msg) []string {
	var lines []string
	for _, rr := range m.Answer {
		h := rr.Header()
		most := uint32(86400)
		if written, ok := w.ttls[rrsetKey{strings.ToLower(h.Name), h.Rrtype}]; ok {
			most = min(most, written)
		}
		if h.Ttl > most {
			lines = append(lines, fmt.Sprintf("%v: more than %d s", rr, most))
		}
	}
	return lines
}

// seen returns the difference of a peer's answer to a question, from 1, or false if there
// is none.
func (r *report) seen(w *world, question, peer int) (seen, bool) {
	all := r.outcomes[question]
	s := seen{
		question: w.questions[question], peer: r.names[peer], negative: all[0].negative(),
		difference: compare(all[0], all[peer]),
	}
	for other := 1; other < len(all); other++ {
		s.shared = s.shared || other != peer && len(compare(all[0], all[other])) == 0
	}
	return s, len(s.difference) > 0
}

// unexplained lists the questions with a difference that is in no class.
func (r *report) unexplained(w *world, classes []*class) []int {
	var list []int
	for i := range w.questions {
		for p := 1; p < len(r.names); p++ {
			if s, differs := r.seen(w, i, p); differs && explain(classes, s) == nil {
				list = append(list, i)
				break
			}
		}
	}
	return list
}

// tally counts differences.
type tally struct {
	alike, differences, unexplained int
	byClass                         map[*class]map[string]int
}

// count sorts the differences into classes, and prints those that are in none and some
// examples of the others.
func (r *report) count(c config, w *world, classes []*class) tally {
	t := tally{byClass: make(map[*class]map[string]int)}
	shown := make(map[*class]int)
	for i := range w.questions {
		alike := true
		for p := 1; p < len(r.names); p++ {
			s, differs := r.seen(w, i, p)
			if !differs {
				continue
			}
			alike = false
			t.differences++
			found := explain(classes, s)
			if found == nil {
				t.unexplained++
				fmt.Fprintf(stdout, "UNEXPLAINED %s: %s: %s\n%s", s.peer, s.question, s.difference, r.table(i))
			}
			for _, class := range found {
				t.add(class, s.peer)
				if shown[class]++; shown[class] <= c.examples {
					fmt.Fprintf(stdout, "%s: %s: %s: %s\n%s", class.name, s.peer, s.question, s.difference, r.table(i))
				}
			}
		}
		if alike {
			t.alike++
		}
	}
	return t
}

func (t *tally) add(c *class, peer string) {
	if t.byClass[c] == nil {
		t.byClass[c] = make(map[string]int)
	}
	t.byClass[c][peer]++
}

// print writes what was found, ending with one line, and returns an error if anything is
// not as it should be.
func (r *report) print(c config, w *world, classes []*class, took time.Duration) error {
	t := r.count(c, w, classes)
	for _, line := range r.tooLong {
		fmt.Fprintln(stdout, "TTL", line)
	}
	for _, class := range classes {
		fmt.Fprintf(stdout, "%-44s %s\n", class.name, countText(t.byClass[class]))
	}
	unused := len(classes) - len(t.byClass)
	fmt.Fprintf(stdout, "differential: %d questions, seed %d, %d resolvers: %d answered alike by all, %d differences in %d of %d classes, %d unexplained, %d TTLs too long, %d asked again, %v\n",
		len(w.questions), c.seed, len(r.names), t.alike, t.differences, len(t.byClass), len(classes),
		t.unexplained, len(r.tooLong), r.repeated, took.Round(time.Second))
	switch {
	case t.unexplained > 0 || len(r.tooLong) > 0:
		return fmt.Errorf("%d differences unexplained, %d TTLs too long", t.unexplained, len(r.tooLong))
	case c.unused && unused > 0:
		return fmt.Errorf("%d classes explain nothing", unused)
	}
	return nil
}

// table writes what each resolver says to a question.
func (r *report) table(question int) string {
	var b strings.Builder
	for i, name := range r.names {
		fmt.Fprintf(&b, "    %-14s %s\n", name, r.outcomes[question][i])
	}
	return b.String()
}

func countText(counts map[string]int) string {
	var parts []string
	for name, n := range counts {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
