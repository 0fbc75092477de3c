package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// write writes the file of -o, and no other: evidence is not overwritten.
func (c *command) write(text []byte) error {
	f, err := os.OpenFile(c.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// read reads the chains of a file.
func read(name string) ([]dnssec.StoredChain, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	chains, err := dnssec.ReadStoredChains(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return chains, nil
}

// show prints what a file says, which is not verified.
func (c *command) show(name string) error {
	chains, err := read(name)
	if err != nil {
		return err
	}
	for i := range chains {
		s := &chains[i]
		fmt.Fprintln(c.stdout, s)
		fmt.Fprintf(c.stdout, "  asked    %s\n  answered %s\n", stamp(s.Asked), stamp(s.Answered))
		if from, until := s.Valid(); !from.IsZero() {
			fmt.Fprintf(c.stdout, "  signed   from %s until %s\n", stamp(from), stamp(until))
		}
		if s.Note != "" {
			fmt.Fprintf(c.stdout, "  note     %s\n", resolver.Printable(s.Note))
		}
		for _, server := range s.Servers {
			fmt.Fprintf(c.stdout, "  server   %s\n", server)
		}
		for i := range s.Chain {
			c.showLink(&s.Chain[i])
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// showLink prints one step of a chain with its records.
func (c *command) showLink(l *dnssec.Link) {
	fmt.Fprintf(c.stdout, "  %v\n", l)
	for _, sets := range [][]*dnssec.RRset{l.Answer, l.Authority} {
		for _, set := range sets {
			records, err := set.AppendRRs(nil, set.TTL, true)
			if err != nil {
				fmt.Fprintf(c.stdout, "    %s %s: %v\n", set.Owner, dns.Type(set.Type), err)
			}
			for _, rr := range records {
				fmt.Fprintf(c.stdout, "    %s\n", strings.ReplaceAll(resolver.PrintableRR(rr), "\t", " "))
			}
		}
	}
}

// verify judges each chain of a file, and fails if one does not hold, or there is none. Of a look-up
// without an answer there may be none.
func (c *command) verify(name string) error {
	chains, err := read(name)
	if err != nil {
		return err
	}
	var anchors []dnssec.Anchor // nil: the root's
	if c.anchors != "" {
		f, err := os.Open(c.anchors)
		if err != nil {
			return err
		}
		defer f.Close()
		if anchors, err = dnssec.ParseAnchors(f); err != nil {
			return err
		}
	}
	bad, good := 0, 0
	for i := range chains {
		s := &chains[i]
		at := c.at
		if at.IsZero() {
			at = s.Answered
		}
		if verdict, err := s.Verify(anchors, at); s.Failure != "" && s.Chain == nil {
			fmt.Fprintf(c.stdout, "none %v: nothing to verify\n", s)
		} else if err != nil {
			bad++
			fmt.Fprintf(c.stdout, "BAD  %v: at %s: %v\n", s, stamp(at), err)
			if foreign(s, anchors, at, err) {
				fmt.Fprintf(c.stdout, "     none of the trust anchors here is for its keys: it may be from another root, whose anchors -anchors takes\n")
			}
		} else {
			good++
			fmt.Fprintf(c.stdout, "good %v: at %s: %s\n", s, stamp(at), found(s, verdict))
		}
	}
	if bad > 0 || good == 0 {
		return fmt.Errorf("%s: of %d chains %d hold and %d do not", name, len(chains), good, bad)
	}
	return nil
}

// foreign reports whether a chain does not hold because the trust anchors are not those of the DNS that
// it comes from: they match none of its uppermost keys, or are for other zones.
func foreign(s *dnssec.StoredChain, anchors []dnssec.Anchor, at time.Time, err error) bool {
	if bogus, ok := errors.AsType[*dnssec.BogusError](err); ok {
		return bogus.Reason.Code == dnssec.ReasonDSMismatch && bogus.Reason.Name == s.Chain[0].Name
	}
	verdict, err := dnssec.VerifyChain(s.Chain, anchors, at)
	return err == nil && verdict.Reason.Code == dnssec.ReasonNoAnchor && s.Status != dnssec.Indeterminate
}

// found says in words what a verdict shows.
func found(s *dnssec.StoredChain, v *dnssec.Verdict) string {
	what := "records"
	switch {
	case v.Denial != nil && v.Denial.NameError:
		what = "the name does not exist"
	case s.Chain[len(s.Chain)-1].Kind != dnssec.KindAnswer:
		what = "no records of the type"
	}
	if v.Status != dnssec.Secure {
		return what + ", " + v.Reason.String()
	}
	return what + ", signed by " + v.Zone.String()
}

// export writes the last chain of a file in the form of RFC 9102.
func (c *command) export(name string) error {
	chains, err := read(name)
	if err != nil {
		return err
	}
	chain, err := dnssec.AppendAuthenticationChain(nil, chains[len(chains)-1].Chain)
	if err != nil {
		return err
	}
	return c.write(chain)
}
