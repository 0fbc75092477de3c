package wire

import (
	"encoding/binary"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Query is a query to an authoritative server.
type Query struct {
	ID      uint16
	Name    dnsname.Name
	Type    uint16
	Class   uint16
	RD, CD  bool
	EDNS    bool   // add an OPT record
	UDPSize uint16 // with EDNS: the largest reply we take over UDP
	DO      bool   // with EDNS
	Cookie  []byte // with EDNS: the cookie option's content; nil: no option
	NSID    bool   // with EDNS: ask for the server's identity (RFC 5001)
	PadTo   int    // with EDNS: a padding option makes the length a multiple of it (RFC 7830); 0: none
}

// AppendTo appends the query in wire format.
func (q *Query) AppendTo(dst []byte) []byte {
	start := len(dst)
	var flags uint16
	if q.RD {
		flags |= RD
	}
	if q.CD {
		flags |= CD
	}
	additional := uint16(0)
	if q.EDNS {
		additional = 1
	}
	for _, word := range [...]uint16{q.ID, flags, 1, 0, 0, additional} {
		dst = binary.BigEndian.AppendUint16(dst, word)
	}
	dst = append(dst, q.Name...)
	dst = binary.BigEndian.AppendUint16(dst, q.Type)
	dst = binary.BigEndian.AppendUint16(dst, q.Class)
	if q.EDNS {
		dst = q.appendOPT(dst, start)
	}
	return dst
}

func (q *Query) appendOPT(dst []byte, start int) []byte {
	dst = append(dst, 0) // owned by the root
	dst = binary.BigEndian.AppendUint16(dst, typeOPT)
	dst = binary.BigEndian.AppendUint16(dst, q.UDPSize)
	var ttl uint32
	if q.DO {
		ttl = doBit
	}
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	at := len(dst)
	dst = append(dst, 0, 0)
	if q.Cookie != nil {
		dst = binary.BigEndian.AppendUint16(dst, optionCookie)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(q.Cookie)))
		dst = append(dst, q.Cookie...)
	}
	if q.NSID {
		dst = binary.BigEndian.AppendUint16(dst, optionNSID)
		dst = append(dst, 0, 0) // empty in queries: RFC 5001 §2.1
	}
	if q.PadTo > 0 {
		dst = q.appendPadding(dst, start)
	}
	binary.BigEndian.PutUint16(dst[at:], uint16(len(dst)-at-2))
	return dst
}

// appendPadding appends a padding option to the message that begins at start.
func (q *Query) appendPadding(dst []byte, start int) []byte {
	const optionHeader = 4
	length := len(dst) - start + optionHeader
	fill := (q.PadTo - length%q.PadTo) % q.PadTo
	dst = binary.BigEndian.AppendUint16(dst, optionPadding)
	dst = binary.BigEndian.AppendUint16(dst, uint16(fill))
	return append(dst, make([]byte, fill)...)
}

// QuestionName returns the question name of a query as a slice of the message, so
// that its letter case can be changed (0x20) and compared; nil if there is none.
func QuestionName(message []byte) []byte {
	end := HeaderLen
	for end < len(message) && message[end] != 0 && message[end] <= dnsname.MaxLabel {
		end += int(message[end]) + 1
	}
	if end >= len(message) || message[end] != 0 {
		return nil
	}
	return message[HeaderLen : end+1]
}
