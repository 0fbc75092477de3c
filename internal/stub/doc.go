// Package stub decides what package net decides above DNS: which names to ask for when a
// caller names a host (search list), what the hosts file says, which records make a host
// name, in which order to try addresses (RFC 6724) and servers (RFC 2782), and which of a
// host's addresses to connect to (RFC 8305).
//
// In come names as a caller writes them, RDATA, addresses, and functions that resolve and
// connect; out go names to resolve, the types of package net, and a connection. The package
// reads the hosts file and looks up the host's routes; it never asks DNS, and knows neither
// cache nor servers nor validation.
package stub
