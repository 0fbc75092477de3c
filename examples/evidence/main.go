// Evidence gets DNS answers with their chain of trust into a file, and verifies such files, years
// later and without a network.
//
//	go run ./examples/evidence get -o FILE NAME TYPE
//	go run ./examples/evidence caa -o FILE -issuer DOMAIN NAME
//	go run ./examples/evidence show FILE
//	go run ./examples/evidence verify [-at TIME] [-anchors ANCHORS] FILE
//	go run ./examples/evidence export -o CHAIN FILE
//
// A file has one dnssec.StoredChain after the other; docs/ca.md describes the form. caa judges
// whether a certification authority may issue for a name, and keeps all look-ups. export writes the
// last of a file's chains in the form of RFC 9102, for other validators.
//
// The exit status is 0 when there is evidence, and it holds, or the authority may issue; 1 when
// not; 2 when the command line makes no sense.
//
// # Limitations
//
// Only the algorithms of Go's standard library are verified. A file is read into memory: at most
// 256 chains of 1 MiB.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/caa"
)

// Exit statuses.
const (
	exitGood  = 0
	exitBad   = 1
	exitUsage = 2
)

const usage = `usage: evidence get -o FILE NAME TYPE          ask, and store the answer with its proof
       evidence caa -o FILE -issuer DOMAIN NAME   may the authority issue for NAME?
       evidence show FILE                      show the contents of a file
       evidence verify [flags] FILE            verify a file, without a network
       evidence export -o CHAIN FILE           write the chain in the form of RFC 9102

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], resolver.Options{}, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// errUsage is a command line that makes no sense.
var errUsage = errors.New("-h shows how to use it")

// command is what one call works with.
type command struct {
	options resolver.Options
	stdout  io.Writer

	out     string    // -o
	at      time.Time // -at
	anchors string    // -anchors
	request caa.Request
}

// run is main without the process.
func run(ctx context.Context, args []string, options resolver.Options, stdout, stderr io.Writer) int {
	c := &command{options: options, stdout: resolver.PrintableWriter(stdout)}
	stderr = resolver.PrintableWriter(stderr)
	verb := ""
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	flags := c.flags(verb)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage); flags.PrintDefaults() }
	if verb == "-h" || verb == "help" {
		flags.Usage()
		return exitGood
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitGood
	} else if err != nil {
		return exitUsage
	}
	err := c.do(ctx, verb, flags.Args())
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "evidence: %v\n", err)
		return exitUsage
	case err != nil:
		fmt.Fprintf(stderr, "evidence: %v\n", err)
		return exitBad
	}
	return exitGood
}

// flags returns the flags of a verb.
func (c *command) flags(verb string) *flag.FlagSet {
	flags := flag.NewFlagSet("evidence "+verb, flag.ContinueOnError)
	list := func(to *[]string) func(string) error {
		return func(s string) error { *to = append(*to, strings.Split(s, ",")...); return nil }
	}
	switch verb {
	case "get", "caa", "export":
		flags.StringVar(&c.out, "o", "", "write to this `file`, which must not exist")
	case "verify":
		flags.StringVar(&c.anchors, "anchors", "", "trust anchors in this `file` (DS or DNSKEY records) instead of the root's")
		flags.Func("at", "judge at this `time` (2026-12-01T10:00:00Z) instead of that of the file", func(s string) (err error) {
			c.at, err = time.Parse(time.RFC3339, s)
			return err
		})
	}
	if verb == "caa" {
		flags.Func("issuer", "issuer `domains` of the authority, with commas", list(&c.request.Issuers))
		flags.Func("account", "`URIs` of the account, with commas", list(&c.request.Accounts))
		flags.Func("method", "`labels` of the validation method, with commas", list(&c.request.Methods))
		flags.DurationVar(&c.request.RetryWait, "retry", caa.DefaultRetryWait, "`time` until a failed look-up is made again")
		flags.BoolVar(&c.request.Mail, "mail", false, "a certificate for email addresses")
	}
	return flags
}

// do does what the verb says.
func (c *command) do(ctx context.Context, verb string, args []string) error {
	want, ok := map[string]int{"get": 2, "caa": 1, "show": 1, "verify": 1, "export": 1}[verb]
	switch {
	case !ok || len(args) != want:
		return fmt.Errorf("%q with %d arguments, want %d behind the flags: %w", verb, len(args), want, errUsage)
	case (verb == "get" || verb == "caa" || verb == "export") && c.out == "":
		return fmt.Errorf("no -o: %w", errUsage)
	}
	switch verb {
	case "get":
		return c.get(ctx, args[0], args[1])
	case "caa":
		return c.caa(ctx, args[0])
	case "show":
		return c.show(args[0])
	case "verify":
		return c.verify(args[0])
	}
	return c.export(args[0])
}

// get asks one question and keeps what came of it, also a bogus answer.
func (c *command) get(ctx context.Context, name, typeText string) error {
	rrtype, ok := dns.StringToType[strings.ToUpper(typeText)]
	if !ok {
		return fmt.Errorf("unknown type %q: %w", typeText, errUsage)
	}
	r, err := resolver.New(c.options)
	if err != nil {
		return err
	}
	defer r.Close()
	s, err := ask(ctx, r, name, rrtype)
	if s == nil {
		return err
	}
	file, encodeErr := s.MarshalBinary()
	if encodeErr != nil {
		return encodeErr
	}
	if err := c.write(file); err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, s)
	return err
}

// ask returns an answer, or a failure that has a chain, as it is kept; nil if there is no chain.
func ask(ctx context.Context, r *resolver.Resolver, name string, rrtype uint16) (*dnssec.StoredChain, error) {
	s := &dnssec.StoredChain{Type: rrtype, Asked: time.Now()}
	var err error
	if s.Name, err = dnssec.ParseName(name); err != nil {
		return nil, fmt.Errorf("%w: %w", err, errUsage)
	}
	seen := make(map[string]bool)
	ctx = resolver.WithTrace(ctx, &resolver.Trace{Query: func(i resolver.QueryInfo) {
		if at := i.Server.String(); !seen[at] && len(s.Servers) < dnssec.MaxStoredServers {
			seen[at] = true
			s.Servers = append(s.Servers, i.Server)
		}
	}})
	result, err := r.Resolve(resolver.WithChain(ctx), name, rrtype)
	s.Answered = time.Now()
	var told *resolver.Error
	switch {
	case err == nil:
		s.Status, s.Chain = result.Status, result.Chain
	case errors.As(err, &told):
		s.Status, s.Chain, s.Failure = told.Status, told.Chain, resolver.Printable(err.Error())
		s.Failure = strings.ToValidUTF8(s.Failure[:min(len(s.Failure), dnssec.MaxStoredText)], "")
	}
	if s.Chain == nil {
		return nil, errors.Join(err, fmt.Errorf("%s: no chain of trust to keep", name))
	}
	return s, err
}

// caa judges whether the authority may issue, and keeps all look-ups.
func (c *command) caa(ctx context.Context, name string) error {
	r, err := resolver.New(c.options)
	if err != nil {
		return err
	}
	defer r.Close()
	verdict, err := caa.Check(ctx, r, name, c.request)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	file, err := verdict.AppendEvidence(nil)
	if err != nil {
		return err
	}
	if err := c.write(file); err != nil {
		return err
	}
	for i := range verdict.Lookups {
		fmt.Fprintln(c.stdout, &verdict.Lookups[i])
	}
	if verdict.Outcome != caa.Permitted {
		return errors.New(verdict.String())
	}
	fmt.Fprintln(c.stdout, verdict)
	return nil
}
