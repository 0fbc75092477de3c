package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// simulationSeeds is how many seeds are played: two minutes on two processors of their own.
const simulationSeeds = 1000

// simulate plays seeds. Little of a simulation goes on at the same time: two processes use
// both processors, each with half of the seeds.
func simulate(ctx context.Context, out io.Writer, _ []string) error {
	dir, err := os.MkdirTemp("", "simulation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "resolver.test")
	if err := command(ctx, out, "go", "test", "-c", "-o", binary, "./resolver").Run(); err != nil {
		return err
	}
	const halves, seeds = 2, simulationSeeds / 2
	var logs [halves]bytes.Buffer
	var errs [halves]error
	var playing sync.WaitGroup
	for i := range halves {
		playing.Go(func() {
			half := command(ctx, &logs[i], binary, "-test.run", "^TestSimulation$", "-test.timeout", "15m",
				"-first", fmt.Sprint(i*seeds+1), "-seeds", fmt.Sprint(seeds), "-test.v")
			half.Dir, half.Env = "resolver", append(os.Environ(), "GOMAXPROCS=1")
			errs[i] = half.Run()
		})
	}
	playing.Wait()
	for i := range logs {
		withoutPasses(out, logs[i].String())
	}
	return errors.Join(errs[:]...)
}

// withoutPasses copies what a test prints, but for the seeds that pass.
func withoutPasses(out io.Writer, log string) {
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "    --- PASS") {
			io.WriteString(out, line)
		}
	}
}
