// Anchors follows the rollovers of a zone's keys, those of the root zone unless told
// otherwise, as RFC 5011 says, and keeps what it knows in a file:
//
//	go run ./examples/anchors -state FILE [-anchors FILE] [-follow] [-restart]
//
// The file is made at the first run, from the trust anchors built in or from those of
// -anchors. Each run asks the zone for its keys, once, and says what is known of each, and
// when to ask again; with -follow it does so itself until it is interrupted. A new key is
// trusted when it has been seen for 30 days; one that its owner has revoked is not any
// more. The options -anchors of other programs here, and the property of the CoreDNS plugin,
// read the file as it is.
//
// After some months without a run every known key may have been revoked. That
// is exit code 3, at each run until -restart begins anew, with the anchors built in or those
// of -anchors: those built into a program of today, or a file from
// data.iana.org/root-anchors.
//
// A program that runs for long needs none of this: with resolver.Options.AnchorStore its resolver
// does the same, and dnssec/anchorfile keeps the file, which has the same form. This program is for
// looking at that file, for restarting it, and for programs that only read it. Files with the keys
// of several zones are not for it. refresh shows how a dnssec.Rollover is used by itself.
//
// A program that can write the file decides what is trusted.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/dnssec/anchorfile"
	"github.com/iterdns/iterdns/resolver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], resolver.Options{}, resolver.PrintableWriter(os.Stdout))
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(resolver.PrintableWriter(os.Stderr), "anchors:", err)
	}
	os.Exit(exitCode(err))
}

// exitLost is the exit code that says that no key is trusted any more, which no other run
// will change.
const exitLost = 3

func exitCode(err error) int {
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, dnssec.ErrNoAnchorLeft):
		return exitLost
	}
	return 1
}

// run is main without the process.
func run(ctx context.Context, args []string, o resolver.Options, stdout io.Writer) error {
	flags := flag.NewFlagSet("anchors", flag.ContinueOnError)
	flags.SetOutput(stdout)
	file := flags.String("state", "", "keep the state in this `file`")
	first := flags.String("anchors", "", "begin with the trust anchors of this `file` instead of the built-in ones")
	follow := flags.Bool("follow", false, "ask again whenever it is due, until interrupted")
	restart := flags.Bool("restart", false, "forget the stored state, and begin with -anchors or the built-in anchors")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *file == "" || flags.NArg() > 0 {
		return errors.New("want -state FILE; -h shows how to use it")
	}
	state, err := begin(*file, *first, *restart)
	if err != nil {
		return err
	}
	for {
		updated, next, err := refresh(ctx, o, state)
		if ctx.Err() != nil {
			return nil
		}
		lost := errors.Is(err, dnssec.ErrNoAnchorLeft)
		if err != nil && !lost {
			if !*follow {
				return err
			}
			fmt.Fprintln(stdout, "nothing learnt:", err)
		}
		state = updated
		if err := save(*file, state); err != nil {
			return err
		}
		report(stdout, state, next)
		switch {
		case lost:
			return fmt.Errorf("%w; -restart does so with those built in, or of -anchors", err)
		case !*follow:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
	}
}

func report(w io.Writer, state dnssec.Rollover, next time.Time) {
	for _, key := range state.Keys {
		fmt.Fprintf(w, "%-7s since %s  %s\n", key.State, key.Since.UTC().Format(time.DateOnly), shorten(key.Record))
	}
	fmt.Fprintln(w, "to be asked again", next.UTC().Format(time.RFC3339))
}

// shorten leaves out most of a record's key.
func shorten(record string) string {
	const enough = 60
	if len(record) <= enough {
		return record
	}
	return record[:enough] + "…"
}

// begin reads the state, or makes the first one where there is none or a new one is wanted.
func begin(file, first string, restart bool) (dnssec.Rollover, error) {
	if !restart {
		state, err := load(file)
		if !errors.Is(err, fs.ErrNotExist) {
			return state, err
		}
	}
	anchors, err := firstAnchors(first)
	if err != nil {
		return dnssec.Rollover{}, err
	}
	return dnssec.NewRollover(anchors, time.Now())
}

// firstAnchors reads the anchors of a file; without one they are those built in.
func firstAnchors(file string) ([]dnssec.Anchor, error) {
	if file == "" {
		return dnssec.DefaultAnchors(), nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	anchors, err := dnssec.ParseAnchors(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return anchors, nil
}

// load reads and checks the state.
func load(file string) (dnssec.Rollover, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return dnssec.Rollover{}, err // it names the file
	}
	state, err := dnssec.ParseRollover(text)
	if err != nil {
		return dnssec.Rollover{}, fmt.Errorf("%s: %w", file, err)
	}
	return state, nil
}

// save replaces the file in one step: a program that is interrupted leaves the old state
// or the new one. The file keeps its mode, and a symbolic link still leads to it. A file that
// everybody may write is refused, since it decides what is trusted.
func save(file string, state dnssec.Rollover) error {
	text, err := json.MarshalIndent(state, "", "\t")
	if err != nil {
		return err
	}
	store := anchorfile.New(file)
	was, err := store.Load(context.Background())
	if err != nil {
		return err
	}
	return store.Save(context.Background(), append(text, '\n'), was)
}
