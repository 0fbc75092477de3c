package resolvertest

import (
	"fmt"

	"github.com/miekg/dns"
)

// fit packs a reply into size bytes. Optional records of the additional section are
// left out first, without TC; if that is not enough, TC says that something is missing
// (RFC 2181 §9), required glue of a referral included (RFC 9471 §3.1).
func fit(m *dns.Msg, isOptional func(dns.RR) bool, size int) ([]byte, error) {
	opt, needed, optional := split(m.Extra, isOptional)
	m.Compress = true
	for {
		m.Extra = join(needed, optional, opt)
		wire, err := m.Pack()
		if err != nil {
			return nil, fmt.Errorf("reply cannot be packed: %w", err)
		}
		if len(wire) <= size {
			return wire, nil
		}
		if len(optional) > 0 {
			optional = withoutLastSet(optional)
			continue
		}
		m.Truncated = true
		if !shorten(m, &needed) {
			return m.Pack() // a header and a question: nothing is left to remove
		}
	}
}

// split parts an additional section into the OPT record, what must be there, and
// what may be left out.
func split(extra []dns.RR, isOptional func(dns.RR) bool) (opt, needed, optional []dns.RR) {
	for _, rr := range extra {
		switch {
		case rr.Header().Rrtype == dns.TypeOPT:
			opt = append(opt, rr)
		case isOptional(rr):
			optional = append(optional, rr)
		default:
			needed = append(needed, rr)
		}
	}
	return opt, needed, optional
}

func join(parts ...[]dns.RR) []dns.RR {
	var all []dns.RR
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// shorten takes the last RRset off the last section that has one: the
// additional section, then authority, then answer.
func shorten(m *dns.Msg, needed *[]dns.RR) bool {
	for _, section := range []*[]dns.RR{needed, &m.Ns, &m.Answer} {
		if len(*section) > 0 {
			*section = withoutLastSet(*section)
			return true
		}
	}
	return false
}

// withoutLastSet drops the last record and those before it that belong to the
// same RRset, since half an RRset must not be sent.
func withoutLastSet(rrs []dns.RR) []dns.RR {
	last := rrs[len(rrs)-1].Header()
	n := len(rrs)
	for n > 0 && rrs[n-1].Header().Rrtype == last.Rrtype && rrs[n-1].Header().Name == last.Name {
		n--
	}
	return rrs[:n:n]
}
