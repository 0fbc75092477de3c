package serve

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"
)

// serverCookies makes the cookies of one server, which need no memory of the clients that
// have them. RFC 9018 §4.
type serverCookies struct {
	secret [16]byte // RFC 9018 §4.4
	now    func() time.Time
}

// newServerCookies draws a secret. now is the clock of the cookies' timestamps.
func newServerCookies(now func() time.Time) *serverCookies {
	c := &serverCookies{now: now}
	rand.Read(c.secret[:]) // never fails
	return c
}

// reply returns the cookie of a reply: the client's, and a server cookie. RFC 9018 §4.
//
// It is not checked whether a query brings a server cookie back: clients without one are
// answered too, over UDP with no more than the size that they take.
func (s *serverCookies) reply(clients [clientCookieSize]byte, client netip.Addr) []byte {
	return append(clients[:], serverCookie(s.secret, clients, 0, client, s.now())...)
}

// Lengths of DNS cookies in bytes. RFC 7873 §4.
const (
	clientCookieSize    = 8
	minServerCookieSize = 8
	maxServerCookieSize = 32
)

// isWellFormedCookie reports whether a cookie has a permitted length: that of a client cookie,
// alone or with a server cookie (RFC 7873 §5.2.2).
func isWellFormedCookie(cookie []byte) bool {
	server := len(cookie) - clientCookieSize
	return server == 0 || minServerCookieSize <= server && server <= maxServerCookieSize
}

// serverCookie makes a server cookie: version, reserved bytes, timestamp, and a hash keyed
// with the secret. RFC 9018 §4.
func serverCookie(secret [16]byte, clientCookie [clientCookieSize]byte, reserved uint32, client netip.Addr, now time.Time) []byte {
	const version = 1 << 24
	cookie := binary.BigEndian.AppendUint32(nil, version|reserved)
	cookie = binary.BigEndian.AppendUint32(cookie, uint32(now.Unix())) // serial arithmetic, RFC 9018 §4.3
	hashed := append(append(clientCookie[:], cookie...), client.Unmap().AsSlice()...)
	return binary.LittleEndian.AppendUint64(cookie, sipHash24(secret, hashed))
}

// sipHash24 is SipHash-2-4 (J.-P. Aumasson, D. J. Bernstein: SipHash, a fast short-input
// PRF), the hash that RFC 9018 §4.4 demands, so that servers of one address can share a secret.
func sipHash24(key [16]byte, message []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])
	s := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	length := uint64(len(message)) << 56
	for ; len(message) >= 8; message = message[8:] {
		s.compress(binary.LittleEndian.Uint64(message))
	}
	var rest [8]byte
	copy(rest[:], message)
	s.compress(binary.LittleEndian.Uint64(rest[:]) | length)
	s[2] ^= 0xff
	for range 4 {
		s.round()
	}
	return s[0] ^ s[1] ^ s[2] ^ s[3]
}

type sipState [4]uint64

func (s *sipState) compress(word uint64) {
	s[3] ^= word
	s.round()
	s.round()
	s[0] ^= word
}

func (s *sipState) round() {
	s[0] += s[1]
	s[1] = bits.RotateLeft64(s[1], 13) ^ s[0]
	s[0] = bits.RotateLeft64(s[0], 32)
	s[2] += s[3]
	s[3] = bits.RotateLeft64(s[3], 16) ^ s[2]
	s[0] += s[3]
	s[3] = bits.RotateLeft64(s[3], 21) ^ s[0]
	s[2] += s[1]
	s[1] = bits.RotateLeft64(s[1], 17) ^ s[2]
	s[2] = bits.RotateLeft64(s[2], 32)
}
