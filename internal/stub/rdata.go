package stub

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// Decode reads the records of an RRset. all is false when some were left out, since parse
// refused them.
func Decode[T any](set dnssec.Packed, parse func(rdata string) (T, bool)) (records []T, all bool) {
	all = true
	for rdata := range set.All() {
		record, ok := parse(rdata)
		if !ok {
			all = false
			continue
		}
		records = append(records, record)
	}
	return records, all
}

// ParseSRV reads a server of a service; false when its target is no host name. RFC 2782.
func ParseSRV(rdata string) (*net.SRV, bool) {
	const fixed = 6
	if len(rdata) <= fixed {
		return nil, false
	}
	b := []byte(rdata[:fixed])
	srv := &net.SRV{
		Priority: binary.BigEndian.Uint16(b), Weight: binary.BigEndian.Uint16(b[2:]), Port: binary.BigEndian.Uint16(b[4:]),
		Target: HostName(rdata[fixed:]),
	}
	return srv, IsHostName(srv.Target)
}

// ParseMX reads a mail server; false when it is neither a host name nor an address. RFC 1035
// §3.3.9.
func ParseMX(rdata string) (*net.MX, bool) {
	const fixed = 2
	if len(rdata) <= fixed {
		return nil, false
	}
	mx := &net.MX{Pref: binary.BigEndian.Uint16([]byte(rdata[:fixed])), Host: HostName(rdata[fixed:])}
	return mx, IsHostName(mx.Host) || isAddressName(mx.Host)
}

// isAddressName reports whether an IP address stands where a host name belongs, which mail
// servers take.
func isAddressName(s string) bool {
	a, err := netip.ParseAddr(strings.TrimSuffix(s, "."))
	return err == nil && a.Zone() == ""
}

// ParseNS reads a name server; false when it is no host name. RFC 1035 §3.3.11.
func ParseNS(rdata string) (*net.NS, bool) {
	host, ok := ParseHost(rdata)
	return &net.NS{Host: host}, ok
}

// ParseHost reads RDATA that is one name, such as that of PTR; false when it is no host name.
func ParseHost(rdata string) (string, bool) {
	host := HostName(rdata)
	return host, IsHostName(host)
}

// ParseTXT joins the strings of a record; false when it is malformed. RFC 1035 §3.3.14.
func ParseTXT(rdata string) (string, bool) {
	var text strings.Builder
	for len(rdata) > 0 {
		n := 1 + int(rdata[0])
		if n > len(rdata) {
			return "", false
		}
		text.WriteString(rdata[1:n])
		rdata = rdata[n:]
	}
	return text.String(), true
}

// HostName writes a name in wire format with dots, in the letter case it has, and
// without escapes: "" when a label has a dot in it, or it is no name, so that no other
// name can be made to look like a host's.
func HostName(wire string) string {
	if wire == string(dnsname.Root) {
		return "."
	}
	var text strings.Builder
	for len(wire) > 0 && wire[0] != 0 {
		n := 1 + int(wire[0])
		if n > len(wire) || n > 1+dnsname.MaxLabel || strings.Contains(wire[1:n], ".") {
			return ""
		}
		text.WriteString(wire[1:n])
		text.WriteByte('.')
		wire = wire[n:]
	}
	if wire != string(dnsname.Root) {
		return ""
	}
	return text.String()
}
