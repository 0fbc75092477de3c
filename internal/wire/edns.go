package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/miekg/dns"
)

const typeOPT = 41

const (
	// MaxOptions and maxOptionBytes bound the EDNS options of one message:
	// Unbound's limits after CVE-2026-41292.
	MaxOptions     = 100
	maxOptionBytes = 4096
	// optionNSID is the option code of the server's identity. RFC 5001 §2.3.
	optionNSID = 3
	// optionCookie is the option code of DNS cookies. RFC 7873 §4.
	optionCookie = 10
	// optionPadding is the option code of padding. RFC 7830 §3.
	optionPadding = 12
	// optionEDE is the option code of extended errors. RFC 8914 §2.
	optionEDE = 15
)

// doBit is the DNSSEC OK bit among the EDNS flags. RFC 3225 §3.
const doBit = 1 << 15

// EDNS is the content of an OPT record (RFC 6891 §6.1). Options that a resolver has no
// use for are checked for form and skipped.
type EDNS struct {
	UDPSize       uint16 // as sent; under 512 counts as 512
	ExtendedRcode uint8
	Version       uint8
	DO            bool
	Cookie        []byte // client part, then server part; nil: none
	NSID          []byte // RFC 5001; nil: none
	Errors        []EDE  // RFC 8914; advice of the sender, never a reason to act
}

// EDE is one extended DNS error. RFC 8914 §2.
type EDE struct {
	Code uint16
	Text string
}

// parse reads an OPT record.
func (e *EDNS) parse(rec Record, msg []byte) error {
	*e = EDNS{
		UDPSize:       max(rec.Class, 512),
		ExtendedRcode: uint8(rec.TTL >> 24),
		Version:       uint8(rec.TTL >> 16),
		DO:            rec.TTL&doBit != 0,
	}
	if rec.rdlen > maxOptionBytes {
		return fail(rec.rdata, ErrTooManyOpts)
	}
	off, end := rec.rdata, rec.rdata+rec.rdlen
	for count := 0; off < end; count++ {
		if count == MaxOptions {
			return fail(off, ErrTooManyOpts)
		}
		if off+4 > end {
			return fail(off, ErrOptions)
		}
		code := binary.BigEndian.Uint16(msg[off:])
		n := int(binary.BigEndian.Uint16(msg[off+2:]))
		off += 4
		if off+n > end {
			return fail(off, ErrOptions)
		}
		e.option(code, msg[off:off+n])
		off += n
	}
	return nil
}

// BlankOptions overwrites the EDNS options in the message with padding of the same
// length. m.EDNS keeps what was read from them.
func (m *Message) BlankOptions() {
	const head = 4 // code and length
	if m.EDNS == nil || m.opt.rdlen < head {
		return
	}
	options := m.msg[m.opt.rdata : m.opt.rdata+m.opt.rdlen]
	clear(options)
	binary.BigEndian.PutUint16(options, optionPadding)
	binary.BigEndian.PutUint16(options[2:], uint16(len(options)-head))
}

func (e *EDNS) option(code uint16, data []byte) {
	switch code {
	case optionCookie:
		if e.Cookie == nil {
			e.Cookie = data
		}
	case optionNSID:
		if e.NSID == nil {
			e.NSID = data
		}
	case optionEDE:
		if len(data) >= 2 {
			e.Errors = append(e.Errors, EDE{Code: binary.BigEndian.Uint16(data), Text: string(data[2:])})
		}
	}
}

// RcodeName returns a response code's mnemonic, or RCODE and its number.
func RcodeName(rcode int) string {
	if rcode == dns.RcodeBadVers {
		return "BADVERS" // BADSIG has the same number, in TSIG records only (RFC 6895 §2.3)
	}
	if name, ok := dns.RcodeToString[rcode]; ok {
		return name
	}
	return fmt.Sprintf("RCODE%d", rcode)
}
