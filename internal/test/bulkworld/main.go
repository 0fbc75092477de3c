package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/iterdns/iterdns/internal/test/netns"
	"github.com/iterdns/iterdns/internal/test/progress"
	"github.com/iterdns/iterdns/resolver"
)

// config is what the flags say.
type config struct {
	names       int
	concurrency int
	cache       int
	descriptors int
	dnssec      string
	peerQueries []int
}

func main() {
	var c config
	peer := "100,400,1600"
	flag.IntVar(&c.names, "names", 50_000, "how many names are resolved")
	flag.IntVar(&c.concurrency, "concurrency", 1000, "bulk's limit of questions under way")
	flag.IntVar(&c.cache, "cache", 256, "limit of both caches in MiB")
	flag.IntVar(&c.descriptors, "descriptors", 1200, "how many descriptors bulk may have open")
	flag.StringVar(&c.dnssec, "dnssec", "both", "off, on or both")
	flag.StringVar(&peer, "peer-queries", peer, "numbers of queries under way to try Unbound with; empty: it is not run")
	flag.Parse()
	for word := range strings.SplitSeq(peer, ",") {
		if n, err := strconv.Atoi(word); err == nil && n > 0 {
			c.peerQueries = append(c.peerQueries, n)
		} else if peer != "" {
			c.names = 0
		}
	}
	if flag.NArg() > 0 || c.names < 1 || c.concurrency < 16 || c.cache < 1 || c.dnssec != "off" && c.dnssec != "on" && c.dnssec != "both" {
		flag.Usage()
		os.Exit(2)
	}
	os.Exit(start(c))
}

func start(c config) int {
	stderr := resolver.PrintableWriter(os.Stderr)
	fail := func(err error) int {
		fmt.Fprintln(stderr, "bulkworld:", err)
		return 1
	}
	if !netns.Isolated() {
		status, err := netns.Isolate(false)
		if err != nil {
			return fail(err)
		}
		return status
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
	}()
	stdout, begin := resolver.PrintableWriter(os.Stdout), time.Now()
	err := run(ctx, c, stdout)
	if context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bulkworld:", err)
	}
	progress.End(stdout, "bulkworld", begin, err)
	if err != nil {
		return 1
	}
	return 0
}

var errInterrupted = errors.New("interrupted")

// run measures, prints the table of what was measured, and returns what must not be.
func run(ctx context.Context, c config, stdout io.Writer) error {
	if err := netns.Claim(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bulkworld")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bulk")
	build := exec.CommandContext(ctx, "go", "build", "-C", "examples/bulk", "-o", binary, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build: %w: it runs at the top of the repository", err)
	}
	var rows []*measured
	var faults []error
	for _, on := range []bool{false, true} {
		if c.dnssec != "both" && c.dnssec != onOff(on) {
			continue
		}
		of, err := compare(ctx, c, binary, dir, on)
		rows = append(rows, of...)
		if err != nil {
			faults = append(faults, err)
			break
		}
		faults = append(faults, judge(c, of)...)
	}
	if len(rows) > 0 {
		fmt.Fprint(stdout, table(c.names, rows))
	}
	return errors.Join(faults...)
}

// compare measures bulk, and Unbound where it is installed, in one world. With an error it returns what was
// measured before.
func compare(ctx context.Context, c config, binary, dir string, signed bool) ([]*measured, error) {
	w := &world{}
	if signed {
		var err error
		if w.signer, err = newSigner(); err != nil {
			return nil, err
		}
	}
	s, err := serve(w)
	if err != nil {
		return nil, err
	}
	defer s.close()
	f, err := writeFiles(dir, s, c.names)
	if err != nil {
		return nil, err
	}
	m, err := measureBulk(ctx, c, binary, f, s)
	if err != nil {
		return nil, err
	}
	rows := []*measured{m}
	best, err := bestUnbound(ctx, c, f, s)
	if best != nil {
		rows = append(rows, best)
	}
	return rows, err
}

// lessSuccess is by how much bulk's success may be lower than Unbound's: both meet losses of their own.
const lessSuccess = 0.001

// judge returns what must not be.
func judge(c config, rows []*measured) (faults []error) {
	bulk := rows[0]
	for _, text := range bulk.wrong {
		faults = append(faults, errors.New(text))
	}
	if bulk.descriptors > c.descriptors {
		faults = append(faults, fmt.Errorf("bulk had %d descriptors, and may have %d", bulk.descriptors, c.descriptors))
	}
	if len(rows) > 1 && bulk.success() < rows[1].success()-lessSuccess {
		faults = append(faults, fmt.Errorf("DNSSEC %s: success is %.3f %%, and that of Unbound %.3f %%", onOff(bulk.dnssec), 100*bulk.success(), 100*rows[1].success()))
	}
	return faults
}
