package resolver

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// question is a name and a type; the class is always IN.
type question struct {
	name   dnsname.Name
	rrtype uint16
}

func (q question) public() dns.Question {
	return dns.Question{Name: q.name.String(), Qtype: q.rrtype, Qclass: dns.ClassINET}
}

// isAliasType reports whether a CNAME at the name is itself an answer to a question
// for the type (RFC 1034 §3.6.2).
func isAliasType(rrtype uint16) bool {
	return rrtype == dns.TypeCNAME || rrtype == dns.TypeANY
}

// typeName returns a type's mnemonic, or TYPE123 (RFC 3597 §5).
func typeName(t uint16) string { return dns.Type(t).String() }

// isMeta reports whether a type is no data and cannot be resolved (RFC 6895 §3.1). ANY is
// not meta here: it can be asked for (RFC 8482).
func isMeta(t uint16) bool {
	switch t {
	case dns.TypeNone, dns.TypeOPT, dns.TypeNXNAME:
		return true
	}
	return t >= 249 && t < dns.TypeANY // TKEY, TSIG, IXFR, AXFR, MAILB, MAILA
}
