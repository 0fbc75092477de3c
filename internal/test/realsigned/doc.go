// Package realsigned compares the verdicts of the library with those of Unbound and Knot
// Resolver, on zones that BIND, Knot DNS and ldns have signed with the algorithms that
// they offer, served by NSD, Knot DNS and BIND. Everything runs on loopback addresses.
//
// Sign has one zone signed for other tests.
//
// # Limitations
//
// It needs the programs of all these products: a test is skipped where one is missing.
// The package is test support: nothing of the library imports it.
package realsigned
