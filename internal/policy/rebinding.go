package policy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/wire"
)

// AddressFilter decides which addresses answers from the network may have. A nil
// *AddressFilter allows all.
type AddressFilter struct {
	// PublicOnly takes private addresses out of the answers to questions for names that are
	// not at or below those of Exempt: protection against DNS rebinding.
	PublicOnly bool
	Exempt     []dnsname.Name
	// Allow decides about the addresses that are left, by the name asked for. Nil: all are
	// allowed.
	Allow func(name string, a netip.Addr) bool
}

// Judge returns the function that decides about the addresses in the answer to a question
// for name; nil when all are allowed.
func (f *AddressFilter) Judge(name dnsname.Name) func(netip.Addr) bool {
	if f == nil {
		return nil
	}
	publicOnly := f.PublicOnly && !slices.ContainsFunc(f.Exempt, name.IsAtOrBelow)
	switch {
	case f.Allow == nil && !publicOnly:
		return nil
	case f.Allow == nil:
		return func(a netip.Addr) bool { return !IsPrivate(a) }
	}
	text := name.String()
	return func(a netip.Addr) bool { return (!publicOnly || !IsPrivate(a)) && f.Allow(text, a) }
}

// AllowsAll reports whether the answer to a question for name may have all of addrs.
func (f *AddressFilter) AllowsAll(name dnsname.Name, addrs []netip.Addr) bool {
	allowed := f.Judge(name)
	return allowed == nil || !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !allowed(a) })
}

// Apply returns an answer without the records that have addresses which are not allowed;
// failure.ErrFiltered when none is left. a itself, which the cache and others who wait for
// the answer keep, stays as it was. The name asked for decides, not the owner of the
// records: with DNS rebinding the attacker has a page under the name asked for, and an alias
// there that leads to records of somebody else is the attacker's too.
func (f *AddressFilter) Apply(a *answer.Answer) (*answer.Answer, error) {
	allowed := f.Judge(a.Q.Name)
	if allowed == nil || a.Local {
		return a, nil
	}
	sets, removed := onlyAllowedIn(a.Sets, allowed)
	if removed == 0 {
		return a, nil
	}
	if len(sets) == 0 {
		return nil, failure.ErrFiltered
	}
	less := *a
	less.Sets, less.Status = sets, a.Status.Worst(dnssec.Insecure) // what is left is not what was signed
	less.Extended = append(slices.Clip(a.Extended), failure.ExtendedError{
		Code: dns.ExtendedErrorCodeBlocked, Text: fmt.Sprintf("%d records left out: address not allowed", removed),
	})
	return &less, nil
}

// onlyAllowedIn returns the RRsets without the records that have addresses which are not allowed,
// and how many records it left out. The RRsets given stay as they were.
func onlyAllowedIn(sets []*dnssec.RRset, allowed func(netip.Addr) bool) (kept []*dnssec.RRset, removed int) {
	for _, s := range sets {
		left := onlyAllowed(s, allowed)
		removed += s.Len() - left.Len()
		if left.Len() > 0 {
			kept = append(kept, left)
		}
	}
	return kept, removed
}

// onlyAllowed returns the set itself when all its addresses are allowed, else a set of the
// records that remain, without signatures.
func onlyAllowed(s *dnssec.RRset, allowed func(netip.Addr) bool) *dnssec.RRset {
	if !hasAddresses(s.Type) {
		return s
	}
	var kept []string
	for rdata := range s.Records.All() {
		if addrs, ok := addressesIn(s.Type, rdata); ok && !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !allowed(a) }) {
			kept = append(kept, rdata)
		}
	}
	if len(kept) == s.Len() {
		return s
	}
	less := *s
	less.Records, less.Signatures = dnssec.Pack(kept...), ""
	return &less
}

// hasAddresses reports whether records of the type have addresses that clients connect to.
func hasAddresses(rrtype uint16) bool {
	switch rrtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypeSVCB, dns.TypeHTTPS:
		return true
	}
	return false
}

// addressesIn returns the addresses in the RDATA of a type that hasAddresses, hints
// included (RFC 9460 §7.3); false when it is malformed.
func addressesIn(rrtype uint16, rdata string) ([]netip.Addr, bool) {
	if rrtype == dns.TypeSVCB || rrtype == dns.TypeHTTPS {
		return hintsIn(rdata)
	}
	a, ok := wire.Addr(rdata)
	return []netip.Addr{a}, ok
}

// hintsIn returns the addresses in the RDATA of an SVCB record: priority, target, and
// parameters of key, length and value; false when it is malformed.
func hintsIn(rdata string) (addrs []netip.Addr, ok bool) {
	const priority = 2
	at := priority
	for at < len(rdata) && rdata[at] != 0 {
		at += 1 + int(rdata[at])
	}
	if at++; at > len(rdata) {
		return nil, false
	}
	rest := []byte(rdata[at:])
	for len(rest) > 0 {
		const head = 4
		if len(rest) < head {
			return nil, false
		}
		key, n := dns.SVCBKey(binary.BigEndian.Uint16(rest)), int(binary.BigEndian.Uint16(rest[2:]))
		if rest = rest[head:]; n > len(rest) {
			return nil, false
		}
		size := hintSize(key)
		if size > 0 && n%size != 0 {
			return nil, false
		}
		for value := rest[:n]; size > 0 && len(value) > 0; value = value[size:] {
			a, _ := netip.AddrFromSlice(value[:size])
			addrs = append(addrs, a)
		}
		rest = rest[n:]
	}
	return addrs, true
}

// hintSize returns the length in bytes of the addresses in an SVCB parameter; 0 when it has
// none.
func hintSize(key dns.SVCBKey) int {
	if key == dns.SVCB_IPV4HINT {
		return 4
	}
	if key == dns.SVCB_IPV6HINT {
		return 16
	}
	return 0
}

// IsPrivate reports whether an address is one that no name of the public DNS should have,
// because it means something else in every network: unspecified, loopback, private, shared,
// link-local, unique local, the IPv6 addresses that embed such an IPv4 address (mapped,
// IPv4-compatible, NAT64 of the well-known prefix, 6to4, Teredo), and all addresses of a
// local NAT64.
//
// It is false for documentation and multicast addresses, and for those behind a NAT64
// prefix of the network's own, which cannot be told from others.
func IsPrivate(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if inner, ok := embeddedIPv4(a); ok {
		a = inner
	}
	return slices.ContainsFunc(privateBlocks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// privateBlocks lists what IsPrivate describes (Unbound's documentation of private-address,
// dnsmasq's stop-dns-rebind, the IANA special-purpose registries as of 2026-11).
var privateBlocks = parsePrefixes(
	"0.0.0.0/8",          // this network: 0.0.0.0 connects to the host itself, RFC 1122
	"10.0.0.0/8",         // private, RFC 1918
	"100.64.0.0/10",      // shared, RFC 6598
	"127.0.0.0/8",        // loopback, RFC 1122
	"169.254.0.0/16",     // link-local, RFC 3927: the cloud's metadata service is there
	"172.16.0.0/12",      // private, RFC 1918
	"192.168.0.0/16",     // private, RFC 1918
	"255.255.255.255/32", // broadcast, RFC 919
	"::/127",             // unspecified, loopback, RFC 4291
	"64:ff9b:1::/48",     // local NAT64, RFC 8215
	"fc00::/7",           // unique local, RFC 4193
	"fe80::/10",          // link-local, RFC 4291
	"fec0::/10",          // site-local, RFC 3879
)

// unspecifiedAndLoopback are not IPv4-compatible addresses, though they look like it.
var unspecifiedAndLoopback = netip.MustParsePrefix("::/127")

// embeddings are the blocks of IPv6 addresses that embed IPv4 addresses, with the byte at
// which those begin. It never changes.
var embeddings = []struct {
	block   netip.Prefix
	at      int
	flipped bool
}{
	{netip.MustParsePrefix("::/96"), 12, false},        // IPv4-compatible, RFC 4291 §2.5.5.1
	{netip.MustParsePrefix("64:ff9b::/96"), 12, false}, // NAT64, RFC 6052 §2.1
	{netip.MustParsePrefix("2002::/16"), 2, false},     // 6to4, RFC 3056 §2
	{netip.MustParsePrefix("2001::/32"), 12, true},     // Teredo, RFC 4380 §4
}

// embeddedIPv4 returns the IPv4 address that is embedded in an IPv6 address.
func embeddedIPv4(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() || unspecifiedAndLoopback.Contains(a) {
		return netip.Addr{}, false
	}
	for _, e := range embeddings {
		if !e.block.Contains(a) {
			continue
		}
		all := a.As16()
		inner := [4]byte(all[e.at:])
		if e.flipped {
			binary.BigEndian.PutUint32(inner[:], ^binary.BigEndian.Uint32(inner[:]))
		}
		return netip.AddrFrom4(inner), true
	}
	return netip.Addr{}, false
}
