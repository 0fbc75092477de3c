package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/drawing"
)

// command is what the command line asks for.
type command struct {
	name   string
	rrtype uint16

	additional   bool
	form         form
	ipv4, ipv6   bool
	hints, mock  string // files; "": none
	forward      string // servers, as in a route's text; "": none
	dnssec       bool
	graph        string // file; "": none
	onlyLoopback bool   // no name was given: the embedded mock Internet
}

// form is how the walk is shown.
type form uint8

const (
	formDig form = iota
	formTree
	formJSON
)

// mockName is what is looked up where no name is given.
const mockName = "draveness.me."

const usage = `usage: trace [flags] [NAME [TYPE]]

Walks from the root servers to the answer and prints each step. Without NAME it walks
a mock Internet on loopback sockets, and no network is needed.

`

// parseArgs reads the command line. Flags may stand after the name too, as with dig.
func parseArgs(args []string, stderr io.Writer) (*command, error) {
	c := &command{}
	var asTree, asJSON bool
	flags := flag.NewFlagSet("trace", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // errors are reported by the caller
	flags.BoolVar(&c.additional, "additional", true, "print additional sections")
	flags.BoolVar(&asTree, "tree", false, "print the walk as a tree")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object for each event")
	flags.BoolVar(&c.dnssec, "dnssec", false, "print the chain of trust after the walk")
	flags.StringVar(&c.graph, "graph", "", "draw chain of trust and walk into this `file`, *.svg or *.dot")
	flags.BoolVar(&c.ipv4, "4", false, "ask servers over IPv4 only")
	flags.BoolVar(&c.ipv6, "6", false, "ask servers over IPv6 only")
	flags.StringVar(&c.hints, "hints", "", "begin at the root servers of this `file`")
	flags.StringVar(&c.forward, "forward", "", "ask these `servers` ([tcp://|tls://]ADDRESS[:PORT][#NAME],…) instead of walking from the root")
	flags.StringVar(&c.mock, "mock", "", "walk the mock Internet of this `file` (see package resolvertest)")
	words, err := parseMixed(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
	}
	if err != nil {
		return nil, err
	}
	if c.form, err = chooseForm(asTree, asJSON); err != nil {
		return nil, err
	}
	if err := c.setQuestion(words); err != nil {
		return nil, err
	}
	return c, c.check()
}

// parseMixed parses flags wherever they stand, and returns the other words.
func parseMixed(flags *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return words, nil
		}
		words = append(words, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

func chooseForm(asTree, asJSON bool) (form, error) {
	switch {
	case asTree && asJSON:
		return formDig, errors.New("-tree and -json exclude each other")
	case asTree:
		return formTree, nil
	case asJSON:
		return formJSON, nil
	}
	return formDig, nil
}

func (c *command) setQuestion(words []string) (err error) {
	c.name, c.rrtype = mockName, dns.TypeA
	c.onlyLoopback = len(words) == 0 && c.mock == ""
	if len(words) > 0 {
		c.name = words[0]
	}
	if len(words) > 1 {
		c.rrtype, err = drawing.ParseType(words[1])
	}
	if len(words) > 2 {
		return fmt.Errorf("too many words: %s", strings.Join(words[2:], " "))
	}
	return err
}

func (c *command) check() error {
	switch {
	case c.graph != "" && painter(c.graph) == nil:
		return errors.New("-graph needs a file name that ends in .svg or .dot")
	case c.ipv4 && c.ipv6:
		return errors.New("-4 and -6 exclude each other")
	case c.hints != "" && c.mock != "":
		return errors.New("-hints and -mock exclude each other: a mock Internet has root servers of its own")
	case c.forward != "" && c.onlyLoopback:
		return errors.New("-forward needs a NAME: the mock Internet has no resolver to forward to")
	case c.forward != "" && c.hints != "":
		return errors.New("-forward and -hints exclude each other: forwarding does not begin at the root servers")
	case c.hints != "" && c.onlyLoopback:
		return errors.New("-hints needs a NAME: the mock Internet has root servers of its own")
	}
	return nil
}

func (c *command) question() string { return dns.Fqdn(c.name) + " " + dns.Type(c.rrtype).String() }
