package resolver

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/stub"
)

// hostsTTL is the TTL in seconds of records from a hosts file: short, since such files are
// edited by hand and expected to take effect at once.
const hostsTTL = 60

// maxHostsPointers is how many PTR records one address of a hosts file gets: block lists
// have one address for all their names, too many for an answer to a reverse look-up.
const maxHostsPointers = 16

// ParseHosts parses a hosts file (hosts(5)) as a transparent LocalZone of the root:
// Resolve, Exchange and ServeDNS then know its names too, which otherwise only the methods
// of package net do. Each name has its addresses, and each address, except the unspecified
// ones, its first 16 names. Lines that make no sense are skipped, as other programs do. At
// most 64 MiB are read. The error wraps that of text.
func ParseHosts(text io.Reader) (LocalZone, error) {
	h, err := stub.ReadHosts(text)
	if err != nil {
		return LocalZone{}, fmt.Errorf("resolver: hosts file: %w", err)
	}
	z := LocalZone{Zone: ".", Transparent: true}
	for _, name := range slices.Sorted(maps.Keys(h.Names)) {
		z.Records = append(z.Records, hostRecords(name, h.Names[name])...)
	}
	for addr, names := range h.Addrs {
		if addr.IsUnspecified() || addr.Zone() != "" {
			continue
		}
		reverse, err := dns.ReverseAddr(addr.String())
		if err != nil {
			continue
		}
		for _, name := range names[:min(len(names), maxHostsPointers)] {
			if _, err := dnsname.Parse(name); err == nil {
				z.Records = append(z.Records, &dns.PTR{Hdr: hostsHeader(reverse, dns.TypePTR), Ptr: dns.Fqdn(name)})
			}
		}
	}
	return z, nil
}

// hostRecords returns the address records of one name in a hosts file.
func hostRecords(name string, h stub.Host) (records []dns.RR) {
	if _, err := dnsname.Parse(name); err != nil {
		return nil
	}
	for _, addr := range h.Addrs {
		switch {
		case addr.Zone() != "": // zones have a meaning on this host only
		case stub.IsIPv4(addr):
			records = append(records, &dns.A{Hdr: hostsHeader(name, dns.TypeA), A: addr.Unmap().AsSlice()})
		default:
			records = append(records, &dns.AAAA{Hdr: hostsHeader(name, dns.TypeAAAA), AAAA: addr.AsSlice()})
		}
	}
	return records
}

func hostsHeader(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: dns.Fqdn(name), Rrtype: rrtype, Class: dns.ClassINET, Ttl: hostsTTL}
}
