package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/iterdns/iterdns/dnssec"
	roothints "github.com/iterdns/iterdns/rootHints"

	"github.com/iterdns/iterdns/resolver"
)

// options gives the resolver's options, with the files read.
func (c *config) options() (resolver.Options, error) {
	o := resolver.Options{
		Port:             uint16(c.port),
		Limits:           resolver.Limits{Questions: c.questions},
		DisableHostsFile: true, // only the methods of package net read it
	}
	if !c.dnssec {
		o.Validation = resolver.ValidateOff
	}
	if len(c.allowServers) > 0 {
		o.AllowServer = func(addr netip.Addr) bool {
			return contains(c.allowServers, addr) || resolver.PublicUnicast(addr)
		}
	}
	var err error
	if c.hintsFile != "" {
		if o.RootHints, err = parseFile("-hints", c.hintsFile, roothints.Parse); err != nil {
			return o, err
		}
	}
	if c.anchorsFile != "" {
		if o.TrustAnchors, err = parseFile("-anchors", c.anchorsFile, dnssec.ParseAnchors); err != nil {
			return o, err
		}
	}
	return o, nil
}

// parseFile reads what a flag names.
func parseFile[T any](name, path string, parse func(io.Reader) (T, error)) (T, error) {
	var none T
	file, err := os.Open(path)
	if err != nil {
		return none, fmt.Errorf("%s: %w", name, err)
	}
	defer file.Close()
	value, err := parse(file)
	if err != nil {
		return none, fmt.Errorf("%s: %s: %w", name, path, err)
	}
	return value, nil
}
