package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/iterdns/iterdns/internal/test/progress"
	"github.com/iterdns/iterdns/resolver"
)

// config is what the flags say.
type config struct {
	time    time.Duration
	phases  int
	hostile int // per cent of the questions
	seed    uint64
	workers int
	rate    int // questions a second; 0: as many as go
	cache   int64
}

func main() {
	var c config
	flag.DurationVar(&c.time, "time", time.Minute, "how long questions are asked")
	flag.IntVar(&c.phases, "phases", 3, "how often that is interrupted to measure, once at the end included")
	flag.IntVar(&c.hostile, "hostile", 10, "per cent of the questions that are for hostile zones")
	flag.Uint64Var(&c.seed, "seed", 1, "seed of the questions")
	flag.IntVar(&c.workers, "workers", 64, "how many questions for zones that work are under way")
	flag.IntVar(&c.rate, "rate", 0, "questions a second; 0: as many as the machine can")
	flag.Int64Var(&c.cache, "cache", 32<<20, "limit of the cache, in bytes")
	flag.Parse()
	if flag.NArg() > 0 || c.time <= 0 || c.phases < 1 || c.hostile < 0 || c.hostile > 100 || c.workers < 1 || c.rate < 0 || c.cache < 1<<20 {
		flag.Usage()
		os.Exit(2)
	}
	stdout, stderr := resolver.PrintableWriter(os.Stdout), resolver.PrintableWriter(os.Stderr)
	begin := time.Now()
	err := soakAndReport(c, stdout, stderr)
	progress.End(stdout, "soak", begin, err)
	if err != nil {
		os.Exit(1)
	}
}

// soakAndReport runs one soak and prints its report.
func soakAndReport(c config, stdout, stderr io.Writer) error {
	begin := time.Now()
	stop := progress.Tell(stderr, progress.Every(os.Stderr), "soak, in seconds", func() (n, of int) {
		of = int(c.time.Seconds())
		return min(int(time.Since(begin).Seconds()), of), of
	})
	report, err := soak(c, stdout)
	stop()
	if err != nil {
		fmt.Fprintln(stderr, "soak:", err)
		return err
	}
	fmt.Fprint(stdout, report)
	faults := report.faults()
	for _, f := range faults {
		fmt.Fprintln(stderr, "soak:", f)
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "\n"))
	}
	return nil
}
