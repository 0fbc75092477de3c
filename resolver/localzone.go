package resolver

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/localzone"
	"github.com/iterdns/iterdns/internal/serve"
	"github.com/iterdns/iterdns/internal/stub"
	"github.com/iterdns/iterdns/internal/zonetext"
)

// LocalZone is a zone that this resolver answers itself: names of a private network,
// another view of a public name, a block list. No server is asked about its names.
//
// Answers are found as an authoritative server finds them (RFC 1034 §4.3.2): wildcards are
// expanded, and types and names that are missing are denied with the zone's SOA; a zone
// without one gets a made-up SOA with the zone's lowest TTL. A CNAME or DNAME is followed,
// into another local zone or out into the network. The status of the answers is Insecure,
// or Indeterminate when nothing is validated: AD is never set.
//
// Of zones that contain each other the one nearest to the name decides. Local zones take
// precedence over special-use names, routes, and the cache, and their answers are not
// cached. The DS of a zone belongs to the zone above it and is asked for there.
//
// A zone without records, such as one of a block list, denies the names below it (NXDOMAIN).
// Its own name exists, as every zone has its apex, and is answered without records (NOERROR).
// To answer a name with REFUSED and the extended error Blocked (code 15, RFC 8914 §4.16),
// return a Refusal from a hook.
type LocalZone struct {
	// Zone is the name of the zone, with or without trailing dot; "." is allowed.
	Zone string

	// Records are the records of the zone, of class IN, all at Zone or below it. The zone
	// is unsigned and has no delegations (NS records below Zone), which routes are for. The
	// records of one RRset get the lowest of their TTLs (RFC 2181 §5.2).
	Records []dns.RR

	// Transparent lets questions for names without records, empty non-terminals included,
	// pass as if the zone were not there. Otherwise the zone holds all there is of its
	// names, and what it lacks does not exist. Either way a name that has records has no
	// other types than these.
	Transparent bool
}

// localZoneTTL is the TTL in seconds of records without one, as in Unbound's local-data.
const localZoneTTL = 3600

// ParseLocalZone parses a zone in the syntax of zone files (RFC 1035 §5), with zone as the
// origin. Indentation that all records share is taken away. $INCLUDE is refused; without $TTL the
// TTL is one hour. The error names the line, the word and what was expected, or the record that
// a LocalZone may not have.
func ParseLocalZone(zone string, text io.Reader) (LocalZone, error) {
	z := LocalZone{Zone: zone}
	data, err := io.ReadAll(text)
	if err == nil {
		z.Records, err = zonetext.Records(string(data), zone, localZoneTTL)
	}
	if err != nil {
		return LocalZone{}, badText("local zone %s: %w", zone, err)
	}
	if _, err := z.data(); err != nil {
		return LocalZone{}, badText("%w", err)
	}
	return z, nil
}

// SetLocalZones replaces Options.LocalZones while the resolver runs. Questions asked from
// then on see the new zones; those under way may see either. When it returns an error,
// which is ErrClosed after Close, nothing has changed. It may be called concurrently with
// all other methods.
func (r *Resolver) SetLocalZones(zones []LocalZone) error {
	if r.env.Base.Err() != nil {
		return ErrClosed
	}
	all, err := localZones(zones)
	if err != nil {
		return err
	}
	r.iterate.LocalZones.Replace(all)
	return nil
}

// data checks a zone and returns it in the form in which it is searched.
func (z LocalZone) data() (*localzone.Zone, error) {
	name, err := dnsname.Parse(z.Zone)
	if err != nil {
		return nil, fmt.Errorf("local zone %q: %w", z.Zone, err)
	}
	for _, rr := range z.Records {
		if err := mayBeLocal(name, rr); err != nil {
			return nil, fmt.Errorf("local zone %s: %w", name, err)
		}
	}
	sets, err := serve.SetsOf(z.Records)
	if err != nil {
		return nil, fmt.Errorf("local zone %s: %w", name, err)
	}
	data, err := localzone.NewZone(name, z.Transparent, sets)
	if err != nil {
		return nil, fmt.Errorf("local zone %s: %w", name, err)
	}
	return data, nil
}

// mayBeLocal returns why a record cannot be in a local zone; nil when it can.
func mayBeLocal(zone dnsname.Name, rr dns.RR) (err error) {
	defer serve.CatchNil(&err)
	h := rr.Header()
	owner, err := dnsname.Parse(h.Name)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", spaced(rr), err)
	case !owner.IsAtOrBelow(zone):
		return fmt.Errorf("%s is outside the zone", spaced(rr))
	case h.Class != dns.ClassINET:
		return fmt.Errorf("%s is not of class IN", spaced(rr))
	case answer.IsMeta(h.Rrtype) || h.Rrtype == dns.TypeANY:
		return fmt.Errorf("%s has a type that no zone can have", spaced(rr))
	case h.Rrtype == dns.TypeNS && owner != zone:
		return fmt.Errorf("%s is a delegation, which local zones cannot have: use a route", spaced(rr))
	case h.Rrtype == dns.TypeSOA && owner != zone:
		return fmt.Errorf("%s is not at the name of the zone", spaced(rr))
	}
	switch h.Rrtype {
	case dns.TypeDS, dns.TypeDNSKEY, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM:
		return fmt.Errorf("%s: local zones are not signed", spaced(rr))
	}
	return nil
}

// spaced is a record as text with blanks in the place of tabs.
func spaced(rr dns.RR) string { return strings.ReplaceAll(rr.String(), "\t", " ") }

// IsSpecialUse reports whether a resolver answers a name itself and never asks for it,
// unless Options.DisableLocalZones is set or a route is as long: localhost, invalid, local,
// onion, alt, home.arpa and resolver.arpa, the reverse zones of addresses that are not
// public, and all names below them (RFC 6303, RFC 6761). It returns false for a text that
// is not a name.
func IsSpecialUse(name string) bool {
	n, err := dnsname.Parse(name)
	if err != nil {
		return false
	}
	_, special := localzone.SpecialUseOf(n)
	return special
}

// localZones returns zones in the form in which they are searched.
func localZones(zones []LocalZone) (localzone.Zones, error) {
	list := make([]*localzone.Zone, len(zones))
	for i, z := range zones {
		data, err := z.data()
		if err != nil {
			return nil, &OptionError{"LocalZones", err}
		}
		list[i] = data
	}
	all, err := localzone.NewZones(list)
	if err != nil {
		return nil, &OptionError{"LocalZones", err}
	}
	return all, nil
}

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
		return LocalZone{}, badText("hosts file: %w", err)
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
