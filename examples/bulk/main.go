// Bulk resolves lists of names: it asks the authoritative servers itself, politely, and
// writes one JSON line for each question, which says why a question failed.
//
//	go run . -mock-list 10000 > names.txt              a list for the mock Internet
//	go run . -mock mock.txt -o out.jsonl names.txt     no network needed
//	go run . -type A,AAAA -o out.jsonl -resume names.txt.gz
//
// README.md says what the lists and the lines look like, how a run that was killed goes on, and
// how it treats servers. The exit statuses:
//
//	0    every question has an answer, that a name does not exist included
//	1    the list is done, and some questions failed, or some lines are no question or duplicates
//	     that are errors
//	2    the command line makes no sense, or the output belongs to another list
//	3    the list is not done: the output cannot be written, or the input not be read
//	130  the list is not done: interrupted
package main

import (
	"context"
	_ "embed" // for schema.json
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/iterdns/iterdns/resolver"
)

// Exit statuses.
const (
	exitDone        = 0
	exitFailures    = 1
	exitUsage       = 2
	exitIncomplete  = 3
	exitInterrupted = 130 // as shells have it for SIGINT
)

// schema is the JSON Schema of the lines.
//
//go:embed schema.json
var schema string

func main() {
	// Without this, a pipe that nobody reads ends the process before it can say what is done.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	shown := resolver.PrintableWriter(stderr)
	fail := func(status int, err error) int {
		fmt.Fprintf(shown, "bulk: %v\n", err)
		return status
	}
	c, err := parseArgs(args, shown)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		return fail(exitUsage, fmt.Errorf("%w; -h shows how to use it", err))
	}
	switch {
	case c.schema:
		_, err = io.WriteString(stdout, schema)
	case c.mockList > 0:
		err = writeMockList(stdout, c.mockList)
	case c.compare:
		return compareFiles(c.files[0], c.files[1], stdout, shown)
	default:
		return c.resolve(ctx, stdin, stdout, stderr, fail)
	}
	if err != nil {
		return fail(exitIncomplete, err)
	}
	return exitDone
}

// resolve resolves the lists.
func (c *config) resolve(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, fail func(int, error) int) int {
	in, err := openLists(c, stdin)
	if err != nil {
		return fail(exitUsage, err)
	}
	defer in.close()
	out, before, err := openOutput(c, stdout)
	if err != nil {
		return fail(exitUsage, err)
	}
	survey, err := surveyLists(ctx, c, in, before)
	if err != nil {
		err = errors.Join(err, out.close())
		if ctx.Err() != nil {
			return fail(exitInterrupted, fmt.Errorf("%w: %s", errInterrupted, out.notDone()))
		}
		return fail(exitUsage, err)
	}
	p, err := newPlace(c)
	if err != nil {
		return fail(exitUsage, errors.Join(err, out.close()))
	}
	defer p.close()
	b, err := newBatch(c, p, out, before)
	if err != nil {
		return fail(exitUsage, errors.Join(err, out.close()))
	}
	b.progress = newProgress(c, stderr, survey.questions, b.tally)
	err = b.run(ctx, in, survey)
	err = errors.Join(err, b.close(), out.close())
	b.progress.finish(err == nil)
	fmt.Fprint(resolver.PrintableWriter(stderr), b.summary(err == nil))
	switch {
	case errors.Is(err, errInterrupted):
		return fail(exitInterrupted, fmt.Errorf("%w: %s", err, out.notDone()))
	case errors.Is(err, errOtherList):
		return fail(exitUsage, err)
	case errors.Is(err, errUnread):
		return fail(exitIncomplete, fmt.Errorf("%w: %s, once it can be read", err, out.notDone()))
	case err != nil:
		return fail(exitIncomplete, fmt.Errorf("%w: %s", err, out.notDone()))
	case b.tally.failed() > 0:
		return exitFailures
	}
	return exitDone
}
