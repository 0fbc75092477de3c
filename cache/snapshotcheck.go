package cache

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// wellFormed reports whether bytes that came from outside have the form of an entry,
// so that all other code may read it without looking. RDATA is not looked into; nor
// is it by that code.
func (e entry) wellFormed() bool {
	if len(e) < entryHeader || len(e) < entryHeader+int(e[23]) {
		return false
	}
	st := e.standing()
	if e[0]>>4 > byte(Unchecked) || st.rank > RankLocal || e.span().ttl == 0 {
		return false
	}
	if e.note() != 0 && st.status != dnssec.Insecure {
		return false
	}
	if e.trust() == Checked && st.status == dnssec.Bogus || !isName(string(e.name())) {
		return false
	}
	return e.bodyWellFormed()
}

func (e entry) bodyWellFormed() bool {
	body := e.body()
	switch e.kind() {
	case KindRRset, KindWildcard, KindRange:
		return !isMeta(e.rrtype()) && isSet(body)
	case KindNoData, KindNameError:
		zone, rest, ok := cutPrefixedChecked(body)
		if !ok || !isName(zone) || len(rest) < 1 || rest[0] == 0 && e.kind() != KindNoData {
			return false
		}
		return areSets(rest[1:], int(rest[0]))
	case KindChain:
		if len(body) < 4 || body[2] == 0 {
			return false
		}
		return areSets(body[4:], int(body[2])+int(body[3]))
	case KindCut:
		_, ok := unpackCut(e)
		return ok
	case KindFailure, KindClaim, KindTypes, KindGlue: // these stay where they are
		return false
	}
	return false
}

// isName reports whether s is one canonical name.
func isName(s string) bool {
	n, err := dnsname.FromWire([]byte(s))
	return err == nil && string(n) == s
}

// isSet reports whether body is what appendSet writes, with at least one record.
func isSet(body string) bool {
	if len(body) < 4 || int64(be32(body)) > int64(len(body)-4) {
		return false
	}
	n := 4 + int(be32(body))
	count, ok := packedFields(body[4:n])
	if !ok || count == 0 {
		return false
	}
	_, ok = packedFields(body[n:])
	return ok
}

// packedFields counts the fields of a dnssec.Packed that fills s.
func packedFields(s string) (count int, ok bool) {
	for ; len(s) > 0; count++ {
		if len(s) < 2 || 2+int(be16(s)) > len(s) {
			return 0, false
		}
		s = s[2+int(be16(s)):]
	}
	return count, true
}

// areSets reports whether body is count sets as appendWhole writes them.
func areSets(body string, count int) bool {
	for range count {
		owner, rest, ok := cutPrefixedChecked(body)
		if !ok || !isName(owner) || len(rest) < 6 || isMeta(be16(rest)) || int64(be32(rest[2:])) > int64(len(rest)-6) {
			return false
		}
		end := 6 + int(be32(rest[2:]))
		if !isSet(rest[6:end]) {
			return false
		}
		body = rest[end:]
	}
	return body == ""
}

func cutPrefixedChecked(s string) (first, rest string, ok bool) {
	if len(s) < 1 || len(s) < 1+int(s[0]) {
		return "", "", false
	}
	first, rest = cutPrefixed(s)
	return first, rest, true
}

// packed writes a delegation as an entry for a snapshot: the number of servers, and
// for each its name, bailiwick and addresses, all behind a byte of length.
func (e *cutEntry) packed() entry {
	b := appendHead(nil, head{e.key, standing{rank: RankReferral}, e.span, 0})
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.cut.Servers)))
	for _, s := range e.cut.Servers {
		b = append(b, byte(len(s.Name)))
		b = append(b, s.Name...)
		b = append(b, byte(s.Bailiwick))
		b = binary.BigEndian.AppendUint16(b, uint16(len(s.Addrs)))
		for _, a := range s.Addrs {
			raw := a.AsSlice()
			b = append(b, byte(len(raw)))
			b = append(b, raw...)
		}
	}
	return entry(b)
}

// unpackCut reads what packed wrote. The TTL is the whole life of the delegation.
func unpackCut(e entry) (*glue.Delegation, bool) {
	body := e.body()
	if len(body) < 2 {
		return nil, false
	}
	d := &glue.Delegation{Zone: e.name(), TTL: time.Duration(e.span().ttl) * time.Second}
	count := int(be16(body))
	body = body[2:]
	for range count {
		name, rest, ok := cutPrefixedChecked(body)
		if !ok || !isName(name) || len(rest) < 3 || rest[0] > byte(glue.InDomain) {
			return nil, false
		}
		s := glue.Server{Name: dnsname.Name(name), Bailiwick: glue.Bailiwick(rest[0])}
		addrs := int(be16(rest[1:]))
		body = rest[3:]
		for range addrs {
			raw, rest, ok := cutPrefixedChecked(body)
			addr, valid := netip.AddrFromSlice([]byte(raw))
			if !ok || !valid {
				return nil, false
			}
			s.Addrs, body = append(s.Addrs, addr), rest
		}
		d.Servers = append(d.Servers, s)
	}
	return d, body == "" && count > 0
}
