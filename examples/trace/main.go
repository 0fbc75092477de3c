// Trace shows how a name is resolved: it walks from the root servers to those that
// know the answer, and prints each step as `dig +trace +additional` does.
//
//	go run ./examples/trace                    a mock Internet, no network needed
//	go run ./examples/trace NAME [TYPE]        the real one
//	go run ./examples/trace -mock FILE [NAME [TYPE]]
//
// Without arguments the Internet is the one of mock.txt, on sockets of the loopback
// interface: draveness.me. is served by name servers below net., so that their
// addresses have to be found before its question can go on. With -mock it is that of
// another text, in the form that package resolvertest describes. The flags:
//
//	-additional=false  leave out additional sections, and glue with them
//	-tree              the walk as a tree, with side look-ups, aliases and timings
//	-json              one JSON object for each event; see type event
//	-4, -6             ask servers over IPv4 or IPv6 only
//	-hints FILE        begin at the root servers of FILE (zone-file syntax)
//
// Lines that dig does not have begin with ";;": what a step was for, which servers gave
// nothing, what was asked for the sake of validation. An address that came with a
// referral and may not be used as glue is marked as such.
//
// The exit status is 0 when there is an answer, that a name does not exist included;
// 1 when there is none; 2 when the command line makes no sense. What went wrong is
// said in one line on standard error.
//
// Everything printed comes through the hooks of resolver.Trace.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/iterdns/iterdns/resolver"
)

// Exit statuses.
const (
	exitAnswer  = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseArgs(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitAnswer
	case err != nil:
		fmt.Fprintf(stderr, "trace: %v; -h shows how to use it\n", err)
		return exitUsage
	}
	place, err := c.internet()
	if err != nil {
		fmt.Fprintf(stderr, "trace: %v\n", err)
		return exitFailure
	}
	defer place.close()
	fail := c.trace(ctx, place, stdout)
	if fail == nil {
		return exitAnswer
	}
	fmt.Fprintf(stderr, "trace: %s\n", explain(fail))
	if errors.Is(fail, resolver.ErrName) || errors.Is(fail, resolver.ErrMetaType) {
		return exitUsage
	}
	return exitFailure
}

// trace resolves the name and prints what happens meanwhile.
func (c *command) trace(ctx context.Context, in internet, stdout io.Writer) (err error) {
	r, err := resolver.New(in.options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	failures := &failures{}
	trace, finish := c.printer(stdout, in.title)
	_, err = r.Resolve(resolver.WithTrace(ctx, failures.watch(trace)), c.name, c.rrtype)
	if wrong := finish(); err == nil {
		return wrong
	}
	return failures.add(err)
}

// printer gives the hooks that print in the form asked for, and what to call at the
// end: it prints the rest and says whether everything could be written.
func (c *command) printer(w io.Writer, title string) (*resolver.Trace, func() error) {
	out := &errWriter{w: w}
	switch c.form {
	case formJSON:
		return jsonTrace(out), out.error
	case formTree:
		t := newTree()
		return t.trace(), func() error { t.print(out); return out.error() }
	case formDig:
	}
	d := newDigPrinter(out, c.additional)
	d.header(c.question(), title)
	return d.trace(), out.error
}

// errWriter remembers the first error, so that printing need not look at each.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) Write(p []byte) (int, error) {
	if e.err == nil {
		_, e.err = e.w.Write(p)
	}
	return len(p), nil
}

func (e *errWriter) error() error { return e.err }
