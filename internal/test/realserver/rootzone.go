package realserver

import (
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realdata"
)

// rootZoneFile is the archived root zone among the real data.
const rootZoneFile = "root/root-2026010500.zone.gz"

// RootZone is a root zone and what it delegates.
type RootZone struct {
	Text    string                  // the zone file
	Servers []netip.Addr            // of the root itself
	TLDs    []*TLD                  // in the order of their names
	Glue    map[string][]dns.RR     // address records by lower-case owner
	addrs   map[string][]netip.Addr // the same as addresses
	byName  map[string]*TLD         // by lower-case name
}

// TLD is the delegation of a top-level domain.
type TLD struct {
	Name    string       // absolute, in lower case
	NS      []dns.RR     // the delegation
	DS      []dns.RR     // none: the zone is not signed, or not known to be
	Servers []netip.Addr // glue of the name servers, each once
}

// ReadRootZone reads the archived root zone. The test is skipped where there is no
// real data (package realdata).
func ReadRootZone(t testing.TB) *RootZone {
	t.Helper()
	text, err := readGzip(realdata.Path(t, rootZoneFile))
	if err != nil {
		t.Fatalf("read the real root zone: %v", err)
	}
	zone, err := ParseRootZone(text)
	if err != nil {
		t.Fatalf("parse the real root zone: %v", err)
	}
	return zone
}

func readGzip(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	unzip, err := gzip.NewReader(file)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(unzip)
	return string(text), err
}

// ParseRootZone reads a root zone file.
func ParseRootZone(text string) (*RootZone, error) {
	z := &RootZone{
		Text:   text,
		Glue:   make(map[string][]dns.RR),
		addrs:  make(map[string][]netip.Addr),
		byName: make(map[string]*TLD),
	}
	var roots []string
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		owner := strings.ToLower(rr.Header().Name)
		switch rr := rr.(type) {
		case *dns.NS:
			if owner == "." {
				roots = append(roots, rr.Ns)
				continue
			}
			tld := z.delegation(owner)
			tld.NS = append(tld.NS, rr)
		case *dns.DS:
			tld := z.delegation(owner)
			tld.DS = append(tld.DS, rr)
		case *dns.A:
			z.addGlue(owner, rr, rr.A)
		case *dns.AAAA:
			z.addGlue(owner, rr, rr.AAAA)
		}
	}
	if err := parser.Err(); err != nil {
		return nil, err
	}
	z.Servers = z.addresses(roots)
	for _, tld := range z.byName {
		tld.Servers = z.addresses(nsNames(tld.NS))
		z.TLDs = append(z.TLDs, tld)
	}
	slices.SortFunc(z.TLDs, func(a, b *TLD) int { return cmp.Compare(a.Name, b.Name) })
	return z, z.check()
}

// check reports a zone that is not whole.
func (z *RootZone) check() error {
	if len(z.Servers) == 0 {
		return errors.New("the root has no name server with an address")
	}
	for _, tld := range z.TLDs {
		if len(tld.NS) == 0 {
			return fmt.Errorf("%s has DS records but no name server", tld.Name)
		}
	}
	return nil
}

// TLD returns the delegation of the top-level domain with this name, or nil.
func (z *RootZone) TLD(name string) *TLD { return z.byName[strings.ToLower(name)] }

// delegation returns the delegation of owner, a new one if need be.
func (z *RootZone) delegation(owner string) *TLD {
	tld := z.byName[owner]
	if tld == nil {
		tld = &TLD{Name: owner}
		z.byName[owner] = tld
	}
	return tld
}

func (z *RootZone) addGlue(owner string, rr dns.RR, ip []byte) {
	z.Glue[owner] = append(z.Glue[owner], rr)
	if addr, ok := netip.AddrFromSlice(ip); ok {
		z.addrs[owner] = append(z.addrs[owner], addr.Unmap())
	}
}

// addresses lists the addresses of servers, each once: several name servers may
// share one.
func (z *RootZone) addresses(servers []string) []netip.Addr {
	var all []netip.Addr
	for _, name := range servers {
		all = append(all, z.addrs[strings.ToLower(name)]...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// nsNames lists the name servers that NS records name.
func nsNames(rrs []dns.RR) []string {
	var names []string
	for _, rr := range rrs {
		if ns, ok := rr.(*dns.NS); ok {
			names = append(names, ns.Ns)
		}
	}
	return names
}
