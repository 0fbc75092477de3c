package anchorfile_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec/anchorfile"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// A program that runs for years follows the root's keys when they are replaced. Here the root is
// that of a mock Internet; other programs have resolver.Options{} in the place of its options.
func Example() {
	dir, err := os.MkdirTemp("", "anchors")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	in := resolvertest.New(nil, "-- zone example. signed --\nwww A 192.0.2.80\n")
	known := make(chan resolver.AnchorChange, 10)

	options := in.Options()
	options.AnchorStore = anchorfile.New(filepath.Join(dir, "anchors.json"))
	options.AnchorsChanged = func(c resolver.AnchorChange) { known <- c }
	r, err := resolver.New(options)
	if err != nil {
		log.Fatal(resolver.Explain(err)) // what is in the file cannot be used
	}
	defer r.Close()

	c := <-known // the root's key has been seen for the first time
	fmt.Println(c.Zone, len(c.Keys), c.Keys[0].State, c.Err)
	result, err := r.Resolve(context.Background(), "www.example", dns.TypeA)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Status)
	// Output:
	// . 1 Valid <nil>
	// secure
}
