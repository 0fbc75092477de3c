package resolvertest

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/resolver"
)

// Hints says where the root servers are: the NS records of the root zone with the
// addresses that any zone has for them.
func (in *Internet) Hints() *glue.Delegation {
	in.mu.RLock()
	defer in.mu.RUnlock()
	hints := &glue.Delegation{Zone: dnsname.Root}
	root := in.zones[dnsname.Root]
	for _, rr := range root.set(dnsname.Root, dns.TypeNS) {
		host, err := dnsname.Parse(rr.(*dns.NS).Ns)
		if err != nil {
			continue
		}
		hints.Servers = append(hints.Servers, glue.Server{
			Name:      host,
			Bailiwick: glue.InDomain,
			Addrs:     addressesOf(in.zones, host),
		})
	}
	return hints
}

// addressesOf returns the addresses that the zones have for a host, in ascending
// order.
func addressesOf(zones zoneSet, host dnsname.Name) []netip.Addr {
	var addrs []netip.Addr
	for _, z := range zones {
		for _, addr := range z.addresses(host) {
			if !slices.Contains(addrs, addr) {
				addrs = append(addrs, addr)
			}
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

// Anchors returns the trust anchors of this Internet: the DS records of the signed
// zones that no signed zone vouches for, which is the root's if that is signed.
// Zones with no-ds are left out. It is nil if no zone is signed.
func (in *Internet) Anchors() []dnssec.Anchor {
	in.mu.RLock()
	defer in.mu.RUnlock()
	var anchors []dnssec.Anchor
	for _, origin := range slices.SortedFunc(maps.Keys(in.zones), dnsname.Compare) {
		z := in.zones[origin]
		parent := parentOf(in.zones, origin)
		if !z.isSigned() || z.signing.NoDS || parent != nil && parent.isSigned() {
			continue
		}
		for _, ds := range z.ds() {
			anchor, err := dnssec.NewAnchor(ds)
			in.must(err)
			anchors = append(anchors, anchor)
		}
	}
	return anchors
}

// Options returns the options of a resolver whose whole Internet this is: the
// hints, the anchors, Dial, Now, and leave to ask servers at any
// address. The machine that the test runs on has no part in it: there is no hosts
// file, and no route that addresses are ordered by. Where no zone is signed, nothing
// is validated.
//
// Where a zone at or below arpa. is written, or one has special-use names
// (resolver.IsSpecialUse), the answers that resolvers otherwise keep for these names are
// off, so that its records are found: all of them, so that localhost does not exist unless
// it is written too, or a LocalZone. An undelegated zone with special-use names changes
// nothing, since only a Route leads there, and a Route goes before those answers.
func (in *Internet) Options() resolver.Options {
	options := resolver.Options{
		RootHints:         in.Hints(),
		TrustAnchors:      in.Anchors(),
		AllowServer:       func(netip.Addr) bool { return true },
		Dial:              in.Dial,
		Now:               in.Now,
		DisableLocalZones: in.hasSpecialUse(),
		DisableHostsFile:  true,
		AddressOrder:      resolver.OrderAsAnswered,
	}
	if options.TrustAnchors == nil {
		options.Validation = resolver.ValidateOff
	}
	return options
}

var (
	arpa  = dnsname.MustParse("arpa.")
	onion = dnsname.MustParse("onion.")
)

// hasSpecialUse reports whether a written zone is at or below arpa., or is delegated and has
// special-use names.
func (in *Internet) hasSpecialUse() bool {
	in.mu.RLock()
	defer in.mu.RUnlock()
	for _, z := range in.zones {
		if z.derived {
			continue
		}
		if z.origin.IsAtOrBelow(arpa) {
			return true
		}
		if z.undelegated {
			continue
		}
		for name, n := range z.nodes {
			if len(n.types) > 0 && resolver.IsSpecialUse(name.String()) {
				return true
			}
		}
	}
	return false
}

// Resolver makes a resolver with Options, which change may change, and closes it
// at the test's cleanup. A mistake in the options fails the test. Without a test, t
// is nil, the caller closes it, and a mistake panics.
func (in *Internet) Resolver(t TB, change ...func(*resolver.Options)) *resolver.Resolver {
	if t != nil {
		t.Helper()
	}
	options := in.Options()
	for _, f := range change {
		f(&options)
	}
	r, err := resolver.New(options)
	switch {
	case err == nil && t != nil:
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Errorf("resolvertest: closing the resolver: %v", err)
			}
		})
	case err != nil && t != nil:
		t.Fatalf("resolvertest: %v", err)
	case err != nil:
		panic("resolvertest: " + err.Error())
	}
	return r
}
