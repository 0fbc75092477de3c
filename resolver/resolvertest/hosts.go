package resolvertest

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Host is what a name has, as Go values. Names in it are absolute, with or without trailing dot.
type Host struct {
	A, AAAA []string // addresses
	CNAME   string   // "": none
	MX      []net.MX
	NS      []net.NS
	SRV     []net.SRV
	TXT     []string // a record each
	PTR     []string
	// Records are others, as zone files have them without the name: "CAA 0 issue ca.example".
	Records []string

	// Errors are RCODEs that look-ups of a type get in the place of records, such as
	// {dns.TypeMX: dns.RcodeServerFailure}; that of dns.TypeANY is for all types. Only
	// questions for this name and type meet them: other types, names below it, which a
	// minimised query (RFC 9156) may ask for this name of, and the zones above it do not.
	// For that the resolver must not be one with MinimiseStrict, which takes an error for
	// a minimised query as final.
	Errors map[uint16]int
}

// Hosts are names and what they have, absolute, with or without trailing dot. They are an Internet
// for tests that have their data as Go values:
//
//	in := resolvertest.New(t, resolvertest.Hosts{
//		"example.org":      {MX: []net.MX{{Host: "mail.example.org", Pref: 10}}},
//		"mail.example.org": {A: []string{"192.0.2.25"}},
//	}.Text())
type Hosts map[string]Host

// Text returns the hosts as a text for New, to which other sections may be added. A zone is the
// last two labels of a name, or the last one if that of two labels is an alias, which no zone's
// own name can be. Values that make no sense are errors of New.
func (h Hosts) Text() string {
	zones := make(map[string]*hostZone)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		origin := h.zoneOf(dns.CanonicalName(name))
		z := zones[origin]
		if z == nil {
			z = &hostZone{}
			zones[origin] = z
		}
		z.add(dns.CanonicalName(name), h[name])
	}
	var text strings.Builder
	for _, origin := range slices.Sorted(maps.Keys(zones)) {
		fmt.Fprintf(&text, "-- zone %s --\n%s", origin, &zones[origin].records)
		if zones[origin].faults.Len() > 0 {
			fmt.Fprintf(&text, "-- fault %s --\n%s", origin, &zones[origin].faults)
		}
	}
	return text.String()
}

// zoneOf returns the name of the zone that a canonical name is in.
func (h Hosts) zoneOf(name string) string {
	labels := dns.SplitDomainName(name)
	for n := min(2, len(labels)); n > 0; n-- {
		if origin := dns.Fqdn(strings.Join(labels[len(labels)-n:], ".")); !h.isAlias(origin) {
			return origin
		}
	}
	return "."
}

func (h Hosts) isAlias(canonical string) bool {
	for name, host := range h {
		if host.CNAME != "" && dns.CanonicalName(name) == canonical {
			return true
		}
	}
	return false
}

// hostZone is the text of a zone.
type hostZone struct{ records, faults strings.Builder }

// add writes what a name has.
func (z *hostZone) add(name string, h Host) {
	write := func(format string, args ...any) {
		z.records.WriteString(name + " " + fmt.Sprintf(format, args...) + "\n")
	}
	for _, a := range h.A {
		write("A %s", a)
	}
	for _, a := range h.AAAA {
		write("AAAA %s", a)
	}
	if h.CNAME != "" {
		write("CNAME %s", dns.Fqdn(h.CNAME))
	}
	for _, mx := range h.MX {
		write("MX %d %s", mx.Pref, dns.Fqdn(mx.Host))
	}
	for _, ns := range h.NS {
		write("NS %s", dns.Fqdn(ns.Host))
	}
	for _, srv := range h.SRV {
		write("SRV %d %d %d %s", srv.Priority, srv.Weight, srv.Port, dns.Fqdn(srv.Target))
	}
	for _, txt := range h.TXT {
		write("TXT %s", quoted(txt))
	}
	for _, ptr := range h.PTR {
		write("PTR %s", dns.Fqdn(ptr))
	}
	for _, record := range h.Records {
		write("%s", record)
	}
	for _, rrtype := range slices.Sorted(maps.Keys(h.Errors)) {
		condition := "name " + name
		if rrtype != dns.TypeANY {
			condition += " type " + dns.Type(rrtype).String()
		}
		fmt.Fprintf(&z.faults, "when %s: replace %d\n", condition, h.Errors[rrtype])
	}
}

// maxString is how many bytes one string of a TXT record holds (RFC 1035 §3.3).
const maxString = 255

// quoted writes a text as the strings of one TXT record.
func quoted(text string) string {
	var out strings.Builder
	for first := true; first || text != ""; first = false {
		n := min(len(text), maxString)
		if !first {
			out.WriteByte(' ')
		}
		out.WriteByte('"')
		for _, c := range []byte(text[:n]) {
			switch {
			case c == '"' || c == '\\':
				out.WriteString(`\` + string(rune(c)))
			case c < ' ' || c > '~':
				out.WriteString(`\` + fmt.Sprintf("%03d", c))
			default:
				out.WriteByte(c)
			}
		}
		out.WriteByte('"')
		text = text[n:]
	}
	return out.String()
}
