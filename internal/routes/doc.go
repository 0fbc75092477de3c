// Package routes decides who is asked about which names, and whether what they say is
// validated.
//
// In come the routes and negative trust anchors of the options, and files in the form of
// resolv.conf(5); out come, for a question, the [View] that its data is kept in, with the part
// of the cache and the validator (RFC 7646), and the [Source] to ask: the name servers from
// the root down, or the servers of a route. A [ZoneCut] says where a walk has come to. The
// package also keeps the connections of forwarders (RFC 7858), and what shows that a server
// leads back to us.
//
// It never asks a server, and does not decide which one is next: package slist does.
//
// Unbound's words are forward-zone, stub-zone, domain-insecure and, for the zone cut,
// delegation point; Knot Resolver's are policy.FORWARD, policy.STUB and zone cut.
package routes
