package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/dnssec/anchorfile"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/roothttp"
	roothints "github.com/iterdns/iterdns/rootHints"
)

// options returns the resolver's options, with the files read.
func (c *config) options() (resolver.Options, error) {
	o := resolver.Options{
		Port:             uint16(c.port),
		Limits:           resolver.Limits{Questions: c.questions, Time: c.timeLimit},
		DisableHostsFile: true, // only the methods of package net read it

		Routes:              c.routes,
		Fallback:            c.fallback,
		RequireTLS:          c.requireTLS,
		RebindingProtection: c.rebindProtection,
		PrivateDomains:      c.privateDomains,
		NSID:                c.nsid,

		ServeStale:          c.stale > 0, // for as long as the cache keeps it
		ServeStaleOverBogus: c.staleOverBogus,
		DisablePrefetch:     !c.prefetch,
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
	if c.localRoot != nil {
		o.LocalRoot = &resolver.LocalRoot{Sources: c.localRoot, File: c.localRootFile}
	}
	o.LocalZones, err = c.readLocalZones()
	return o, err
}

// addLocalRoot adds a source of the root zone.
func (c *config) addLocalRoot(source string) error {
	switch {
	case source == "":
		return errors.New("want axfr, a URL or a file")
	case source == "axfr":
		c.localRoot = append(c.localRoot, resolver.LocalRootServers()...)
	case strings.HasPrefix(source, "https://") || strings.HasPrefix(source, "http://"):
		c.localRoot = append(c.localRoot, roothttp.Source(nil, source))
	default:
		c.localRoot = append(c.localRoot, resolver.LocalRootFile(source))
	}
	return nil
}

// logLocalRoot logs which copy of the root zone is used, and why not.
func (p *proxy) logLocalRoot(c resolver.LocalRootChange) {
	if c.Err != nil {
		p.log.Warn("local root", "why", resolver.Explain(c.Err), "copy", c.LocalRootState.String())
		return
	}
	p.log.Info("local root", "copy", c.LocalRootState.String())
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
