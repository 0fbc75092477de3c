package realresolver

import "fmt"

// Product names a resolver that [Run] and [Start] can run. The zero value is Unbound.
type Product int

// The products, with the Debian packages that bring them.
const (
	Unbound      Product = iota // unbound
	BIND                        // bind9
	KnotResolver                // knot-resolver
	PowerDNS                    // pdns-recursor
)

// Products returns every product, in a fixed order.
func Products() []Product { return []Product{Unbound, BIND, KnotResolver, PowerDNS} }

// String returns the name that the product's authors use.
func (p Product) String() string {
	switch p {
	case Unbound:
		return "Unbound"
	case BIND:
		return "BIND"
	case KnotResolver:
		return "Knot Resolver"
	case PowerDNS:
		return "PowerDNS"
	}
	return fmt.Sprintf("Product(%d)", int(p))
}

// command returns the program, and the arguments that run it in the foreground, in the
// directory of its files.
func (p Product) command() (program string, arguments []string) {
	switch p {
	case Unbound:
		return "unbound", []string{"-d", "-c", configFile}
	case BIND:
		return "named", []string{"-4", "-g", "-n", "1", "-c", configFile}
	case KnotResolver:
		return "kresd", []string{"-n", "-q", "-c", configFile, "."}
	case PowerDNS:
		return "pdns_recursor", []string{"--config-dir=."}
	}
	return "", nil
}
