// Anchors follows the rollovers of a zone's keys, those of the root zone unless told
// otherwise, as RFC 5011 says, and keeps what it knows in a file:
//
//	go run ./examples/anchors -state FILE [-anchors FILE] [-follow]
//
// The file is made at the first run, from the trust anchors built in or from those of
// -anchors. Each run asks the zone for its keys, once, and says what is known of each, and
// when to ask again; with -follow it does so itself until it is interrupted. A new key is
// trusted when it has been seen for 30 days; one that its owner has revoked is not any
// more.
//
// A program of one's own does the same with a dnssec.Rollover, which it keeps wherever it
// likes: refresh shows how. The anchors of a resolver do not change, so that a long-lived
// program makes another one when Rollover.Anchors does; they may share a cache.
//
// Who can write the file decides what is trusted.
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
	"path/filepath"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], resolver.Options{}, resolver.PrintableWriter(os.Stdout)); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(resolver.PrintableWriter(os.Stderr), "anchors:", err)
		os.Exit(1)
	}
}

// run is main without the process.
func run(ctx context.Context, args []string, o resolver.Options, stdout io.Writer) error {
	flags := flag.NewFlagSet("anchors", flag.ContinueOnError)
	flags.SetOutput(stdout)
	file := flags.String("state", "", "keep what is known in this `file`")
	first := flags.String("anchors", "", "begin with the trust anchors of this `file` instead of those built in")
	follow := flags.Bool("follow", false, "ask again when it is time, until interrupted")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *file == "" || flags.NArg() > 0 {
		return errors.New("want -state FILE; -h shows how to use it")
	}
	state, err := load(*file, *first)
	if err != nil {
		return err
	}
	for {
		updated, next, err := refresh(ctx, o, state)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !*follow:
			return err
		case err != nil:
			fmt.Fprintln(stdout, "nothing learnt:", err)
		}
		state = updated
		if err := save(*file, state); err != nil {
			return err
		}
		report(stdout, state, next)
		if !*follow {
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

// load reads the state, or makes the first one where there is no file.
func load(file, first string) (state dnssec.Rollover, err error) {
	text, err := os.ReadFile(file)
	switch {
	case err == nil:
		err = json.Unmarshal(text, &state)
		return state, err
	case !errors.Is(err, fs.ErrNotExist):
		return state, err
	}
	anchors := dnssec.DefaultAnchors()
	if first != "" {
		f, err := os.Open(first)
		if err != nil {
			return state, err
		}
		defer f.Close()
		if anchors, err = dnssec.ParseAnchors(f); err != nil {
			return state, fmt.Errorf("%s: %w", first, err)
		}
	}
	return dnssec.NewRollover(anchors, time.Now())
}

// save replaces the file in one step: a program that is interrupted leaves the old state
// or the new one.
func save(file string, state dnssec.Rollover) error {
	text, err := json.MarshalIndent(state, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
