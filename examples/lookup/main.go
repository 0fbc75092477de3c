// Lookup prints the addresses of a name with their TTL and DNSSEC status, or says why there are none.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/iterdns/iterdns/resolver"
)

func main() {
	log.SetFlags(0)
	log.SetOutput(resolver.PrintableWriter(os.Stderr))
	if len(os.Args) != 2 {
		log.Fatal("usage: lookup NAME")
	}
	r, err := resolver.New(resolver.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := lookup(context.Background(), r, os.Args[1], resolver.PrintableWriter(os.Stdout)); err != nil {
		log.Fatal(report(err))
	}
}

// report is what the program says of an error: its text, and what that means.
func report(err error) string { return err.Error() + "\n\n" + resolver.Explain(err) }

func lookup(ctx context.Context, r *resolver.Resolver, name string, w io.Writer) error {
	addrs, detail, err := r.Detailed().LookupNetIP(ctx, "ip", name)
	for _, addr := range addrs {
		fmt.Fprintln(w, addr)
	}
	if err == nil && detail.Canonical != "" { // otherwise it is not from DNS
		fmt.Fprintf(w, "may be kept for %v, %v\n", detail.TTL, detail.Status)
	}
	return err
}
