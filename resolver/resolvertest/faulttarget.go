package resolvertest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// target says which servers a fault is for. Exactly one of its fields says so.
type target struct {
	addrs netip.Prefix // one address or many
	zone  dnsname.Name // all servers of it
	all   bool
	box   bool // the box of Intercept
}

// parseTarget reads an address, a prefix, a zone name, or "*".
func parseTarget(text string) (target, error) {
	if text == "*" {
		return target{all: true}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return target{addrs: netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return target{addrs: prefix.Masked()}, nil
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		return target{}, fmt.Errorf("%q is no address, prefix, zone or *: %w", text, err)
	}
	return target{zone: name}, nil
}

// single returns the address if the target names exactly one.
func (t target) single() (netip.Addr, bool) {
	return t.addrs.Addr(), t.addrs.IsValid() && t.addrs.IsSingleIP()
}

// includes reports whether the target means the server.
func (t target) includes(s *server, zones zoneSet) bool {
	switch {
	case t.box || s.recursive:
		return t.box && s.recursive
	case t.all:
		return true
	case t.zone != "":
		z, ok := zones[t.zone]
		return ok && slices.Contains(z.addrs, s.addr)
	}
	return t.addrs.Contains(s.addr)
}

func checkName(text string) error {
	_, err := dnsname.Parse(text)
	return err
}
