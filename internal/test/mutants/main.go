// Command mutants takes one rule of the resolver away at a time, and requires that a test
// then fails. The tables in .ci/mutants say how; README.md there says what a mutant is.
//
//	go run ./internal/test/mutants             all mutants
//	go run ./internal/test/mutants NAME...     these
//	go run ./internal/test/mutants -check      says which no longer fit the code, without trying any
//	go run ./internal/test/mutants -list       prints their names
//	go run ./internal/test/mutants -simulation [NAME...]
//	                                           those with a seed, or these, against the simulator
//	                                           instead of the named test: says which seed finds each
//	go run ./internal/test/mutants -search SEEDS NAME...
//	                                           the same with so many seeds, which are not tried
//	                                           first without a mutant
//
// With -time none is begun after that time; those left out are named. It then begins at
// another mutant for another commit and on another day.
//
// Progress is told on standard error. The last line of the output begins with PASS or FAIL.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/iterdns/iterdns/internal/test/progress"
)

// tables is the folder of the tables, from the top of the repository.
const tables = ".ci/mutants"

// simulationSeeds is how many seeds the simulator gets to find a mutant: more than each of
// them took, since a seed's run is another one as soon as the resolver sends otherwise.
const simulationSeeds = 60

type options struct {
	check, list, simulation bool
	search, parallel        int
	time, limit             time.Duration
	names                   []string
}

func main() {
	var o options
	flag.BoolVar(&o.check, "check", false, "say which mutants no longer fit the code, without trying any")
	flag.BoolVar(&o.list, "list", false, "print the names of the mutants")
	flag.BoolVar(&o.simulation, "simulation", false, "try the simulator instead of the named tests")
	flag.IntVar(&o.search, "search", 0, "as -simulation, with so many `seeds`")
	flag.IntVar(&o.parallel, "parallel", runtime.GOMAXPROCS(0), "how many mutants are tried at the same time")
	flag.DurationVar(&o.time, "time", 0, "begin none after this `time`; 0 is no limit")
	flag.DurationVar(&o.limit, "limit", testLimit, "how long the test of one mutant may take")
	flag.Parse()
	o.names = flag.Args()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	begin := time.Now()
	err := run(ctx, os.Stdout, ".", o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if !o.list { // that is read by programs
		progress.End(os.Stdout, "mutants", begin, err)
	}
	if err != nil {
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, root string, o options) error {
	begin := time.Now()
	all, mod, err := read(root)
	if err != nil {
		return err
	}
	if o.check {
		return check(mod, all)
	}
	chosen, err := choose(all, o)
	if err != nil {
		return err
	}
	if o.list {
		for _, mu := range chosen {
			fmt.Fprintln(out, mu.name)
		}
		return nil
	}
	if o.time > 0 {
		turn(chosen, startingPoint(root, begin))
	}
	results, err := tryAll(ctx, out, mod, chosen, o, begin)
	if err != nil {
		return err
	}
	return report(out, results, time.Since(begin))
}

func read(root string) ([]*mutant, *module, error) {
	all, err := readTables(root + "/" + tables)
	if err != nil {
		return nil, nil, err
	}
	if len(all) == 0 {
		return nil, nil, fmt.Errorf("no mutants in %s", tables)
	}
	mod, err := readModule(root)
	return all, mod, err
}

// choose returns the mutants that the command line means.
func choose(all []*mutant, o options) ([]*mutant, error) {
	if len(o.names) == 0 && (o.simulation || o.search > 0) {
		return slices.DeleteFunc(slices.Clone(all), func(mu *mutant) bool { return mu.seed == 0 }), nil
	}
	if len(o.names) == 0 {
		return slices.Clone(all), nil
	}
	var chosen []*mutant
	for _, name := range o.names {
		i := slices.IndexFunc(all, func(mu *mutant) bool { return mu.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no mutant %s", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// tryAll tries mutants, some at the same time, until the time is over.
func tryAll(ctx context.Context, out io.Writer, mod *module, all []*mutant, o options, begin time.Time) ([]result, error) {
	work, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	build, err := newBuilder(mod, work)
	if err != nil {
		return nil, err
	}
	t := &trial{mod: mod, build: build, baseline: o.search == 0, limit: cmp.Or(o.limit, testLimit)}
	switch {
	case o.search > 0:
		t.seeds, t.limit = o.search, searchLimit
	case o.simulation:
		t.seeds, t.limit = simulationSeeds, searchLimit
	}
	if err := t.prepareInTime(ctx, all, o.time, begin); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "%d of %d mutants compile together, %.0f s\n", len(t.numbers), len(all), time.Since(begin).Seconds())

	results := make([]result, len(all))
	next := make(chan int)
	var tried atomic.Int64
	stop := progress.Tell(os.Stderr, progress.Every(os.Stderr), "mutants", func() (n, of int) { return int(tried.Load()), len(all) })
	defer stop()
	var printing sync.Mutex
	var workers sync.WaitGroup
	for range max(1, o.parallel) {
		workers.Go(func() {
			for i := range next {
				if o.time > 0 && time.Since(begin) >= o.time {
					results[i] = result{mutant: all[i], verdict: notTried}
				} else {
					results[i] = t.try(ctx, all[i])
				}
				tried.Add(1)
				printing.Lock()
				results[i].print(out)
				printing.Unlock()
			}
		})
	}
	for i := range all {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return results, ctx.Err()
}

// prepareInTime ends when the time is over: then no mutant is tried, and nothing is needed.
func (t *trial) prepareInTime(ctx context.Context, all []*mutant, limit time.Duration, begin time.Time) error {
	if limit == 0 {
		return t.prepare(ctx, all)
	}
	timed, cancel := context.WithDeadline(ctx, begin.Add(limit))
	defer cancel()
	if err := t.prepare(timed, all); err != nil && (timed.Err() == nil || ctx.Err() != nil) {
		return err
	}
	return nil
}

func (r result) print(out io.Writer) {
	fmt.Fprintf(out, "%-10s %4.0f s  %s  %s\n", r.verdict, r.took.Seconds(), r.mutant.name, r.detail)
	for line := range strings.Lines(r.log) {
		fmt.Fprintf(out, "    | %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// report counts verdicts, and fails if there is one to mend.
func report(out io.Writer, results []result, took time.Duration) error {
	count := map[verdict]int{}
	var bad []string
	for _, r := range results {
		count[r.verdict]++
		if !r.verdict.good() {
			bad = append(bad, fmt.Sprintf("%s %s (%s)", r.verdict, r.mutant.name, r.mutant.at))
		}
	}
	fmt.Fprintf(out, "%d mutants, %d killed, %d not tried, %.0f s\n", len(results), count[killed], count[notTried], took.Seconds())
	if len(bad) == 0 {
		return nil
	}
	return errors.New("not all were killed:\n" + strings.Join(bad, "\n"))
}
