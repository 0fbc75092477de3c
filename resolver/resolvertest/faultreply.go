package resolvertest

import (
	"slices"

	"bytes"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/zonetext"
)

// Section is a section of a message.
type Section int

const (
	Answer     Section = iota // the answer section
	Authority                 // the authority section
	Additional                // the additional section, OPT apart
)

// of returns the records of a section of m.
func (s Section) of(m *dns.Msg) *[]dns.RR {
	switch s {
	case Answer:
		return &m.Answer
	case Authority:
		return &m.Ns
	case Additional:
		return &m.Extra
	}
	return &m.Extra
}

// Hook calls f with each query and the reply to it, which f may change. f is
// called concurrently, must not keep the messages, and must not block. The records that it puts
// into the reply are copied, so that several replies may get the same ones.
func Hook(f func(query, reply *dns.Msg)) Fault {
	return onReply(func(query, reply *dns.Msg) {
		own := slices.Concat(reply.Answer, reply.Ns, reply.Extra)
		f(query, reply)
		copyOthers(reply, own)
	})
}

// copyOthers replaces the records of a message by copies, except its own: to pack a record writes to it.
func copyOthers(m *dns.Msg, own []dns.RR) {
	for _, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		*section = slices.Clone(*section)
		for i, rr := range *section {
			if rr != nil && !contains(own, rr) {
				(*section)[i] = dns.Copy(rr)
			}
		}
	}
}

// RawHook calls f with the bytes of each query and of the reply, and sends what
// it returns; nothing if that is nil. It is called like a Hook, after the Hooks.
func RawHook(f func(query, reply []byte) []byte) Fault {
	return onQuery(func(x *exchange) { x.edits.wire = append(x.edits.wire, f) })
}

// Truncated sets TC on UDP replies and takes their records away.
func Truncated() Fault {
	return onReply(func(_, reply *dns.Msg) {
		reply.Truncated = true
		empty(reply)
	}).When(Over("udp"))
}

// empty takes all records off a reply but the OPT record.
func empty(m *dns.Msg) {
	opt, _, _ := split(m.Extra, func(dns.RR) bool { return false })
	m.Answer, m.Ns, m.Extra = nil, nil, opt
}

// Rcode answers with an RCODE and no records.
func Rcode(rcode int) Fault {
	return onReply(func(_, reply *dns.Msg) {
		empty(reply)
		reply.Authoritative = false
		setRcode(reply, rcode)
	})
}

// Replace answers with an RCODE and these records in the answer section instead
// of what the zones say. The records are in zone-file syntax with absolute names.
func Replace(rcode int, records ...string) Fault {
	rrs, err := parseRecords(records)
	f := onReply(func(_, reply *dns.Msg) {
		empty(reply)
		reply.Authoritative = true
		setRcode(reply, rcode)
		reply.Answer = copyAll(rrs)
	})
	f.err = err
	return f
}

// Add adds a record in zone-file syntax with absolute names to a section. Without
// a TTL it gets 300 s. An owner of "@" is the name asked for.
func Add(section Section, record string) Fault {
	owner, rest, _ := strings.Cut(strings.TrimSpace(record), " ")
	if owner == "@" {
		record = ". " + rest
	}
	rrs, err := parseRecords([]string{record})
	f := onReply(func(query, reply *dns.Msg) {
		for _, rr := range copyAll(rrs) {
			if owner == "@" && len(query.Question) > 0 {
				rr.Header().Name = query.Question[0].Name
			}
			*section.of(reply) = append(*section.of(reply), rr)
		}
	})
	f.err = err
	return f
}

func parseRecords(records []string) ([]dns.RR, error) {
	rrs := make([]dns.RR, 0, len(records))
	for _, record := range records {
		rr, err := parseRecord(record)
		if err != nil {
			return nil, err
		}
		rrs = append(rrs, rr)
	}
	return rrs, nil
}

func parseRecord(record string) (dns.RR, error) {
	parser := dns.NewZoneParser(newLineReader(zonetext.Wrap(record)+"\n"), ".", "")
	rr, ok := parser.Next()
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("record %q: %w", record, withoutPlace(err))
	}
	if !ok {
		return nil, fmt.Errorf("record %q: nothing there", record)
	}
	rr, err := normalised(rr)
	if err != nil {
		return nil, fmt.Errorf("record %q: %w", record, err)
	}
	return rr, nil
}

func copyAll(rrs []dns.RR) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
	}
	return out
}

// Remove takes the records of a type off a section; dns.TypeANY stands for all.
// The OPT record stays.
func Remove(section Section, rrtype uint16) Fault {
	return onReply(func(_, reply *dns.Msg) {
		var kept []dns.RR
		for _, rr := range *section.of(reply) {
			got := rr.Header().Rrtype
			if got == dns.TypeOPT || rrtype != dns.TypeANY && got != rrtype {
				kept = append(kept, rr)
			}
		}
		*section.of(reply) = kept
	})
}

// RemoveName takes the records of one owner and type off a section, where
// dns.TypeANY stands for all types.
func RemoveName(section Section, owner string, rrtype uint16) Fault {
	name, err := dnsname.Parse(owner)
	f := onReply(func(_, reply *dns.Msg) {
		var kept []dns.RR
		for _, rr := range *section.of(reply) {
			got, gotErr := dnsname.Parse(rr.Header().Name)
			if gotErr != nil || got != name || rrtype != dns.TypeANY && rr.Header().Rrtype != rrtype {
				kept = append(kept, rr)
			}
		}
		*section.of(reply) = kept
	})
	f.err = err
	return f
}

// Flag sets or clears a flag of the header: "aa", "tc", "rd", "ra", "ad", "cd",
// or "qr".
func Flag(name string, value bool) Fault {
	f := onReply(func(_, reply *dns.Msg) {
		if flag := flagOf(reply, name); flag != nil {
			*flag = value
		}
	})
	if flagOf(new(dns.Msg), name) == nil {
		f.err = fmt.Errorf("unknown flag %q", name)
	}
	return f
}

func flagOf(m *dns.Msg, name string) *bool {
	switch name {
	case "aa":
		return &m.Authoritative
	case "tc":
		return &m.Truncated
	case "rd":
		return &m.RecursionDesired
	case "ra":
		return &m.RecursionAvailable
	case "ad":
		return &m.AuthenticatedData
	case "cd":
		return &m.CheckingDisabled
	case "qr":
		return &m.Response
	}
	return nil
}

// LameUpward makes the server answer as one that does not know the zone and
// refers to the root instead (an upward referral).
func LameUpward() Fault {
	return onReply(func(_, reply *dns.Msg) {
		empty(reply)
		reply.Authoritative, reply.Rcode = false, dns.RcodeSuccess
		reply.Ns = []dns.RR{&dns.NS{Hdr: header(dnsname.Root, dns.TypeNS), Ns: "ns1."}}
	})
}

// LameRefused makes the server refuse everything.
func LameRefused() Fault { return Rcode(dns.RcodeRefused) }

// LameNotAuthoritative makes the server answer without AA, as from a cache.
func LameNotAuthoritative() Fault { return Flag("aa", false) }

// WrongID changes the ID of the reply.
func WrongID() Fault {
	return onReply(func(_, reply *dns.Msg) { reply.Id ^= 0x5555 })
}

// WrongQuestion puts another question into the reply.
func WrongQuestion(name string, qtype uint16) Fault {
	return onReply(func(_, reply *dns.Msg) {
		reply.Question = []dns.Question{{Name: dns.Fqdn(name), Qtype: qtype, Qclass: dns.ClassINET}}
	})
}

// NoQuestion leaves the question out of the reply.
func NoQuestion() Fault {
	return onReply(func(_, reply *dns.Msg) { reply.Question = nil })
}

// NotAResponse clears QR in the reply.
func NotAResponse() Fault { return Flag("qr", false) }

// WrongOpcode puts another opcode into the reply.
func WrongOpcode(opcode int) Fault {
	return onReply(func(_, reply *dns.Msg) { reply.Opcode = opcode })
}

// FoldCase makes the server answer in lower case, whatever the case of the
// question.
func FoldCase() Fault {
	return onReply(func(_, reply *dns.Msg) { respell(reply, strings.ToLower) })
}

// RandomCase makes the server answer in a letter case that differs from the
// question's, if that has letters.
func RandomCase() Fault {
	return onReply(func(_, reply *dns.Msg) {
		respell(reply, func(name string) string {
			swapped := []byte(name)
			for i, c := range swapped {
				if 'a' <= c|0x20 && c|0x20 <= 'z' {
					swapped[i] = c ^ 0x20
				}
			}
			return string(swapped)
		})
	})
}

// respell changes the name asked for wherever the reply has it.
func respell(m *dns.Msg, spell func(string) string) {
	if len(m.Question) != 1 {
		return
	}
	asked := m.Question[0].Name
	m.Question = []dns.Question{{Name: spell(asked), Qtype: m.Question[0].Qtype, Qclass: m.Question[0].Qclass}}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if rr.Header().Name == asked {
				rr.Header().Name = spell(asked)
			}
		}
	}
}

// WrongCookie turns cookies on, and makes the server echo another client
// cookie than it was sent.
func WrongCookie() Fault {
	f := onReply(func(_, reply *dns.Msg) {
		opt := reply.IsEdns0()
		if opt == nil {
			return
		}
		for _, option := range opt.Option {
			if c, ok := option.(*dns.EDNS0_COOKIE); ok {
				cookie := bytes.Clone(cookieOf(opt))
				cookie[0] ^= 0xff
				c.Cookie = hex.EncodeToString(cookie)
			}
		}
	})
	edit := f.apply
	f.apply = func(x *exchange) {
		x.cookies = cookiesOn
		edit(x)
	}
	return f
}

// Oversize fills the reply up to at least n bytes with TXT records in the
// additional section, and sends it over UDP whatever size the client takes.
func Oversize(n int) Fault {
	f := onReply(func(_, reply *dns.Msg) {
		const chunk = 200
		reply.Compress = true // as it will be sent
		for reply.Len() < n {
			reply.Extra = append(reply.Extra, &dns.TXT{
				Hdr: header(dnsname.Root, dns.TypeTXT),
				Txt: []string{strings.Repeat("x", chunk)},
			})
		}
	})
	edit := f.apply
	f.apply = func(x *exchange) {
		x.oversize = true
		edit(x)
	}
	return f
}

// Garbage sends random bytes instead of the reply, behind the ID of the query, so
// that a resolver reads them.
func Garbage() Fault {
	return onWire(func(x *exchange, reply []byte) []byte {
		noise := make([]byte, len(reply))
		x.server.random(noise)
		copy(noise, reply[:2])
		return noise
	})
}

// Cut sends only the first n bytes of the reply. TC is not set.
func Cut(n int) Fault {
	return onWire(func(_ *exchange, reply []byte) []byte { return reply[:min(n, len(reply))] })
}
