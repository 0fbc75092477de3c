package realserver

import (
	"cmp"
	"fmt"
	"testing"
)

// Product names an authoritative server that [Start] can run. The zero value is
// NSD.
type Product int

// The products, with the Debian packages that bring them.
const (
	NSD  Product = iota // nsd
	Knot                // knot
	BIND                // bind9
)

// Products returns every product, in a fixed order.
func Products() []Product {
	return []Product{NSD, Knot, BIND}
}

// String returns the name that the product's authors use.
func (p Product) String() string {
	switch p {
	case NSD:
		return "NSD"
	case Knot:
		return "Knot DNS"
	case BIND:
		return "BIND"
	}
	return fmt.Sprintf("Product(%d)", int(p))
}

// Available reports whether the product's program is installed on this host.
func Available(p Product) bool {
	_, err := p.binary()
	return err == nil
}

// Need ends the test, as [Program] does, if one of the products is not installed.
func Need(t testing.TB, products ...Product) {
	t.Helper()
	var missing []Product
	var first error
	for _, p := range products {
		if _, err := p.binary(); err != nil {
			missing = append(missing, p)
			first = cmp.Or(first, err)
		}
	}
	if len(missing) == 0 {
		return
	}
	for _, p := range missing[1:] {
		note(t, p)
	}
	unavailable(t, missing[0], first)
}

// daemon is the name of the program.
func (p Product) daemon() string {
	switch p {
	case NSD:
		return "nsd"
	case Knot:
		return "knotd"
	case BIND:
		return "named"
	}
	return ""
}

// binary finds the program.
func (p Product) binary() (string, error) { return find(p.daemon()) }
