package resolver

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// records gives the records of a type in an answer, aliases apart.
func (f *found) records(rrtype uint16) dnssec.Packed {
	for _, set := range f.sets {
		if set.Type == rrtype {
			return set.Records
		}
	}
	return ""
}

func (f *found) timeToLive() time.Duration { return time.Duration(f.ttl) * time.Second }

// decode reads the records of a type. all is false when some were left out.
func decode[T any](f *found, rrtype uint16, parse func(rdata string) (T, bool)) (records []T, all bool) {
	all = true
	for rdata := range f.records(rrtype).All() {
		record, ok := parse(rdata)
		if !ok {
			all = false
			continue
		}
		records = append(records, record)
	}
	return records, all
}

func parseSRV(rdata string) (*net.SRV, bool) {
	const fixed = 6
	if len(rdata) <= fixed {
		return nil, false
	}
	b := []byte(rdata[:fixed])
	srv := &net.SRV{
		Priority: binary.BigEndian.Uint16(b), Weight: binary.BigEndian.Uint16(b[2:]), Port: binary.BigEndian.Uint16(b[4:]),
		Target: hostName(rdata[fixed:]),
	}
	return srv, isHostName(srv.Target)
}

func parseMX(rdata string) (*net.MX, bool) {
	const fixed = 2
	if len(rdata) <= fixed {
		return nil, false
	}
	mx := &net.MX{Pref: binary.BigEndian.Uint16([]byte(rdata[:fixed])), Host: hostName(rdata[fixed:])}
	return mx, isHostName(mx.Host) || isAddressName(mx.Host)
}

// isAddressName reports whether somebody has written an IP address where a host name
// belongs, which mail servers take.
func isAddressName(s string) bool {
	a, err := netip.ParseAddr(strings.TrimSuffix(s, "."))
	return err == nil && a.Zone() == ""
}

func parseNS(rdata string) (*net.NS, bool) {
	host, ok := parseHost(rdata)
	return &net.NS{Host: host}, ok
}

func parseHost(rdata string) (string, bool) {
	host := hostName(rdata)
	return host, isHostName(host)
}

// parseTXT joins the strings of a record.
func parseTXT(rdata string) (string, bool) {
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

// hostName writes a name in wire format with dots, in the letter case it has, and
// without escapes: "" when a label has a dot in it, or it is no name, so that no other
// name can be made to look like a host's.
func hostName(wire string) string {
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

// sortSRV orders SRV records by priority, and those of one priority by drawing them one
// after another with chances by weight; those without weight come last, unless they are
// lucky by RFC 2782's rule. intn gives a random number below its argument.
func sortSRV(records []*net.SRV, intn func(int) int) {
	slices.SortStableFunc(records, func(a, b *net.SRV) int { return int(a.Priority) - int(b.Priority) })
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].Priority == records[0].Priority {
			n++
		}
		drawByWeight(records[:n], intn)
		records = records[n:]
	}
}

// drawByWeight brings the records into the order of RFC 2782: those of weight 0 are
// put first, a number from 0 to the sum of the weights is drawn, and the first record
// at which the running sum reaches it is next.
func drawByWeight(records []*net.SRV, intn func(int) int) {
	sum := 0
	for _, s := range records {
		sum += int(s.Weight)
	}
	slices.SortStableFunc(records, func(a, b *net.SRV) int { return firstIf(a.Weight == 0, b.Weight == 0) })
	for ; len(records) > 1; records = records[1:] {
		drawn, running, next := intn(sum+1), 0, 0
		for i, s := range records {
			if running += int(s.Weight); running >= drawn {
				next = i
				break
			}
		}
		chosen := records[next]
		copy(records[1:next+1], records[:next])
		records[0] = chosen
		sum -= int(chosen.Weight)
	}
}
