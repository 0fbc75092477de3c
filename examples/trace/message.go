package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/miekg/dns"
)

const (
	headerLen       = 12 // of a message, RFC 1035 §4.1.1
	fixedLen        = 10 // of a record between its owner and its RDATA, RFC 1035 §3.2.1
	questionTypeLen = 4  // of a question behind its name, RFC 1035 §4.1.2
)

var errCutOff = errors.New("it ends early")

// mayCompress are the types whose RDATA may hold compressed names. RFC 3597 §4.
var mayCompress = []uint16{
	dns.TypeNS, dns.TypeMD, dns.TypeMF, dns.TypeCNAME, dns.TypeSOA, dns.TypeMB, dns.TypeMG, dns.TypeMR, dns.TypePTR,
	dns.TypeMINFO, dns.TypeMX, dns.TypeRP, dns.TypeAFSDB, dns.TypeRT, dns.TypeSIG, dns.TypePX, dns.TypeNXT, dns.TypeNAPTR,
	dns.TypeKX, dns.TypeSRV, dns.TypeDNAME,
}

// sections are the records of a message.
type sections struct{ answer, authority, additional []dns.RR }

// unpack reads the records of a message one by one, so that one that miekg/dns cannot decode, or
// would alter, hides no other: it is shown in the generic form (RFC 3597 §5).
func unpack(message []byte) (s sections, err error) {
	if len(message) < headerLen {
		return s, errCutOff
	}
	count := func(i int) int { return int(binary.BigEndian.Uint16(message[4+2*i:])) }
	off := headerLen
	for range count(0) {
		if _, off, err = dns.UnpackDomainName(message, off); err != nil {
			return s, err
		}
		off += questionTypeLen
	}
	for i, section := range []*[]dns.RR{&s.answer, &s.authority, &s.additional} {
		for range count(1 + i) {
			var rr dns.RR
			if rr, off, err = unpackRecord(message, off); err != nil {
				return s, err
			}
			*section = append(*section, rr)
		}
	}
	return s, nil
}

// unpackRecord reads the record at off, and returns where the next one begins.
func unpackRecord(message []byte, off int) (dns.RR, int, error) {
	owner, fixed, err := dns.UnpackDomainName(message, off)
	if err != nil {
		return nil, 0, err
	}
	begin := fixed + fixedLen
	if begin > len(message) {
		return nil, 0, errCutOff
	}
	h := dns.RR_Header{
		Name: owner, Rrtype: binary.BigEndian.Uint16(message[fixed:]), Class: binary.BigEndian.Uint16(message[fixed+2:]),
		Ttl: binary.BigEndian.Uint32(message[fixed+4:]), Rdlength: binary.BigEndian.Uint16(message[fixed+8:]),
	}
	end := begin + int(h.Rdlength)
	if end > len(message) {
		return nil, 0, errCutOff
	}
	rdata := message[begin:end]
	if rr, next, err := dns.UnpackRR(message, off); err == nil && next == end && (slices.Contains(mayCompress, h.Rrtype) || packsTo(rr, rdata)) {
		return rr, end, nil
	}
	return &dns.RFC3597{Hdr: h, Rdata: hex.EncodeToString(rdata)}, end, nil
}

// packsTo reports whether rr in wire format has the given RDATA.
func packsTo(rr dns.RR, rdata []byte) bool {
	rr = dns.Copy(rr)
	rr.Header().Name = "." // of known length
	packed := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, packed, 0, nil, false)
	return err == nil && bytes.Equal(packed[min(1+fixedLen, n):n], rdata)
}
