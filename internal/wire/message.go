// Package wire decides whether bytes are a DNS message (RFC 1035 §4.1), where its
// names, records and TTLs stand, and whether RDATA has the form of its type.
//
// In comes a message in wire format, which may be hostile; out comes a [Message]
// that points into it, or an [Error] with the place. A [Query] and a [Reply] go the other way.
// It bounds the work that a message can cause: pointer loops, floods of records and
// of EDNS options. All other packages look at a message after [Parse] has accepted it.
//
// It never judges what a message says: whether it answers the query (package
// resolver), or what its sender may say (package scrub).
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// HeaderLen is the length of the fixed header. RFC 1035 §4.1.1.
const HeaderLen = 12

// MaxLen is the length of the longest message: over streams it stands before the message in
// 16 bits. RFC 1035 §4.2.2.
const MaxLen = 1<<16 - 1

// Bits of the second header word. RFC 1035 §4.1.1, RFC 4035 §3.
const (
	QR uint16 = 1 << 15
	AA uint16 = 1 << 10
	TC uint16 = 1 << 9
	RD uint16 = 1 << 8
	RA uint16 = 1 << 7
	AD uint16 = 1 << 5
	CD uint16 = 1 << 4
)

const (
	// MaxRecords is how many records one message may hold. A full 64 KiB message
	// of real data has about 4,000 (16-byte A records with compressed owners);
	// PowerDNS and BIND have a limit like it.
	MaxRecords = 5000
	// MaxExpanded bounds the bytes of all names of a message, uncompressed, so
	// that compression cannot turn 64 KiB into hundreds of megabytes.
	MaxExpanded = 1 << 20
	// MaxHops is how many compression pointers one name may follow: a name has
	// at most 127 labels and each pointer should lead to at least one.
	MaxHops = 126
	// minRecord is the shortest record: root owner, type, class, TTL, RDLENGTH.
	minRecord = 11
)

// Why a message is refused. Each is wrapped in an *Error that says where.
var (
	ErrShort        = errors.New("message ends early")
	ErrPointer      = errors.New("compression pointer does not point backwards")
	ErrHops         = errors.New("name follows more than 126 compression pointers")
	ErrNameTooLong  = errors.New("name longer than 255 bytes")
	ErrLabelType    = errors.New("label type other than plain or pointer")
	ErrTooMany      = errors.New("more than 5000 records in a message")
	ErrCounts       = errors.New("record counts exceed the message length")
	ErrExpansion    = errors.New("names of the message expand to more than 1 MiB")
	ErrQuestions    = errors.New("question count is not one")
	ErrTrailing     = errors.New("bytes after the last record")
	ErrRData        = errors.New("malformed RDATA")
	ErrManyOPT      = errors.New("more than one OPT record")
	ErrOPTPlace     = errors.New("OPT record outside the additional section or not owned by the root")
	ErrOptions      = errors.New("malformed EDNS options")
	ErrTooManyOpts  = errors.New("more than 100 EDNS options or 4096 bytes of them")
	ErrNameExpected = errors.New("name runs past the end of its RDATA")
)

// Error says at which byte of a message the walker stopped, and why. It wraps
// one of the Err values of this package.
type Error struct {
	Offset int
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("dns message: byte %d: %v", e.Offset, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

func fail(off int, err error) error { return &Error{Offset: off, Err: err} }

// Question is the one question of a message, its name canonical.
type Question struct {
	Name  dnsname.Name
	Type  uint16
	Class uint16
}

// Record is one record of a message. Its RDATA stays in the message, where names
// in it may be compressed; Message.AppendRData writes it out.
type Record struct {
	Owner     dnsname.Name
	Type      uint16
	Class     uint16
	TTL       uint32
	TTLOffset int // where the TTL stands in the message
	rdata     int // where the RDATA starts
	rdlen     int
}

// Message is a message that Parse has walked. It keeps the bytes it was made of.
type Message struct {
	ID         uint16
	Flags      uint16 // the second header word: bits, opcode, RCODE
	Question   Question
	NoQuestion bool // QDCOUNT was 0
	Answer     []Record
	Authority  []Record
	Additional []Record // without the OPT record
	EDNS       *EDNS    // nil: no OPT record

	msg  []byte
	opt  Record // what EDNS was read from
	edns EDNS   // where EDNS points to

	// Where the records are, in the order of the message, if they are so few.
	first [4]Record
}

// PatchTTL writes rec.TTL into the message, where rec is one of its records.
func (m *Message) PatchTTL(rec Record) {
	binary.BigEndian.PutUint32(m.msg[rec.TTLOffset:], rec.TTL)
}

// Opcode returns the operation code.
func (m *Message) Opcode() int { return int(m.Flags>>11) & 0xF }

// Rcode returns the response code, with EDNS's upper eight bits (RFC 6891 §6.1.3).
func (m *Message) Rcode() int {
	rcode := int(m.Flags & 0xF)
	if m.EDNS != nil {
		rcode |= int(m.EDNS.ExtendedRcode) << 4
	}
	return rcode
}

// Len returns the length of the message in bytes.
func (m *Message) Len() int { return len(m.msg) }

// Parse walks one whole message. The message must not change while the result is
// in use. A message with no question is accepted (FORMERR replies come so), one
// with several is not (RFC 9619).
func Parse(msg []byte) (*Message, error) { return ParseNaming(msg, "") }

// ParseNaming is Parse for a message that is likely to have records of this name, which they then
// share instead of a copy each.
func ParseNaming(msg []byte, known dnsname.Name) (*Message, error) {
	if len(msg) < HeaderLen {
		return nil, fail(len(msg), ErrShort)
	}
	m := &Message{
		ID:    binary.BigEndian.Uint16(msg),
		Flags: binary.BigEndian.Uint16(msg[2:]),
		msg:   msg,
	}
	counts := [4]int{}
	for i := range counts {
		counts[i] = int(binary.BigEndian.Uint16(msg[4+2*i:]))
	}
	if counts[0] > 1 {
		return nil, fail(4, ErrQuestions)
	}
	total := counts[1] + counts[2] + counts[3]
	if total > MaxRecords {
		return nil, fail(6, ErrTooMany)
	}
	if total*minRecord > len(msg)-HeaderLen {
		return nil, fail(6, ErrCounts)
	}
	w := walker{msg: msg, known: known}
	off, err := w.question(m, counts[0])
	if err != nil {
		return nil, err
	}
	records := m.first[:0]
	if total > len(m.first) {
		records = make([]Record, 0, total)
	}
	for section, count := range counts[1:] {
		from := len(records)
		for range count {
			var rec Record
			if off, err = w.record(off, &rec); err != nil {
				return nil, err
			}
			if rec.Type != typeOPT {
				records = append(records, rec)
				continue
			}
			if section != 2 || rec.Owner != dnsname.Root {
				return nil, fail(rec.rdata, ErrOPTPlace)
			}
			if m.EDNS != nil {
				return nil, fail(rec.rdata, ErrManyOPT)
			}
			if err = m.edns.parse(rec, msg); err != nil {
				return nil, err
			}
			m.EDNS, m.opt = &m.edns, rec
		}
		part := records[from:len(records):len(records)]
		switch section {
		case 0:
			m.Answer = part
		case 1:
			m.Authority = part
		case 2:
			m.Additional = part
		}
	}
	if off != len(msg) {
		return nil, fail(off, ErrTrailing)
	}
	return m, nil
}
