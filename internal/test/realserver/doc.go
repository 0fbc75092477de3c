// Package realserver lets tests try the library against DNS as other people made
// it: NSD, Knot DNS and BIND run as child processes, the real root zone is served
// by one of them, and what stands behind the real top-level domains is played by a
// catch-all.
//
//   - [Start] runs a product in the foreground as the current user, on 127.0.0.1
//     and a free high port, with a generated configuration, without remote control
//     and with rate limits off, in a temporary directory that goes when the test
//     ends. It needs no privileges and does not touch the configuration of the host
//     or a daemon that already runs there.
//   - [Run] starts any other daemon, such as a resolver, in the same way.
//   - [ReadRootZone] reads the archived root zone: its delegations, glue and DS.
//   - [StartCatchAll] answers for every top-level domain, authoritatively.
//   - [Router] is the network between the resolver and these servers: its Dial
//     leads each address of the zones to the server that plays it, and it logs
//     every query sent.
//
// # Limitations
//
// The products serve primary zones from text, and transfer them to clients on this host;
// no signing by the server (a zone may hold signatures), one address for each server. The
// package is test support: nothing of the library imports it.
package realserver
