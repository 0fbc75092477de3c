package main

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// What is said here of a query is said from its bytes. The resolver looks at the rest of them only
// when header, question and sender are in order.

const (
	headerSize = 12
	// recordSize is what a record has behind its owner, but for its data.
	recordSize = 10
)

// header reads the header of a message, which has one.
func header(wire []byte) dns.Header {
	word := func(i int) uint16 { return binary.BigEndian.Uint16(wire[2*i:]) }
	return dns.Header{Id: word(0), Bits: word(1), Qdcount: word(2), Ancount: word(3), Nscount: word(4), Arcount: word(5)}
}

// questionEnd finds the end of the question, or of the header where there is none. Its name
// has no compression pointer: what it could point to is the header.
func questionEnd(wire []byte) (end int, ok bool) {
	const maxName, maxLabel, typeAndClass = 255, 63, 4
	if header(wire).Qdcount == 0 {
		return headerSize, true
	}
	for at := headerSize; at < len(wire) && at-headerSize < maxName && wire[at] <= maxLabel; at += 1 + int(wire[at]) {
		if wire[at] == 0 {
			end = at + 1 + typeAndClass
			return end, end <= len(wire)
		}
	}
	return 0, false
}

// appendRefusal appends an answer without records to dst: with a response code, or with TC for
// dns.RcodeSuccess. It is made from the beginning of a query, which has a header at least:
// from the question and an OPT record right behind it (RFC 6891 §6.1.1), with which it says
// why (RFC 8914).
func appendRefusal(dst, query []byte, rcode int, why resolver.ExtendedError) []byte {
	const response, truncated, available, asked = 1 << 15, 1 << 9, 1 << 7, 0xF<<11 | 1<<8 | 1<<4 // opcode, RD, CD
	h := header(query)
	flags := response | available | h.Bits&asked | uint16(rcode)
	if rcode == dns.RcodeSuccess {
		flags |= truncated
	}
	var opt []byte
	end, ok := questionEnd(query)
	if ok && h.Qdcount <= 1 {
		opt = plainOPT(h, query[end:])
	} else {
		h.Qdcount, end = 0, headerSize
	}
	for _, word := range [...]uint16{h.Id, flags, h.Qdcount, 0, 0, uint16(min(len(opt), 1))} {
		dst = binary.BigEndian.AppendUint16(dst, word)
	}
	dst = append(dst, query[headerSize:end]...)
	if opt == nil {
		return dst
	}
	return appendOPT(dst, opt, why)
}

// plainOPT returns the fixed part of the OPT record that rest begins with; nil: with none.
func plainOPT(h dns.Header, rest []byte) []byte {
	const size = 1 + recordSize
	if h.Ancount > 0 || h.Nscount > 0 || h.Arcount == 0 || len(rest) < size || rest[0] != 0 ||
		binary.BigEndian.Uint16(rest[1:]) != dns.TypeOPT {
		return nil
	}
	return rest[:size]
}

// appendOPT appends an OPT record that answers another, with DO as there (RFC 3225 §3).
func appendOPT(dst, asked []byte, why resolver.ExtendedError) []byte {
	const do, doOffset, optionHead, codeSize = 1 << 15, 7, 4, 2
	dst = append(dst, 0) // owned by the root
	dst = binary.BigEndian.AppendUint16(dst, dns.TypeOPT)
	dst = binary.BigEndian.AppendUint16(dst, udpSize)
	dst = append(dst, 0, 0) // the response codes here have four bits; version 0
	dst = binary.BigEndian.AppendUint16(dst, binary.BigEndian.Uint16(asked[doOffset:])&do)
	if why == (resolver.ExtendedError{}) {
		return append(dst, 0, 0)
	}
	length := codeSize + len(why.Text)
	dst = binary.BigEndian.AppendUint16(dst, uint16(optionHead+length))
	dst = binary.BigEndian.AppendUint16(dst, dns.EDNS0EDE)
	dst = binary.BigEndian.AppendUint16(dst, uint16(length))
	dst = binary.BigEndian.AppendUint16(dst, why.Code)
	return append(dst, why.Text...)
}
