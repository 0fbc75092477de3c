package answer

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Question is a name and a type; the class is always IN.
type Question struct {
	Name dnsname.Name
	Type uint16
}

// Public returns the question as miekg/dns has it.
func (q Question) Public() dns.Question {
	return dns.Question{Name: q.Name.String(), Qtype: q.Type, Qclass: dns.ClassINET}
}

// IsAliasType reports whether a CNAME at the name is itself an answer to a question
// for the type (RFC 1034 §3.6.2).
func IsAliasType(rrtype uint16) bool {
	return rrtype == dns.TypeCNAME || rrtype == dns.TypeANY
}

// TypeName returns a type's mnemonic, or TYPE123 (RFC 3597 §5).
func TypeName(t uint16) string { return dns.Type(t).String() }

// IsMeta reports whether a type is no data and cannot be resolved (RFC 6895 §3.1). ANY is
// not meta here: it can be asked for (RFC 8482).
func IsMeta(t uint16) bool {
	switch t {
	case dns.TypeNone, dns.TypeOPT, dns.TypeNXNAME:
		return true
	}
	return t >= 249 && t < dns.TypeANY // TKEY, TSIG, IXFR, AXFR, MAILB, MAILA
}
