package resolver_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// questionEnd is where the answer section of a reply to query begins.
func questionEnd(query []byte) int {
	const header, typeAndClass = 12, 4
	at := header
	for query[at] != 0 {
		at += 1 + int(query[at])
	}
	return at + 1 + typeAndClass
}

// replyHeader writes a reply's header and question, with these counts.
func replyHeader(query []byte, answers, authority, additional uint16) []byte {
	m := append([]byte(nil), query[:questionEnd(query)]...)
	m[2], m[3] = 0x84, 0 // QR, AA
	binary.BigEndian.PutUint16(m[6:], answers)
	binary.BigEndian.PutUint16(m[8:], authority)
	binary.BigEndian.PutUint16(m[10:], additional)
	return m
}

// address returns an A record whose owner is in wire format.
func address(owner ...byte) []byte {
	return append(owner, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 203, 0, 113, 66)
}

// TestMalformedReplies: replies to the very query that cannot be parsed are no replies: no
// panic, nothing is cached, the question ends in time, and the next one is answered.
func TestMalformedReplies(t *testing.T) {
	for name, makeReply := range map[string]func(query []byte) []byte{
		"pointer to itself": func(q []byte) []byte {
			at := byte(questionEnd(q))
			return append(replyHeader(q, 1, 0, 0), address(0xC0, at)...)
		},
		"pointers to each other": func(q []byte) []byte {
			at := byte(questionEnd(q))
			return append(replyHeader(q, 1, 0, 0), address(0xC0, at+2, 0xC0, at)...)
		},
		"pointer beyond the end":      func(q []byte) []byte { return append(replyHeader(q, 1, 0, 0), address(0xFF, 0xFF)...) },
		"pointer into the header":     func(q []byte) []byte { return append(replyHeader(q, 1, 0, 0), address(0xC0, 2)...) },
		"label of another type":       func(q []byte) []byte { return append(replyHeader(q, 1, 0, 0), address(0x41, 'a', 0)...) },
		"name of more than 255":       func(q []byte) []byte { return append(replyHeader(q, 1, 0, 0), address(longWire()...)...) },
		"more records than announced": func(q []byte) []byte { return append(replyHeader(q, 0, 0, 0), address(0xC0, 12)...) },
		"fewer records":               func(q []byte) []byte { return append(replyHeader(q, 9, 0, 0), address(0xC0, 12)...) },
		"65,535 records":              func(q []byte) []byte { return append(replyHeader(q, 65535, 65535, 65535), address(0xC0, 12)...) },
		"RDLENGTH beyond the end": func(q []byte) []byte {
			m := append(replyHeader(q, 1, 0, 0), address(0xC0, 12)...)
			m[len(m)-5] = 200
			return m
		},
		"RDLENGTH too short": func(q []byte) []byte {
			m := append(replyHeader(q, 1, 0, 0), address(0xC0, 12)...)
			m[len(m)-5] = 3
			return m
		},
		"an address of five bytes": func(q []byte) []byte {
			m := append(replyHeader(q, 1, 0, 0), address(0xC0, 12)...)
			m[len(m)-5] = 5
			return append(m, 1)
		},
		"two OPT records": func(q []byte) []byte {
			return append(replyHeader(q, 0, 0, 2), 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0)
		},
		"an OPT record in the answer": func(q []byte) []byte { return append(replyHeader(q, 1, 0, 0), 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0) },
		"options beyond the OPT": func(q []byte) []byte {
			return append(replyHeader(q, 0, 0, 1), 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 10, 0, 99)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, forgeWorld, func(w *world) {
				w.in.Fault("198.51.100.3", resolvertest.RawHook(func(query, _ []byte) []byte { return makeReply(query) }))
				w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).within(w, 10*time.Second).atMost(w, 2+6)
				w.in.Fault("198.51.100.3", resolvertest.Mend())
				time.Sleep(6 * time.Second)
				w.wantGenuine()
			}, ipv4Only)
		})
	}
}

// longWire is a name of 5 × 64 bytes and the root.
func longWire() []byte {
	var name []byte
	for range 5 {
		name = append(name, 63)
		name = append(name, fmt.Sprintf("%063d", 0)...)
	}
	return append(name, 0)
}
