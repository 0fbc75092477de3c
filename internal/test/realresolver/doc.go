// Package realresolver lets tests run validating resolvers as other people made them,
// Unbound, BIND, Knot Resolver and PowerDNS Recursor, beside the library, before it and
// behind it: as child processes like the servers of package realserver, each with a
// configuration made from one [Setting].
//
// All of them use IPv4 only, have no remote control, and read nothing of the host.
//
// # Limitations
//
// Only Unbound and Knot Resolver are configured with upstreams. The package is test support:
// nothing of the library imports it.
package realresolver
