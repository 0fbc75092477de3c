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
//	-dnssec            after the walk, the chain of trust: the keys of each zone, who
//	                   vouches for them, and whether that holds
//	-graph FILE        draw chain of trust and walk; FILE ends in .svg, or in .dot for
//	                   Graphviz
//	-4, -6             ask servers over IPv4 or IPv6 only
//	-hints FILE        begin at the root servers of FILE (zone-file syntax)
//	-forward SERVER,…  ask these resolvers instead of walking from the root:
//	                   [tcp://|tls://]ADDRESS[:PORT][#NAME]
//
// Lines that dig does not have begin with ";;": what a step was for, which servers gave
// nothing, what was asked for the sake of validation. An address that came with a
// referral and may not be used as glue is marked as such.
//
// The exit status is 0 when there is an answer, that a name does not exist included;
// 1 when there is none; 2 when the command line makes no sense. What went wrong is
// said in one line on standard error. So is, after 1, 2, 4 and 8 seconds, how far a walk on
// the real Internet has come.
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

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/drawing"
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
	stderr = resolver.PrintableWriter(stderr)
	c, err := parseArgs(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitAnswer
	case err != nil:
		fmt.Fprintf(stderr, "trace: %v; -h shows how to use it\n", err)
		return exitUsage
	}
	if err := c.probeGraph(); err != nil {
		fmt.Fprintf(stderr, "trace: -graph: %v\n", err)
		return exitUsage
	}
	place, err := c.internet()
	if err != nil {
		fmt.Fprintf(stderr, "trace: %v\n", err)
		return exitFailure
	}
	defer place.close()
	if place.title == "" {
		place.progress = stderr // a mock Internet is as slow as its text says
	}
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
	walk, progress := &drawing.Walk{}, &progress{}
	p := c.printer(stdout, in.title)
	ctx = resolver.WithTrace(ctx, progress.watch(walk.Watch(p.trace)))
	if c.dnssec || c.graph != "" {
		ctx = resolver.WithChain(ctx)
	}
	stop := progress.tell(in.progress)
	result, err := r.Resolve(ctx, c.name, c.rrtype)
	stop()
	if wrong := errors.Join(c.show(in, p, walk, evidence(result, err)), p.finish()); err == nil {
		return wrong
	}
	return err
}

// evidence returns the chain of trust of an answer, or of what is wrong with it.
func evidence(result *resolver.Result, err error) []dnssec.Link {
	var failure *resolver.Error
	switch {
	case errors.As(err, &failure):
		return failure.Chain
	case result != nil:
		return result.Chain
	}
	return nil
}

// show prints and draws the chain of trust, as far as that was asked for. Where nothing
// was validated there is none; the picture then has the walk alone.
func (c *command) show(in internet, p printer, walk *drawing.Walk, chain []dnssec.Link) error {
	if !c.dnssec && c.graph == "" {
		return nil
	}
	t := &drawing.Trust{}
	if len(chain) > 0 {
		var err error
		if t, err = drawing.Judge(chain, in.options, in.signatureTime()); err != nil {
			return err
		}
	}
	if c.dnssec {
		p.trust(t)
	}
	if c.graph == "" {
		return nil
	}
	return draw(c.graph, drawing.NewPicture(c.question(), t, walk))
}

// printer is one form of output.
type printer struct {
	trace  *resolver.Trace
	trust  func(*drawing.Trust) // prints the chain of trust
	finish func() error         // prints the rest, and says whether everything could be written
}

// printer returns the form asked for.
func (c *command) printer(w io.Writer, title string) printer {
	out := &errWriter{w: w}
	switch c.form {
	case formJSON:
		p := newJSONPrinter(out)
		return printer{p.trace(), p.trust, out.error}
	case formTree:
		t := drawing.NewTree()
		return printer{t.Trace(), t.AddTrust, func() error { t.Print(out); return out.error() }}
	case formDig:
	}
	d := newDigPrinter(out, c.additional)
	d.header(c.question(), title)
	return printer{d.trace(), d.trust, out.error}
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
