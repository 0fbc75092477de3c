package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/iterdns/iterdns/internal/test/netns"

	"github.com/iterdns/iterdns/internal/test/progress"
	"github.com/iterdns/iterdns/resolver"
)

// config is what the command line says.
type config struct {
	questions int
	seed      uint64
	timeout   time.Duration
	unused    bool
	examples  int
	dump      bool
	keep      string
}

// stdout shows nothing that a terminal obeys, whatever the resolvers answer.
var stdout = resolver.PrintableWriter(os.Stdout)

func main() {
	log.SetFlags(0)
	log.SetOutput(resolver.PrintableWriter(os.Stderr))
	var c config
	flag.IntVar(&c.questions, "questions", 10000, "how many questions to ask")
	flag.Uint64Var(&c.seed, "seed", 1, "what the Internet and the questions are made from")
	flag.DurationVar(&c.timeout, "timeout", 20*time.Minute, "when to give up")
	flag.BoolVar(&c.unused, "unused", false, "fail if nothing falls into a class")
	flag.IntVar(&c.examples, "examples", 0, "how many differences of each class to print")
	flag.BoolVar(&c.dump, "dump", false, "print the Internet and the questions, and ask nobody")
	flag.StringVar(&c.keep, "logs", "", "`directory` for the files of the other resolvers; empty: a temporary one")
	flag.Parse()
	if c.dump {
		dump(c)
		return
	}
	if !netns.Isolated() {
		begin := time.Now()
		status, err := netns.Isolate(true)
		if err != nil {
			err = fmt.Errorf("no network namespace: %w", err)
			log.Print(err)
			progress.End(stdout, "differential", begin, err)
			os.Exit(1)
		}
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	begin := time.Now()
	err := run(ctx, c)
	progress.End(stdout, "differential", begin, err)
	if err != nil {
		cancel()
		stop()
		os.Exit(1)
	}
}

// dump prints what would be asked about what.
func dump(c config) {
	w := newWorld(c.seed, c.questions)
	fmt.Fprint(stdout, w.text)
	for _, q := range w.questions {
		fmt.Fprintln(stdout, "#", q)
	}
}
