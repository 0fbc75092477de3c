//go:build !linux

// Package netns runs a program of the tests in namespaces of its own, which only Linux has.
package netns

import "errors"

var errNoNamespaces = errors.New("network namespaces are there on Linux only")

func Isolated() bool { return false }

func Isolate(ownPIDs bool) (status int, err error) { return 0, errNoNamespaces }

func Claim(...string) error { return errNoNamespaces }
