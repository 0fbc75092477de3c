package main

import (
	"encoding/binary"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// What is said here of a query is said from its bytes: the rest is unpacked only when header
// and sender are in order, and then no more of it than an answer depends on.

const (
	headerSize = 12
	// recordSize is what a record has behind its owner, but for its data.
	recordSize = 10
	// maxOptions is how many EDNS options a query may have. The resolver takes no more
	// either; here they are counted before there is an object for each.
	maxOptions = 100
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

// unpack unpacks the question of an accepted query and its OPT record, which is all that an
// answer depends on. It is false for a query that is malformed.
func unpack(wire []byte) (*dns.Msg, bool) {
	end, ok := questionEnd(wire)
	if !ok {
		return nil, false
	}
	opt, ok := onlyOPT(wire, end)
	if !ok {
		return nil, false
	}
	kept := wire[:end+len(opt)]
	if h := header(wire); h.Ancount > 0 || h.Nscount > 0 || int(h.Arcount) > min(len(opt), 1) {
		kept = slices.Concat(wire[:end], opt)
		copy(kept[headerSize-6:], []byte{0, 0, 0, 0, 0, byte(min(len(opt), 1))}) // the counts behind that of the question
	}
	msg := new(dns.Msg)
	return msg, msg.Unpack(kept) == nil
}

// onlyOPT returns the OPT record among those that begin at an offset; empty: there is none. It is
// false when one of them is malformed, or there are two (RFC 6891 §6.1.1).
func onlyOPT(wire []byte, at int) (opt []byte, ok bool) {
	h := header(wire)
	others := int(h.Ancount) + int(h.Nscount)
	for i := range others + int(h.Arcount) {
		record, isOPT, ok := recordAt(wire, at)
		switch {
		case !ok, isOPT && (i < others || opt != nil || !isWellFormedOPT(record)):
			return nil, false
		case isOPT:
			opt = record
		}
		at += len(record)
	}
	return opt, true
}

// recordAt returns the record that begins at an offset. Compression pointers in its owner
// point back, but not into the header.
func recordAt(wire []byte, start int) (record []byte, isOPT, ok bool) {
	const maxLabel, pointer, typeOffset, lengthOffset = 63, 0xC0, 0, 8
	at := start
	for at < len(wire) && 0 < wire[at] && wire[at] <= maxLabel {
		at += 1 + int(wire[at])
	}
	switch {
	case at >= len(wire):
		return nil, false, false
	case wire[at] == 0:
		at++
	case at+2 > len(wire) || wire[at]&pointer != pointer:
		return nil, false, false
	default:
		if to := int(binary.BigEndian.Uint16(wire[at:]) &^ (pointer << 8)); to < headerSize || to >= start {
			return nil, false, false
		}
		at += 2
	}
	if at+recordSize > len(wire) {
		return nil, false, false
	}
	isOPT = binary.BigEndian.Uint16(wire[at+typeOffset:]) == dns.TypeOPT
	end := at + recordSize + int(binary.BigEndian.Uint16(wire[at+lengthOffset:]))
	if end > len(wire) {
		return nil, false, false
	}
	return wire[start:end], isOPT, true
}

// isWellFormedOPT reports whether an OPT record is owned by the root and has no more options
// than anybody has a use for.
func isWellFormedOPT(record []byte) bool {
	const optionHead = 4
	if record[0] != 0 {
		return false
	}
	options := record[1+recordSize:]
	for n := 0; len(options) >= optionHead; n++ {
		end := optionHead + int(binary.BigEndian.Uint16(options[2:]))
		if end > len(options) || n == maxOptions {
			return false
		}
		options = options[end:]
	}
	return len(options) == 0
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
