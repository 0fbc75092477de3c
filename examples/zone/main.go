// Zone shows the zone that holds a name: what its parent and what it itself say about it, side by
// side, and what each of its servers answers.
//
//	go run ./examples/zone                     a zone of a mock Internet, no network needed
//	go run ./examples/zone [flags] NAME [TYPE] on the real one; TYPE is what servers are asked for
//
// The flags:
//
//	-follow            the zone that the name's aliases lead to
//	-json              one JSON object; see type report
//	-svg FILE          draw it too
//	-mock FILE         on the mock Internet of this file, in the form of package resolvertest
//
// The exit status is 0 when nothing is wrong; 1 when the zone is broken, one of its servers is lame or
// silent, or they disagree, and when there is no zone; 2 when the command line makes no sense.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/drawing"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Exit statuses.
const (
	exitWell   = 0
	exitBroken = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// mockText is where the example's own zone is: a secondary is out of step, one is lame, and the parent
// names one that the zone does not.
const mockText = `
-- zone example. at 198.51.100.1 signed --
shop       NS    ns1.shop.example.
shop       NS    ns.old.example.
ns1.shop   A     198.51.100.3
-- zone shop.example. at 198.51.100.3 198.51.100.4 signed --
@          SOA   ns1 hostmaster 5 7200 3600 86400 60
@          NS    ns1
@          NS    ns2
ns1        A     198.51.100.3
ns2        A     198.51.100.4
www        A     192.0.2.80
-- zone old.example. at 198.51.100.5 --
ns         A     198.51.100.5
-- fault 198.51.100.4 --
when type SOA: replace NOERROR shop.example. 60 SOA ns1.shop.example. hostmaster.shop.example. 4 7200 3600 86400 60
`

const mockName = "www.shop.example."

// command is what the command line asks for.
type command struct {
	name            string
	rrtype          uint16
	follow, asJSON  bool
	picture, mocked string // files; "": none
}

func parseArgs(args []string, stderr io.Writer) (*command, error) {
	c := &command{name: mockName, rrtype: dns.TypeA}
	flags := flag.NewFlagSet("zone", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&c.follow, "follow", false, "find the zone that the name's aliases lead to")
	flags.BoolVar(&c.asJSON, "json", false, "print one JSON object")
	flags.StringVar(&c.picture, "svg", "", "draw the zone into this `file`")
	flags.StringVar(&c.mocked, "mock", "", "ask in the mock Internet of this `file` (see package resolvertest)")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var err error
	switch words := flags.Args(); {
	case len(words) > 2:
		err = errors.New("more than a name and a type")
	case len(words) == 2:
		c.rrtype, err = drawing.ParseType(words[1])
		fallthrough
	case len(words) == 1:
		c.name = words[0]
	}
	return c, err
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	stderr = resolver.PrintableWriter(stderr)
	c, err := parseArgs(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitWell
	case err != nil:
		fmt.Fprintf(stderr, "zone: %v; -h shows how to use it\n", err)
		return exitUsage
	}
	options, end, err := c.internet()
	if err != nil {
		fmt.Fprintf(stderr, "zone: %v\n", err)
		return exitBroken
	}
	defer end()
	report, err := c.look(ctx, options)
	if err == nil {
		err = c.show(report, stdout)
	}
	switch {
	case errors.Is(err, resolver.ErrName), errors.Is(err, resolver.ErrMetaType):
		fmt.Fprintf(stderr, "zone: %s\n", resolver.Explain(err))
		return exitUsage
	case err != nil:
		fmt.Fprintf(stderr, "zone: %s\n", resolver.Explain(err))
		return exitBroken
	case len(report.Faults) > 0:
		return exitBroken
	}
	return exitWell
}

// internet returns the options of the Internet that the command line asks for.
func (c *command) internet() (resolver.Options, func(), error) {
	text := mockText
	switch {
	case c.mocked != "":
		file, err := os.ReadFile(c.mocked)
		if err != nil {
			return resolver.Options{}, nil, err
		}
		text = string(file)
	case c.name != mockName:
		return resolver.Options{}, func() {}, nil
	}
	in, err := resolvertest.NewInternet(text)
	if err != nil {
		return resolver.Options{}, nil, err
	}
	return in.Options(), in.Close, nil
}

// look finds the zone, and asks its servers unless the resolver answers it itself.
func (c *command) look(ctx context.Context, o resolver.Options) (report *report, err error) {
	r, err := resolver.New(o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	zone, err := r.FindZone(ctx, c.name, resolver.FindZoneOptions{FollowAliases: c.follow, WithoutCache: true})
	if err != nil {
		return nil, err
	}
	answers := &resolver.ServerAnswers{Question: dns.Question{Name: zone.Name, Qtype: c.rrtype}}
	if !zone.Local {
		if answers, err = r.AskServers(ctx, zone, zone.Name, c.rrtype); err != nil {
			return nil, err
		}
	}
	return newReport(zone, answers), nil
}

// show prints and draws the report.
func (c *command) show(r *report, stdout io.Writer) error {
	if c.picture != "" {
		if err := os.WriteFile(c.picture, []byte(r.svg()), 0o666); err != nil {
			return err
		}
	}
	if c.asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	_, err := io.WriteString(resolver.PrintableWriter(stdout), r.text())
	return err
}
