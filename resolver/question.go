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
