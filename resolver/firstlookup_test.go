package resolver_test

import (
	"context"
	"errors"
	"net"
)

// Package net makes a channel in the first look-up of a program and keeps it, and one that was made
// in a bubble of virtual time ends the program when it is used outside: so the first one is here,
// whichever test runs first.
func init() {
	r := net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no network")
	}}
	_, _ = r.LookupHost(context.Background(), "first.invalid.")
}
