package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/internal/test/progress"
)

// simulationSeeds is how many seeds are played unless the command line says otherwise: two
// minutes on two processors of their own.
const simulationSeeds = 1000

// simulate plays seeds: 1 to simulationSeeds, or to the number in args. Little of a simulation
// goes on at the same time: two processes use both processors, each with half of the seeds.
func simulate(ctx context.Context, out io.Writer, args []string) (err error) {
	begin := time.Now()
	defer func() { progress.End(out, "simulation", begin, err) }()
	seeds, err := seedsOf(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "simulation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "resolver.test")
	if err := command(ctx, out, "go", "test", "-c", "-o", binary, "./resolver").Run(); err != nil {
		return err
	}
	var begun atomic.Int64
	stop := progress.Tell(os.Stderr, progress.Every(os.Stderr), "simulation", func() (n, of int) {
		return int(begun.Load()), seeds
	})
	const halves = 2
	var logs [halves]simulationLog
	var errs [halves]error
	var playing sync.WaitGroup
	for i := range halves {
		first, end := i*seeds/halves+1, (i+1)*seeds/halves+1
		if first == end {
			continue // one seed makes no second half
		}
		logs[i].begun = &begun
		playing.Go(func() {
			half := command(ctx, &logs[i], binary, "-test.run", "^TestSimulation$", "-test.timeout", "0",
				"-first", fmt.Sprint(first), "-seeds", fmt.Sprint(end-first), "-test.v")
			half.Dir, half.Env = "resolver", append(os.Environ(), "GOMAXPROCS=1")
			errs[i] = half.Run()
		})
	}
	playing.Wait()
	stop()
	for i := range logs {
		logs[i].flush()
		if _, err := logs[i].kept.WriteTo(out); err != nil {
			return err
		}
	}
	return errors.Join(errs[:]...)
}

// seedsOf returns how many seeds the arguments ask for.
func seedsOf(args []string) (int, error) {
	if len(args) == 0 {
		return simulationSeeds, nil
	}
	seeds, err := strconv.Atoi(args[0])
	if len(args) > 1 || err != nil || seeds < 1 {
		return 0, fmt.Errorf("simulation takes the number of seeds, not %q", args)
	}
	return seeds, nil
}

// A simulationLog takes what a test prints, keeps all but what is about seeds that pass, and
// counts the seeds that have begun, since results are printed at the end: the whole log of a
// hundred thousand seeds takes too much memory.
type simulationLog struct {
	begun *atomic.Int64
	rest  []byte // of the last line
	kept  bytes.Buffer
}

func (l *simulationLog) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 {
			return len(p), nil
		}
		l.line(string(l.rest[:end+1]))
		l.rest = l.rest[end+1:]
	}
}

// flush takes the last line, if no end of line follows.
func (l *simulationLog) flush() {
	if len(l.rest) > 0 {
		l.line(string(l.rest))
		l.rest = nil
	}
}

func (l *simulationLog) line(line string) {
	switch {
	case strings.HasPrefix(line, "=== RUN   TestSimulation/"):
		l.begun.Add(1)
	case strings.HasPrefix(line, "=== "), strings.HasPrefix(line, "    --- PASS: "):
	default:
		l.kept.WriteString(line)
	}
}
