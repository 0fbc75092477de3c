//go:build !linux

package main

import "errors"

var errNoNamespaces = errors.New("network namespaces are there on Linux only")

func isolated() bool { return false }

func isolate() (int, error) { return 0, errNoNamespaces }

func claim(...string) error { return errNoNamespaces }
