package main

import (
	"flag"
	"fmt"
	"io"
)

// flagGroups are the flags by what they are for, each in one group.
var flagGroups = []struct {
	title string
	flags []string
}{
	{"Where it listens", []string{"listen", "tls-listen", "https-listen", "cert", "key", "metrics", "debug"}},
	{"Who may ask, and how much", []string{"allow-client", "client-rate", "client-questions", "client-connections", "questions", "time-limit"}},
	{"Where answers are found", []string{"route", "fallback", "require-tls", "hosts", "local-zone", "hints", "anchors", "anchors-file", "local-root", "local-root-file", "dnssec", "allow-server", "port"}},
	{"What is changed in answers", []string{"rebind-protection", "private-domain", "rotate", "nsid"}},
	{"What is kept", []string{"cache-bytes", "stale", "stale-over-bogus", "prefetch", "snapshot", "snapshot-interval"}},
	{"How it runs", []string{"log", "log-queries", "drain", "threads"}},
}

const usageText = `usage: proxy [flags]

Answers DNS questions, which it resolves itself from the root servers down. Examples:

  proxy                                          for this host, at 127.0.0.1:5353
  proxy -listen 0.0.0.0:53 -allow-client 192.168.0.0/16
                                                 for a network, over IPv4
  proxy -route .=tls://192.0.2.53#dns.example    forward everything, over TLS
  proxy -local-zone lan=lan.zone -hosts /etc/hosts
                                                 names of your own
  proxy -cache-bytes 256M -snapshot /var/lib/iterdns/cache

README.md describes each flag.
`

// printHelp writes the flags in their groups.
func printHelp(w io.Writer, flags *flag.FlagSet) {
	fmt.Fprint(w, usageText)
	for _, group := range flagGroups {
		fmt.Fprintf(w, "\n%s:\n", group.title)
		part := flag.NewFlagSet("", flag.ContinueOnError)
		part.SetOutput(w)
		for _, name := range group.flags {
			f := flags.Lookup(name)
			part.Var(f.Value, f.Name, f.Usage)
			part.Lookup(name).DefValue = f.DefValue
		}
		part.PrintDefaults()
	}
}
