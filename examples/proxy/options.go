package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/dnssec/anchorfile"
	"github.com/iterdns/iterdns/resolver"
	roothints "github.com/iterdns/iterdns/rootHints"
)

// options returns the resolver's options, with the files read.
func (c *config) options() (resolver.Options, error) {
	o := resolver.Options{
		Port:             uint16(c.port),
		Limits:           resolver.Limits{Questions: c.questions, Time: c.timeLimit},
		DisableHostsFile: true, // only the methods of package net read it

		Routes:              c.routes,
		RebindingProtection: c.rebindProtection,
		PrivateDomains:      c.privateDomains,
		NSID:                c.nsid,

		ServeStale:      c.stale > 0, // for as long as the cache keeps it
		DisablePrefetch: !c.prefetch,
	}
	if c.rotate {
		o.Rotate = rand.IntN
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
	if c.anchorsState != "" {
		o.AnchorStore = anchorfile.New(c.anchorsState)
	}
	o.LocalZones, err = c.readLocalZones()
	return o, err
}

// readLocalZones reads what is answered from files.
func (c *config) readLocalZones() (zones []resolver.LocalZone, err error) {
	if c.hostsFile != "" {
		hosts, err := parseFile("-hosts", c.hostsFile, resolver.ParseHosts)
		if err != nil {
			return nil, err
		}
		zones = append(zones, hosts)
	}
	for _, flag := range c.localZones {
		name, path, _ := strings.Cut(flag, "=")
		zone, err := parseFile("-local-zone", path, func(r io.Reader) (resolver.LocalZone, error) {
			return resolver.ParseLocalZone(name, r)
		})
		if err != nil {
			return nil, err
		}
		zones = append(zones, zone)
	}
	return zones, nil
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
