package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/realresolver"
	"github.com/iterdns/iterdns/internal/test/realserver"
)

// firstPort is that of the first of the other resolvers, on 127.0.0.1 in the namespace. The
// others have the next ones.
const firstPort = 5301

func peerAddr(p realresolver.Product) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), firstPort+uint16(p))
}

// startPeer runs another resolver, in a directory of its own below dir.
func startPeer(p realresolver.Product, dir, hints string, anchors []dnssec.Anchor) (*realserver.Process, error) {
	dir = filepath.Join(dir, strings.ReplaceAll(p.String(), " ", ""))
	if err := os.RemoveAll(dir); err != nil { // a cache of another world
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return realresolver.Run(dir, p, realresolver.Setting{
		Listen: peerAddr(p), Hints: hints, Anchors: anchors, Extra: tuning(p),
	})
}

// tuning is room for many questions at once, and failures that are kept as briefly as
// possible, since differing questions are asked again.
func tuning(p realresolver.Product) string {
	switch p {
	case realresolver.Unbound:
		return `val-bogus-ttl: 1
	outgoing-range: 4096
	num-queries-per-thread: 2048`
	case realresolver.BIND:
		return "servfail-ttl 0; recursive-clients 10000;"
	case realresolver.KnotResolver:
		return "cache.size = 200 * MB"
	case realresolver.PowerDNS:
		return "packetcache-servfail-ttl=1\nmax-cache-bogus-ttl=1"
	}
	return ""
}
