package serve

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/wire"
)

// request is what a reply depends on in a query, whether that came as bytes or as a dns.Msg.
type request struct {
	id        uint16
	flags     uint16 // the second word of the header
	questions int    // how many there are
	rrtype    uint16 // of the one, as class
	class     uint16
	asked     []byte       // its name in wire format as the client wrote it; nil: it is malformed, or came in a dns.Msg
	name      dnsname.Name // the same in canonical form; "": malformed, or not made yet
	fault     string       // what is malformed; "": nothing
	plain     bool         // it has nothing that is not known to AppendHit

	edns         bool // there is an OPT record, to which the rest belongs
	udpSize      uint16
	version      uint8
	do, co       bool
	nsid, padded bool
	cookie       []byte // of the first cookie option; nil: there is none
}

// requestOf returns what is to be known of a query.
func requestOf(query *dns.Msg) request {
	x := request{id: query.Id, flags: uint16(query.Opcode&0xF) << opcodeShift, questions: len(query.Question)}
	for _, bit := range [...]struct {
		set  bool
		flag uint16
	}{{query.RecursionDesired, wire.RD}, {query.CheckingDisabled, wire.CD}, {query.AuthenticatedData, wire.AD}} {
		if bit.set {
			x.flags |= bit.flag
		}
	}
	if x.questions == 1 {
		q := query.Question[0]
		x.rrtype, x.class = q.Qtype, q.Qclass
		name, err := dnsname.Parse(q.Name)
		if err != nil {
			x.fault = faultName
		}
		x.name = name
	}
	if opt := query.IsEdns0(); opt != nil {
		x.readOPT(opt)
	}
	if !hasPlainOPT(query) {
		x.fault = faultOPT
	}
	return x
}

// readOPT takes over what an OPT record says.
func (x *request) readOPT(opt *dns.OPT) {
	x.edns, x.udpSize, x.version, x.do, x.co = true, opt.UDPSize(), opt.Version(), opt.Do(), opt.Co()
	for _, o := range opt.Option {
		c, ok := o.(*dns.EDNS0_COOKIE)
		if !ok {
			x.option(o.Option(), nil) // other data has no effect
			continue
		}
		cookie, err := hex.DecodeString(c.Cookie)
		if err != nil {
			cookie = nil // of no length that a cookie has
		}
		x.option(dns.EDNS0COOKIE, append([]byte{}, cookie...))
	}
	if len(opt.Option) > wire.MaxOptions {
		x.fault = faultOPT
	}
}

// hasPlainOPT reports whether there is at most one OPT record, in the additional section and
// owned by the root. RFC 6891 §6.1.1, §6.1.2.
func hasPlainOPT(query *dns.Msg) bool {
	n := 0
	for i, section := range [...][]dns.RR{query.Answer, query.Ns, query.Extra} {
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				continue
			}
			if n++; i < 2 || n > 1 || rr.Header().Name != "." {
				return false
			}
		}
	}
	return true
}

// What is malformed in a query, as its sender is told.
const (
	faultSections = "too many records"
	faultQuestion = "question"
	faultName     = "malformed name"
	faultRecord   = "record"
	faultOPT      = "OPT"
)

const (
	opcodeShift = 11
	opcodeMask  = 0xF << opcodeShift
	doBit       = 1 << 15 // RFC 3225 §3
	coBit       = 1 << 14 // RFC 9824 §5.1
)

// parse reads a query in wire format, of which x keeps parts. It is false for what is no
// query: a response, or less than a header.
//
// It takes what dns.Server with AcceptQuery takes, but for things that no client sends, each of
// which may be the sign that something was cut off or made up: compression pointers in the name
// of the question, before which only the header stands, and pointers that do not lead back to
// another name; a question without type and class; RDATA without anything where its type has
// fields; an OPT record whose owner is a pointer; and fewer records than the header says.
func (x *request) parse(query []byte) bool {
	if len(query) < wire.HeaderLen {
		return false
	}
	word := func(i int) uint16 { return binary.BigEndian.Uint16(query[2*i:]) }
	x.id, x.flags, x.questions = word(0), word(1), int(word(2))
	if x.flags&wire.QR != 0 {
		return false
	}
	at := wire.HeaderLen
	if x.questions == 1 {
		var ok bool
		if at, ok = x.parseQuestion(query); !ok {
			x.fault = faultQuestion
			return true
		}
	}
	answers, authorities, additionals := word(3), word(4), word(5)
	if !accepts(word(2), answers, authorities, additionals) {
		x.fault = faultSections // without a question, or with several, refuse says that
		return true
	}
	end := x.parseRecords(query, at, int(answers)+int(authorities), int(additionals))
	const known = wire.RD | wire.CD | wire.AD
	x.plain = x.plain && x.fault == "" && x.flags&^known == 0 && x.questions == 1 && end == len(query)
	return true
}

// parseQuestion reads the question, and returns where it ends.
func (x *request) parseQuestion(query []byte) (end int, ok bool) {
	const typeAndClass = 4
	end, ok = nameEnd(query, wire.HeaderLen)
	if !ok || len(query) < end+typeAndClass {
		return 0, false
	}
	x.asked = query[wire.HeaderLen:end:end]
	x.rrtype, x.class = binary.BigEndian.Uint16(query[end:]), binary.BigEndian.Uint16(query[end+2:])
	return end + typeAndClass, true
}

// nameEnd finds the end of an uncompressed name of legal length that begins at off.
func nameEnd(message []byte, off int) (end int, ok bool) {
	for at := off; at < len(message) && at-off < dnsname.MaxWire; at += int(message[at]) + 1 {
		if message[at] == 0 {
			return at + 1, true
		}
		if message[at] > dnsname.MaxLabel {
			return 0, false
		}
	}
	return 0, false
}

// parseRecords reads the records that begin at an offset, and returns where they end: others,
// of which none may be an OPT record, and additional ones.
func (x *request) parseRecords(query []byte, at, others, additional int) (end int) {
	x.plain = others == 0
	for i := range others + additional {
		if isRootOPT(query[at:]) {
			at = x.parseOPT(query, at)
		} else {
			at = x.skipRecord(query, at)
		}
		if x.edns && i < others {
			x.edns, x.fault = false, faultOPT
		}
		if x.fault != "" {
			break
		}
	}
	return at
}

// skipRecord returns where a record ends that is no OPT record as it should be. It has to be
// well-formed.
func (x *request) skipRecord(query []byte, at int) (end int) {
	x.plain = false
	rrtype, end, err := wire.SkipRecord(query, at)
	switch {
	case err != nil:
		x.fault = faultRecord
	case rrtype == dns.TypeOPT:
		x.edns, x.fault = true, faultOPT // not owned by the root, or not so that it is seen at once
	}
	return end
}

// isRootOPT reports whether the record that b begins with is an OPT record as it should be,
// owned by the root. RFC 6891 §6.1.2.
func isRootOPT(b []byte) bool {
	return len(b) >= wire.OPTSize && b[0] == 0 && binary.BigEndian.Uint16(b[1:]) == dns.TypeOPT
}

// parseOPT reads the OPT record that begins at an offset, and returns where it ends.
func (x *request) parseOPT(query []byte, at int) (end int) {
	head := query[at : at+wire.OPTSize]
	end = at + wire.OPTSize + int(binary.BigEndian.Uint16(head[9:]))
	if x.edns || end > len(query) {
		x.fault = faultOPT
		return end
	}
	x.edns, x.udpSize = true, binary.BigEndian.Uint16(head[3:])
	flags := binary.BigEndian.Uint32(head[5:])
	x.version, x.do, x.co = uint8(flags>>16), flags&doBit != 0, flags&coBit != 0
	x.plain = x.plain && flags&^doBit == 0 && end == at+wire.OPTSize
	if !x.parseOptions(query[at+wire.OPTSize : end]) {
		x.fault = faultOPT
	}
	return end
}

// parseOptions reads the options of an OPT record; false when they are malformed, or too many.
func (x *request) parseOptions(options []byte) bool {
	const head = 4 // code and length
	for n := 0; len(options) > 0; n++ {
		if n == wire.MaxOptions || len(options) < head {
			return false
		}
		code, end := binary.BigEndian.Uint16(options), head+int(binary.BigEndian.Uint16(options[2:]))
		if end > len(options) {
			return false
		}
		if !x.option(code, options[head:end:end]) && !isOption(options[:end]) {
			return false
		}
		options = options[end:]
	}
	return true
}

// isOption reports whether an EDNS option has the form of its kind, if that is known. One that
// has no effect here is looked at too: a client that makes it up wrong shall learn of it.
func isOption(option []byte) bool {
	h := dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Rdlength: uint16(len(option))}
	_, _, err := dns.UnpackRRWithHeader(h, option, 0)
	return err == nil
}

// option takes over an EDNS option; false for those that have no effect here.
func (x *request) option(code uint16, data []byte) bool {
	switch code {
	case dns.EDNS0COOKIE:
		if x.cookie == nil { // the first counts, RFC 7873 §5.2
			x.cookie = data
		}
	case dns.EDNS0NSID:
		x.nsid = true
	case dns.EDNS0PADDING:
		x.padded = true
	default:
		return false
	}
	return true
}

// question returns the question, which is well-formed.
func (x *request) question() answer.Question {
	if x.name == "" {
		x.name = dnsname.Canonical(x.asked)
	}
	return answer.Question{Name: x.name, Type: x.rrtype}
}

func (x *request) opcode() int { return int(x.flags&opcodeMask) >> opcodeShift }

func (x *request) has(flag uint16) bool { return x.flags&flag != 0 }

// trust returns cache.Unchecked for queries with CD, whose client validates itself.
func (x *request) trust() cache.Trust {
	if x.has(wire.CD) {
		return cache.Unchecked
	}
	return cache.Checked
}

// refuse returns the response code for a query that is not a question for a resolver;
// NOERROR for all others.
func (x *request) refuse() (rcode int, extended failure.ExtendedError) {
	switch {
	case x.opcode() != dns.OpcodeQuery:
		return dns.RcodeNotImplemented, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotSupported, Text: "opcode"}
	case x.fault == "" && x.version != 0:
		return dns.RcodeBadVers, failure.ExtendedError{} // RFC 6891 §6.1.3
	case x.questions != 1:
		return dns.RcodeFormatError, failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "not exactly one question"} // RFC 9619 §4
	case x.fault != "":
		return dns.RcodeFormatError, failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: x.fault}
	case x.cookie != nil && !isWellFormedCookie(x.cookie):
		return dns.RcodeFormatError, failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: faultOPT} // RFC 7873 §5.2.2
	case x.rrtype == dns.TypeNXNAME:
		return dns.RcodeFormatError, failure.ExtendedError{Code: extendedInvalidQueryType, Text: "NXNAME"} // RFC 9824 §3.5
	case x.rrtype == dns.TypeAXFR || x.rrtype == dns.TypeIXFR:
		return dns.RcodeRefused, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotAuthoritative, Text: "zone transfer"}
	case x.class != dns.ClassINET:
		return dns.RcodeRefused, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotAuthoritative, Text: "class"}
	case answer.IsMeta(x.rrtype):
		return dns.RcodeNotImplemented, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotSupported, Text: "type"}
	}
	return dns.RcodeSuccess, failure.ExtendedError{}
}

// extendedInvalidQueryType is "Invalid Query Type". RFC 9824 §3.5.
const extendedInvalidQueryType = 30

// asksForCookie reports whether a query has no question and asks for a cookie only. RFC 7873
// §5.4.
func (x *request) asksForCookie() bool {
	return x.questions == 0 && x.opcode() == dns.OpcodeQuery && x.fault == "" && x.version == 0 && x.cookie != nil && isWellFormedCookie(x.cookie)
}

// limit returns how many bytes a reply may have: what the client takes (RFC 6891 §6.2.3), but
// no more than maxSize, which is 0 for a stream.
func (x *request) limit(maxSize int) (bytes int, datagram bool) {
	if maxSize <= 0 || maxSize >= wire.MaxLen {
		return wire.MaxLen, false // RFC 1035 §4.2.2
	}
	takes := dns.MinMsgSize
	if x.edns {
		takes = max(takes, int(x.udpSize))
	}
	return min(maxSize, takes), true
}

// bareReply is the length of a reply to a query with EDNS that has nothing but the question.
func (x *request) bareReply() int {
	const typeAndClass = 4
	length := wire.HeaderLen + wire.OPTSize
	if name := max(len(x.asked), len(x.name)); name > 0 {
		length += name + typeAndClass
	}
	return length
}

// AcceptQuery decides by its header whether a message is unpacked; see resolver.AcceptQuery.
func AcceptQuery(h dns.Header) dns.MsgAcceptAction {
	switch {
	case h.Bits&wire.QR != 0:
		return dns.MsgIgnore // answering an answer would make a loop
	case h.Bits&opcodeMask != 0:
		return dns.MsgRejectNotImplemented
	case !accepts(h.Qdcount, h.Ancount, h.Nscount, h.Arcount):
		return dns.MsgReject
	}
	return dns.MsgAccept
}

// accepts reports whether a query may have so many records in its sections.
func accepts(questions, answers, authorities, additionals uint16) bool {
	if questions == 0 && answers == 0 && authorities == 0 {
		return additionals == 1 // RFC 7873 §5.4
	}
	return questions == 1 && answers <= 1 && authorities <= 1 && additionals <= 2
}
